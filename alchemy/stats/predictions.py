"""Predictions that are made before a study is run.

A configuration holds predictions as plain settings (conf/predictions/). Each job's run.json repeats them, so that
figures are drawn by what was fixed before the results were known. This file needs no pandas, since predictions are read
before anything is trained.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import nan
from typing import Any, get_type_hints

from alchemy.data.kinds import check

SIGNS = {"above": 1, "below": -1, "none": 0, "not above": 0}  # the sign that a direction predicts


@dataclass(frozen=True)
class Prediction:
    """A prediction that `measure` of `arm` (less that of `other`, if one is named), at the point `match`, lies in a
    `direction` from zero: above; below; none, which is no further from zero than `sesoi`; or not above, which is the
    same but cannot be refuted from below. `sesoi` is the smallest effect of interest, in the measure's unit; where
    `stake` names an arm, all of it is a share of what that arm loses in the same seed, and so is the sesoi. `spread` is
    the standard deviation over seeds that a pilot had, in the same unit, from which follows what the run can show.

    An arm is a name, or name/keep with a way to preserve knowledge. The measure added_r2 is of several arms, joined by
    +. `load` is None for the load that most arms have. A `primary` prediction is tested alone, and all others as one
    family (Holm). Raises ValueError for an unknown direction, and a sesoi that is not above 0.
    """

    name: str
    source: str
    says: str
    measure: str
    arm: str
    other: str = ""
    match: str = "opening"
    direction: str = "above"
    sesoi: float = nan
    stake: str = ""
    spread: float = nan
    primary: bool = False
    load: float | None = None

    def __post_init__(self) -> None:
        self.named("direction", SIGNS)
        if not self.sesoi > 0:
            raise ValueError(f"prediction {self.name}: sesoi must be above 0, the smallest effect that would matter")

    def named(self, field: str, known: Iterable[str]) -> None:
        """Raises ValueError if a field is none of those that the study knows."""
        if getattr(self, field) not in known:
            raise ValueError(f"prediction {self.name}: {field} is none of {', '.join(known)}: correct it")


def predictions(listed: Iterable[Mapping[str, Any]]) -> tuple[Prediction, ...]:
    """The predictions in plain settings, each of which has the fields of a Prediction by name.

    Raises ValueError for a field that is missing or unknown, two predictions of one name, or more than one primary.
    """
    known = [field.name for field in fields(Prediction)]
    found = []
    for said in listed:
        if wrong := [name for name in said if name not in known]:
            raise ValueError(f"prediction {said.get('name')}: no field {', '.join(wrong)}; it has {', '.join(known)}")
        if lacking := [name for name in known[:5] if not said.get(name)]:
            raise ValueError(f"prediction {said.get('name')}: it lacks {', '.join(lacking)}")
        for name, kind in get_type_hints(Prediction).items():
            check(f"prediction {said['name']}: {name}", said.get(name, getattr(Prediction, name, "")), kind)
        found.append(Prediction(**said))
    if len({one.name for one in found}) < len(found):
        raise ValueError("two predictions have one name: give each its own")
    if sum(one.primary for one in found) > 1:
        raise ValueError("more than one prediction is primary: choose one before the run")
    return tuple(found)
