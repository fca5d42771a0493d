"""A family of predictions judged together, from a number for each prediction and seed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from alchemy.stats.contrasts import Contrast, contrast, holm, verdict
from alchemy.stats.predictions import Prediction


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
