"""What is predicted before a study of reasoning training is run, and where its arms are compared.

A configuration holds them as plain settings (conf/predictions/); each job's run.json repeats them, so that a figure
is drawn by what was fixed before the numbers were known. No pandas: it is read before anything is trained.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from math import nan
from typing import Any, get_type_hints

from alchemy.data.kinds import check
from alchemy.stats.contrasts import SIGNS

MATCHES = {  # what arms are compared at: its column, in words, and where, unless settings say
    "opening": ("procedural.opening", "opening rate", 0.5),
    "kl": ("update.kl", "KL", 0.2),
}
BASES = {  # what is asked of a base, at least: its column, in words
    "bits": ("knowledge.bits", "of its bits"),
    "slow": ("procedural.slow", "of problems right in slow mode"),
}
MEASURES = {  # a number per seed, and its unit
    "lost_bits": "bits per fact lost",
    "lower_less_upper": "share of lost bits returned",
    "lower_less_random": "share of lost bits returned",
    "lower_less_halfway": "share of lost bits returned",
    "latent_less_storage": "share of lost bits",
    "storage": "bits per fact lost for good",
    "overthinking": "accuracy",
    "head_less_tail": "share of bits kept",
    "threshold": "opening rate less p*",
    "added_r2": "R² added by the arm",
    "changed": "share of weights changed",
    "infogain_change": "perplexity per step",
    "ki_change": "share of true steps",
}


@dataclass(frozen=True)
class Prediction:
    """That `measure` of `arm` (less that of `other`, if one is named), where `match` is reached, lies `direction` zero:
    above, below, or none (no further from it than `sesoi`, the smallest effect of interest in the measure's unit), or
    not above (the same, of what cannot be refuted from below).

    An arm is a name, or with preservation name/keep; added_r2 is of several, joined by +. `load` is None for the load
    that most arms have. The `primary` one is tested alone, all others as one family (Holm).
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
    primary: bool = False
    load: float | None = None

    def __post_init__(self) -> None:
        for field, known in (("measure", MEASURES), ("match", MATCHES), ("direction", SIGNS)):
            if getattr(self, field) not in known:
                raise ValueError(f"prediction {self.name}: {field} is none of {', '.join(known)}: correct it")
        if not self.sesoi > 0:
            raise ValueError(f"prediction {self.name}: sesoi must be above 0, the smallest effect that would matter")


@dataclass(frozen=True)
class Design:
    """Where arms are compared, by match (opening rate; nats of KL), what is predicted, and what a base must have at
    least to count: shares, of the bits that there are and of problems right in slow mode (0: nothing is asked).
    """

    matches: Mapping[str, float]
    predictions: tuple[Prediction, ...]
    base: Mapping[str, float]


def design(settings: Mapping[str, Any]) -> Design:
    """The design in `settings`: match_opening, match_kl, base_bits, base_slow and predictions, a list of the fields of
    each; any may lack.

    Raises ValueError for what is missing or unknown, two predictions of one name, or more than one primary.
    """
    known = [field.name for field in fields(Prediction)]
    found = []
    for said in settings.get("predictions") or []:
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
    for name in (*(f"match_{match}" for match in MATCHES), *(f"base_{base}" for base in BASES)):
        check(name, settings.get(name, 0.0), float)
    matches = {match: float(settings.get(f"match_{match}", usual)) for match, (_, _, usual) in MATCHES.items()}
    if wrong := [f"match_{match}" for match, value in matches.items() if not value > 0]:
        raise ValueError(f"{' and '.join(wrong)} must be above 0: where arms are compared")
    base = {name: float(settings.get(f"base_{name}", 0.0)) for name in BASES}
    if wrong := [f"base.{name}={value:g}" for name, value in base.items() if not 0 <= value < 1]:
        raise ValueError(f"{' and '.join(wrong)} must be a share from 0 to below 1: what a base must have to count")
    return Design(matches, tuple(found), base)


def design_of(runs: Iterable[Mapping[str, Any]]) -> Design:
    """The design that all jobs' run.json share. Raises ValueError if they differ: it must be fixed before the run."""
    keys = ("predictions", *(f"match_{match}" for match in MATCHES), *(f"base_{name}" for name in BASES))
    said = [{key: run[key] for key in keys if key in run} for run in runs]
    if any(one != said[0] for one in said[1:]):
        raise ValueError(
            "jobs of this sweep had different predictions, matches or bases: run it again with one list of them"
        )
    return design(said[0])


def settings_of(plan: Design) -> dict[str, Any]:
    """A design as plain settings, as `design` takes them and a run.json holds them."""
    return (
        {"predictions": [asdict(one) for one in plan.predictions]}
        | {f"match_{match}": value for match, value in plan.matches.items()}
        | {f"base_{name}": value for name, value in plan.base.items()}
    )
