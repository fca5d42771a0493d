"""Tables of made-up trajectories, and the design that they are judged by."""

from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from alchemy.studies.reasoning_tax.coordinates import column
from alchemy.studies.reasoning_tax.design import design
from alchemy.studies.reasoning_tax.trajectories import Run
from tests.helpers.made import MATCH, tax_records
from tests.helpers.worlds import ROOT

LISTS = [ROOT / "conf" / "predictions" / f"{name}.yaml" for name in ("reasoning_tax", "reasoning_tax_full")]
NAMED: Any = OmegaConf.to_container(OmegaConf.merge(*map(OmegaConf.load, LISTS)))
del NAMED["defaults"]
SETTINGS: Any = {"predictions": [*NAMED.values()], "match": MATCH}
ALL = ("gold", "direct", "self", "foreign", "rlvr", "gold_rlvr", "random", "unrelated")


def planned(predictions=(), **study):
    """The design of these predictions and settings of the study."""
    return design(predictions, study)


PLAN = planned(**SETTINGS)


def col(text):
    """The column written as part.metric, such as knowledge.bits, or part@match.metric, such as split@kl.lost_bits, or
    restore@kl.bits:lower, restore@kl.bits:layer_1, restore@kl.bits:random_0.
    """
    part, _, metric = text.partition(".")
    part, _, match = part.partition("@")
    metric, _, weights = metric.partition(":")
    kind, _, number = weights.partition("_")
    places = {"layer": int(number)} if kind == "layer" else {"draw": int(number)} if kind == "random" and number else {}
    return column(part, metric, match or "-", kind or "-", **places)


def words(found):
    """What was found by part and metric, named in the way of `col`: by part@match, then by metric:weights, or
    metric:practice_dose.
    """
    said = {}
    for part, metrics in found.items():
        number = "".join(f"_{one}" for one in (part.layer, part.draw) if one != "-")
        weights = f":{part.weights}{number}" if part.weights != "-" else ""
        weights += f":{part.practice}_{part.dose}" if part.practice != "-" else ""
        here = said.setdefault(part.part + (f"@{part.match}" if part.match != "-" else ""), {})
        here |= {metric + weights: value for metric, value in metrics.items()}
    return said


def trajectory(step=(0, 1), **values):
    """A run with these values of columns, part__metric."""
    named = {col(name.replace("__", ".")): np.array(its, dtype=float) for name, its in values.items()}
    return Run(np.array(step, dtype=float), named)


def table(seeds=3, **made):
    """The tidy table of made-up records."""
    found = [one for seed in range(seeds) for one in tax_records(seed, **made)]
    return pd.DataFrame([vars(one) | one.at for one in found])
