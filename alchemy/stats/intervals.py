"""Intervals over seeds, which hold the truth in at least 95 % of experiments, whatever the seeds are like.

Three seeds say little of a fourth where a seed is all or nothing, so nothing is assumed but what is known:

- numbers from 0 to 1 (unit share): the interval is of the mean over all seeds that there could be. It is Gaffke's bound
  on both sides, which for seeds that are all 0 or 1 is the exact binomial one (Clopper and Pearson).
- all other numbers: no interval of a mean can be had without a range, so it is of the median seed, by the order of the
  seeds: from six seeds on, since the median lies outside all of five in one experiment of sixteen.

How often they hold the truth, by shape and number of seeds: benchmarks/intervals.py. Sources: Gaffke 2005;
arXiv:1905.06208; the order statistics are those of the sign test.

Shapes: C cells, S seeds.
"""

from functools import lru_cache
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.optimize import brentq

Array = NDArray[np.float64]
COVERED = 0.95
NEAR = 0.05  # of 0 or 1: such a seed is all or nothing
APART = 1e-9  # by which equal numbers are set apart, since the curve below needs different ones


def interval(values: Array, unit: str = "share", covered: float = COVERED) -> tuple[Array, Array]:
    """The low and the high ends (C,) of intervals over the seeds of each cell, whose numbers are `values` (C, S).

    For the unit share they are of the mean, for any other of the median. NaN for too few seeds: one, or, for the
    median, five.

    >>> low, high = interval(np.array([[0.0, 0.0, 1.0], [0.4, 0.5, 0.6]]))
    >>> low.round(3), high.round(3)
    (array([0.008, 0.144]), array([0.906, 0.856]))
    """
    values = np.asarray(values, dtype=float)
    if unit == "share":
        ends = [mean_between(tuple(row), covered) for row in np.sort(values, axis=1).tolist()]
        low, high = np.array(ends).reshape(-1, 2).T
        return low, high
    rank = order(values.shape[1], covered)
    if not rank:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    ranked = np.sort(values, axis=1)
    return ranked[:, rank - 1], ranked[:, -rank]


def difference(values: Array, others: Array, unit: str = "share") -> tuple[Array, Array]:
    """The low and the high ends (C,) of 95 % intervals of a mean (or median) over seeds (C, S), less that over other
    seeds (C, S'). Each of the two has an interval of 97.5 %, so both hold at once in 95 % of experiments.

    >>> low, high = difference(np.zeros((1, 10)), np.ones((1, 10)))
    >>> low.round(2), high.round(2)
    (array([-1.]), array([-0.29]))
    """
    low, high = interval(values, unit, (1 + COVERED) / 2)
    its_low, its_high = interval(others, unit, (1 + COVERED) / 2)
    return low - its_high, high - its_low


def at_one(values: Array) -> NDArray[np.int64]:
    """How many seeds of each cell are at 1 (C,), where each of its `values` (C, S) is at 0 or at 1, to NEAR; elsewhere
    -1.

    >>> at_one(np.array([[0.0, 0.01, 0.99], [0.0, 0.5, 1.0]]))
    array([ 1, -1])
    """
    ones = values >= 1 - NEAR
    return np.where((ones | (values <= NEAR)).all(axis=1), ones.sum(axis=1), -1)


@lru_cache(maxsize=1 << 16)
def mean_between(values: tuple[float, ...], covered: float = COVERED) -> tuple[float, float]:
    """The ends of the interval of a mean, from the numbers of seeds in ascending order, each from 0 to 1; NaN for one.

    Raises ValueError for a number outside 0 to 1.
    """
    if not -1e-9 <= values[0] <= values[-1] <= 1 + 1e-9:
        raise ValueError(f"a share lies from 0 to 1, and this one is {values[0]:g} to {values[-1]:g}: check its unit")
    if len(values) < 2:
        return np.nan, np.nan
    mirrored = tuple(1 - value for value in reversed(values))
    tail = (1 - covered) / 2
    return 1 - highest_mean(mirrored, 1 - tail), highest_mean(values, 1 - tail)


def highest_mean(values: tuple[float, ...], covered: float) -> float:
    """The upper bound of a mean that holds in `covered` of experiments.

    The numbers and 1 are weighted by the shares into which as many points as there are numbers cut a stick at random;
    the bound is a quantile of this sum. Its density is a B-spline with the numbers as knots (Curry and Schoenberg).
    """
    number = len(values)
    knots = np.clip(np.append(values, 1.0), 0, 1) + APART * (np.arange(number + 1) - number)
    if knots[-1] - knots[0] < 1e3 * APART * number:
        return 1.0
    reached = BSpline.basis_element(knots, extrapolate=False).antiderivative()
    none, whole = float(reached(knots[0])), float(reached(knots[-1]))
    bound = brentq(lambda x: (float(reached(x)) - none) / (whole - none) - covered, knots[0], knots[-1], xtol=1e-9)
    return float(min(max(bound, 0.0), 1.0))


def order(seeds: int, covered: float = COVERED) -> int:
    """The largest k for which the k-th smallest and the k-th largest of so many seeds hold their median in `covered` of
    experiments; 0 if not even the smallest and the largest do.

    >>> [order(seeds) for seeds in (5, 6, 10, 20)]
    [0, 1, 2, 6]
    """
    missed = [2 * sum(comb(seeds, j) for j in range(k)) / 2**seeds for k in range(1, seeds // 2 + 1)]
    return sum(chance <= 1 - covered for chance in missed)
