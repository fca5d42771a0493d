"""Design of this study, which is fixed before it is run: where arms are compared, what is predicted, what a base must
have.

This file imports neither pandas nor PyTorch, since it is read before anything is trained.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alchemy.data.kinds import check
from alchemy.stats.predictions import Prediction, predictions
from alchemy.studies.reasoning_tax.coordinates import column

MATCHES = {  # what arms are compared at: column, words, and default value
    "opening": (column("procedural", "opening"), "opening rate", 0.5),
    "kl": (column("update", "kl"), "KL", 0.2),
    "norm": (column("update", "norm"), "relative size of the update", 0.015),
}
BASES = {  # what a base must have: column and words
    "bits": (column("knowledge", "bits"), "of its bits"),
    "slow": (column("procedural", "slow"), "of problems right in slow mode"),
}
MEASURES = {  # a number per seed, and its unit
    "lost_bits": "bits per fact lost",
    "lower_less_upper": "share of lost bits returned",
    "lower_less_random": "share of lost bits returned",
    "lower_less_halfway": "share of lost bits returned",
    "recovered_less_missing": "share of lost bits",
    "latent_less_storage": "share of lost bits",
    "latent_gentle_less_usual": "share of lost bits",
    "storage": "bits per fact lost for good",
    "overthinking": "accuracy",
    "head_less_tail": "share of bits kept",
    "threshold": "opening rate less p*",
    "added_r2": "R² added by the arm",
    "changed": "share of weights changed",
    "infogain_change": "perplexity per step",
    "ki_change": "share of true steps",
}
STAKED = ("lost_bits", "storage")  # measures in bits lost, which can be told as a share of what an arm loses


@dataclass(frozen=True)
class Design:
    """Design of the study.

    - `matches`: where arms are compared, by match: the opening rate, nats of KL, and the relative size of the update
    - `predictions`: what is predicted
    - `base`: the least that a base must have to count, by name, as a share: of all bits, and of problems right in slow
      mode; 0 for no condition
    """

    matches: Mapping[str, float]
    predictions: tuple[Prediction, ...]
    base: Mapping[str, float]


def design(listed: Iterable[Mapping[str, Any]], study: Mapping[str, Any]) -> Design:
    """Design from a list of predictions and the study's settings `match` and `base`.

    Raises ValueError for a prediction, a match or a base that is unknown or impossible.

    >>> design([], {"match": {"opening": 0.5, "kl": 0.2}, "base": {"bits": 0.8}}).base
    {'bits': 0.8, 'slow': 0.0}
    """
    found = predictions(listed)
    for one in found:
        one.named("measure", MEASURES)
        one.named("match", MATCHES)
        if one.stake and one.measure not in STAKED:
            raise ValueError(f"prediction {one.name}: stake is for {' and '.join(STAKED)}: leave it out")
    match, base = study.get("match") or {}, study.get("base") or {}
    if not isinstance(base, Mapping) or set(base) - set(BASES):
        raise ValueError(f"study.base={base} must be shares by name, such as {{bits: 0.8, slow: 0.6}}, or null")
    for group, its in (("match", {name: match[name] for name in MATCHES if name in match}), ("base", base)):
        for name, value in its.items():
            check(f"study.{group}.{name}", value, float)
    matches = {name: float(match.get(name, usual)) for name, (_, _, usual) in MATCHES.items()}
    if wrong := [f"study.match.{name}={value}" for name, value in matches.items() if not value > 0]:
        raise ValueError(f"{' and '.join(wrong)} must be above 0: where arms are compared")
    least = {name: float(base.get(name, 0.0)) for name in BASES}
    if wrong := [f"study.base.{name}={value:g}" for name, value in least.items() if not 0 <= value < 1]:
        raise ValueError(f"{' and '.join(wrong)} must be a share from 0 to below 1: what a base must have to count")
    return Design(matches, found, least)


def design_of(runs: Iterable[Mapping[str, Any]]) -> Design:
    """Design that the run.json of all jobs share. Raises ValueError if they differ, since it must be fixed before the
    run.
    """
    said = [(run.get("predictions", []), {key: run["study"].get(key) for key in ("match", "base")}) for run in runs]
    if any(one != said[0] for one in said[1:]):
        raise ValueError(
            "jobs of this sweep had different predictions, matches or bases: run it again with one list of them"
        )
    return design(*said[0])
