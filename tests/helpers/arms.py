"""Tables of made-up trajectories, and the design that they are judged by."""

from dataclasses import asdict
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from alchemy.stats.predictions import design
from tests.helpers.made import tax_records
from tests.helpers.worlds import ROOT

LISTS = [ROOT / "conf" / "predictions" / f"{name}.yaml" for name in ("reasoning_tax", "reasoning_tax_full")]
NAMED: Any = OmegaConf.to_container(OmegaConf.merge(*map(OmegaConf.load, LISTS)))
del NAMED["defaults"]
SETTINGS: Any = {"predictions": [*NAMED.values()], "match_opening": 0.5, "match_kl": 0.5}
PLAN = design(SETTINGS | {"match_opening": 0.5, "match_kl": 0.5})
ALL = ("gold", "direct", "self", "foreign", "rlvr", "gold_rlvr", "random", "unrelated")


def table(seeds=3, **made):
    """The tidy table of made-up records."""
    found = [one for seed in range(seeds) for one in tax_records(seed, **made)]
    return pd.DataFrame([{**asdict(one), **one.at} for one in found])
