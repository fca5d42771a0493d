"""A family of predictions judged together, from a number for each prediction and seed; and told in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from alchemy.stats.contrasts import Contrast, contrast, holm, verdict
from alchemy.stats.power import power_line
from alchemy.stats.predictions import Prediction

if TYPE_CHECKING:  # its import takes a second
    import pandas as pd

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Judgement:
    """What became of a prediction.

    - `found`: its contrast over seeds
    - `adjusted`, `equivalence`: its p of no difference, and of a difference at least as large as its sesoi, adjusted
      unless it is the primary one; NaN where it was not tested
    - `verdict`: one of alchemy.stats.contrasts.VERDICTS, or "" if no seed has a number
    - `family`: the number of predictions that it was adjusted by
    """

    found: Contrast
    adjusted: float
    equivalence: float
    verdict: str
    family: int


def judge(
    plan: Sequence[Prediction], values: Mapping[str, Mapping[int, float]], untested: Collection[str] = ()
) -> dict[str, Judgement]:
    """The judgement of each prediction by name, from its numbers by seed.

    Both p of the primary prediction are its own; those of all others are Holm-adjusted, each kind together. Those named
    in `untested` have neither.
    """
    found = {one.name: contrast(np.array([*values[one.name].values()]), one.sesoi) for one in plan}
    family = [one.name for one in plan if not one.primary and one.name not in untested]
    adjusted, equivalent = (
        {one.name: getattr(found[one.name], which) if one.primary and one.name not in untested else nan for one in plan}
        | holm({name: getattr(found[name], which) for name in family})
        for which in ("p", "equivalence")
    )
    tested = max(sum(not isnan(found[name].p) for name in family), 1)
    return {
        one.name: Judgement(
            its := found[one.name],
            adjusted[one.name],
            equivalent[one.name],
            verdict(its, adjusted[one.name], one.direction, one.sesoi, equivalent[one.name]) if its.seeds else "",
            1 if one.primary else tested,
        )
        for one in plan
    }


def row_of(one: Prediction, its: Judgement) -> dict[str, str | float]:
    """A prediction and what became of it, as a row of a table of verdicts; `power` says what the run could show."""
    found = its.found
    row: dict[str, str | float] = {"name": one.name, "source": one.source, "says": one.says}
    row |= {"estimate": found.estimate, "low": found.low, "high": found.high, "p": found.p, "p_adjusted": its.adjusted}
    row |= {"equivalence_p": its.equivalence, "verdict": its.verdict or NOT_MEASURED, "seeds": found.seeds}
    row |= {"above": found.above, "below": found.below, "sesoi": one.sesoi}
    row |= {"role": "primary" if one.primary else "secondary"}
    return row | {"power": power_line(one.sesoi, one.spread, found.seeds, its.family) if found.seeds else ""}


def text_of(table: pd.DataFrame) -> str:
    """A table of verdicts as a short table in text."""
    lines = ["predictions, the primary one first: median seed [95 % interval], seeds above and below 0, p adjusted"]
    wide = max([32, *table["name"].str.len()])
    for row in table.sort_values("role", kind="stable").to_dict("records"):
        number = "" if isnan(row["estimate"]) else f"{row['estimate']:+.3f}"
        number += "" if isnan(row["low"]) else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        number += "" if isnan(row["p_adjusted"]) else f"  {row['above']}:{row['below']}  p {row['p_adjusted']:.2g}"
        lines.append(f"{row['name']:<{wide}} {row['verdict']:<20} {number}".rstrip())
    return "\n".join(lines)
