"""Contrasts over the same seeds in two arms: estimate, tests against zero and for equivalence to it, and a verdict.

S seeds. A null is a result as well: every contrast carries a smallest effect of interest (sesoi), and the outcome is
one of four, by rule. Sources: Schuirmann 1987 (two one-sided tests), Holm 1979.
"""

from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

LEVEL = 0.05
NOISE = 1e-12  # of the largest difference: what rounding alone makes
SUPPORTED, REFUTED, EQUIVALENT, UNDECIDED = VERDICTS = ("supported", "refuted", "equivalent to zero", "undecided")
SIGNS = {"above": 1, "below": -1, "none": 0, "not above": 0}  # where a prediction has a difference, against zero


@dataclass(frozen=True)
class Contrast:
    """A mean over `seeds` with its 95 % interval `low` to `high`; `p`, two-sided, of no difference; `equivalence`, p
    of a difference as large as the sesoi or larger. NaN for what fewer than two seeds do not give.
    """

    estimate: float
    low: float
    high: float
    p: float
    equivalence: float
    seeds: int


def contrast(differences: NDArray[np.float64], sesoi: float = nan) -> Contrast:
    """The contrast of per-seed differences (S,), those that are NaN left out, by Student's t over seeds.

    Differences that all agree (to rounding) have no spread: their interval is a point, and each p is 0 or 1.
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
    """The probability that Student's t is `distance` above zero or more; `distance` may be below it."""
    if error == 0:
        return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
    return float(stdtr(freedom, -distance / error))


def equivalence(mean: float, error: float, freedom: int, sesoi: float) -> float:
    """The larger p of two one-sided t tests, of a mean at or below -sesoi and at or above sesoi; NaN without one."""
    if isnan(sesoi):
        return nan
    return max(tail(mean + sesoi, error, freedom), tail(sesoi - mean, error, freedom))


def holm(p: dict[str, float]) -> dict[str, float]:
    """The p values of a family, adjusted so that any false rejection among them has at most the chosen probability.

    In ascending order the first counts m-fold, the next (m - 1)-fold, and none less than the one before; those that are
    NaN were not tested, and do not count. .01 .04 .03 become .03 .06 .06.
    """
    tested = sorted((value, name) for name, value in p.items() if not isnan(value))
    adjusted, so_far = dict.fromkeys(p, nan), 0.0
    for rank, (value, name) in enumerate(tested):
        so_far = max(so_far, min(1.0, value * (len(tested) - rank)))
        adjusted[name] = so_far
    return adjusted


def verdict(found: Contrast, adjusted: float, direction: str, sesoi: float, equivalence: float) -> str:
    """What a contrast says of a prediction, by rule; `adjusted` and `equivalence` are its p values, as adjusted.
    "above" or "below" zero: equivalent to zero if equivalence < .05; else supported if adjusted < .05 with the
    predicted sign, refuted with the other. "none": supported if equivalence < .05; else refuted if adjusted < .05 and
    the estimate is sesoi or more, on either side ("not above": above). Else, and with one seed, undecided: a null
    alone refutes nothing. Raises ValueError.
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
