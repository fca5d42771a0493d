"""Contrasts of two arms over the same seeds: a median difference, tests against zero and for equivalence, a verdict.

All of it follows from how many seeds lie on which side (sign tests), so it holds for seeds of any shape, and fewer than
six seeds show nothing. Equivalence is judged by a smallest effect of interest (sesoi). Sources: Schuirmann 1987 (two
one-sided tests), Holm 1979. Shape: S seeds.
"""

from dataclasses import dataclass
from math import comb, isnan, nan

import numpy as np
from numpy.typing import NDArray

from alchemy.stats.intervals import interval
from alchemy.stats.predictions import SIGNS

LEVEL = 0.05
NOISE = 1e-12  # as a share of the largest difference: what rounding alone can make
SUPPORTED, REFUTED, SMALL, EQUIVALENT, UNDECIDED = VERDICTS = (
    "supported",
    "refuted",
    "small but real",
    "equivalent to zero",
    "undecided",
)


@dataclass(frozen=True)
class Contrast:
    """A median difference over `seeds`, `estimate`, with its 95 % interval from `low` to `high`.

    So many seeds are `above` zero, and so many `below`; `values` are those of each. `p` is the two-sided p of no
    difference; `equivalence` is the p of a difference at least as large as the sesoi. Whatever the seeds are too few
    for is NaN.
    """

    estimate: float
    low: float
    high: float
    p: float
    equivalence: float
    seeds: int
    above: int = 0
    below: int = 0
    values: tuple[float, ...] = ()


def contrast(differences: NDArray[np.float64], sesoi: float = nan) -> Contrast:
    """The contrast of the differences of each seed (S,). Differences that are NaN are left out.

    >>> found = contrast(np.array([0.1, 0.2, 0.3, 0.2, 0.1, 0.4]), sesoi=0.05)
    >>> found.estimate, round(found.low, 3), round(found.high, 3), round(found.p, 3), found.equivalence
    (0.2, 0.1, 0.4, 0.031, 1.0)
    """
    known = np.asarray(differences, dtype=float)
    known = known[~np.isnan(known)]
    seeds = len(known)
    if not seeds:
        return Contrast(nan, nan, nan, nan, nan, 0)
    least = NOISE * float(np.abs(known).max())
    above, below = int((known > least).sum()), int((known < -least).sum())
    (low,), (high,) = interval(known[None], unit="ratio")
    p = min(2 * at_least(max(above, below), seeds), 1.0) if seeds > 1 else nan
    within = (int((known > -sesoi).sum()), int((known < sesoi).sum()))
    equivalence = max(at_least(count, seeds) for count in within) if seeds > 1 and not isnan(sesoi) else nan
    middle, values = float(np.median(known)), tuple(known.tolist())
    return Contrast(middle, float(low), float(high), p, equivalence, seeds, above, below, values)


def at_least(count: int, seeds: int) -> float:
    """The probability that at least `count` of so many seeds lie on one side of the median of all seeds.

    >>> at_least(6, 6)
    0.015625
    """
    return sum(comb(seeds, k) for k in range(count, seeds + 1)) / 2**seeds


def holm(p: dict[str, float]) -> dict[str, float]:
    """The p values of a family by name, adjusted by Holm's method: the probability of any false rejection is at most
    the level at which they are judged.

    In ascending order, the first of m is multiplied by m, the next by m - 1, and so on, and none is less than the one
    before. Those that are NaN were not tested, and do not count.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    tested = sorted((value, name) for name, value in p.items() if not isnan(value))
    adjusted, so_far = dict.fromkeys(p, nan), 0.0
    for rank, (value, name) in enumerate(tested):
        so_far = max(so_far, min(1.0, value * (len(tested) - rank)))
        adjusted[name] = so_far
    return adjusted


def verdict(found: Contrast, adjusted: float, direction: str, sesoi: float, equivalence: float) -> str:
    """The verdict on a prediction, one of VERDICTS. `found` is its contrast, and `adjusted` and `equivalence` are its p
    values, both as adjusted. `direction` is where the prediction has the difference.

    Real means adjusted < .05, and small means equivalence < .05. What is both is "small but real". above, below: small
    alone is "equivalent to zero"; real alone is "supported" if the sign is as predicted, else "refuted". none: small
    alone is "supported", real alone "refuted" if the estimate is at least the sesoi on either side. not above: as none,
    but refuted only from above, and all that is real and below zero is "undecided". All else is "undecided": a missing
    effect alone refutes nothing. Raises ValueError for another direction.
    """
    if direction not in SIGNS:
        raise ValueError(f"direction {direction!r} of a prediction is none of {', '.join(SIGNS)}")
    sign, real, small = SIGNS[direction], adjusted < LEVEL, equivalence < LEVEL
    if real and small:
        return SMALL
    if small:
        return EQUIVALENT if sign else SUPPORTED
    if not real:
        return UNDECIDED
    if sign:
        return SUPPORTED if found.estimate * sign > 0 else REFUTED
    size = found.estimate if direction == "not above" else abs(found.estimate)
    return REFUTED if size >= sesoi else UNDECIDED
