"""Contrasts of two arms over the same seeds: an estimate, tests against zero and for equivalence to zero, and a
verdict.

Equivalence is judged by a smallest effect of interest (sesoi), so that the absence of an effect can be a result as
well. The verdict is one of four, by rule. Sources: Schuirmann 1987 (two one-sided tests), Holm 1979. Shape: S seeds.
"""

from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

LEVEL = 0.05
NOISE = 1e-12  # as a share of the largest difference: what rounding alone can make
SUPPORTED, REFUTED, EQUIVALENT, UNDECIDED = VERDICTS = ("supported", "refuted", "equivalent to zero", "undecided")
SIGNS = {"above": 1, "below": -1, "none": 0, "not above": 0}  # the sign that a direction predicts


@dataclass(frozen=True)
class Contrast:
    """A mean difference over `seeds`, `estimate`, with its 95 % interval from `low` to `high`. `p` is the two-sided p
    of no difference; `equivalence` is the p of a difference at least as large as the sesoi. Whatever fewer than two
    seeds cannot give is NaN.
    """

    estimate: float
    low: float
    high: float
    p: float
    equivalence: float
    seeds: int


def contrast(differences: NDArray[np.float64], sesoi: float = nan) -> Contrast:
    """The contrast of the differences of each seed (S,), by Student's t over seeds. Differences that are NaN are left
    out.

    Differences that all agree (to rounding) have no spread: their interval is a point, and each p is 0 or 1.

    >>> found = contrast(np.array([0.1, 0.2, 0.3]), sesoi=0.05)
    >>> round(found.estimate, 3), round(found.p, 3), round(found.equivalence, 3)
    (0.2, 0.074, 0.939)
    """
    known = np.asarray(differences, dtype=float)
    known = known[~np.isnan(known)]
    seeds = len(known)
    if seeds < 2:
        return Contrast(float(known[0]) if seeds else nan, nan, nan, nan, nan, seeds)
    mean, error = float(known.mean()), float(known.std(ddof=1)) / seeds**0.5
    least = NOISE * float(np.abs(known).max())
    if abs(mean) <= least or error <= least:
        mean, error = (mean if abs(mean) > least else 0.0), (error if error > least else 0.0)
    half = error * float(stdtrit(seeds - 1, 0.975))
    p = 2 * tail(abs(mean), error, seeds - 1)
    return Contrast(mean, mean - half, mean + half, min(p, 1.0), equivalence(mean, error, seeds - 1, sesoi), seeds)


def tail(distance: float, error: float, freedom: int) -> float:
    """The one-sided p of a mean that is `distance` above zero: the probability that Student's t is at least distance /
    error. `distance` may be below 0.
    """
    if error == 0:
        return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
    return float(stdtr(freedom, -distance / error))


def equivalence(mean: float, error: float, freedom: int, sesoi: float) -> float:
    """The larger p of two one-sided t tests, one of a mean at or below -sesoi and one of a mean at or above sesoi; NaN
    without a sesoi.
    """
    if isnan(sesoi):
        return nan
    return max(tail(mean + sesoi, error, freedom), tail(sesoi - mean, error, freedom))


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
    """The verdict on a prediction, one of VERDICTS. `found` is its contrast, and `adjusted` and `equivalence` are the p
    values of that, as adjusted. `direction` is where the prediction has the difference.

    above, below: "equivalent to zero" if equivalence < .05; else "supported" if adjusted < .05 and the sign is as
    predicted, and "refuted" if it is the other. none: "supported" if equivalence < .05; else "refuted" if adjusted <
    .05 and the estimate is at least the sesoi on either side. not above: as none, but refuted only from above. All
    else, and one seed, is "undecided": a missing effect alone refutes nothing. Raises ValueError for another direction.
    """
    # Equivalence goes first: a difference that is certain, and certainly smaller than the sesoi, does not matter.
    if direction not in SIGNS:
        raise ValueError(f"direction {direction!r} of a prediction is none of {', '.join(SIGNS)}")
    sign = SIGNS[direction]
    if equivalence < LEVEL:
        return EQUIVALENT if sign else SUPPORTED
    if not adjusted < LEVEL:
        return UNDECIDED
    if sign:
        return SUPPORTED if found.estimate * sign > 0 else REFUTED
    size = found.estimate if direction == "not above" else abs(found.estimate)
    return REFUTED if size >= sesoi else UNDECIDED
