"""Means of a seed's rows with their errors; and intervals over seeds, by a bootstrap on two levels: seeds are drawn
again, and the rows within each seed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alchemy.data.seeds import stream

REPLICATES = 4000
COVERED = (2.5, 97.5)  # percent


def mean(rows: NDArray) -> tuple[float, float]:
    """Mean of a seed's rows (B,), in any unit, and its standard error; NaN and 0 of no row."""
    if not len(rows):
        return np.nan, 0.0
    values = rows.astype(np.float64)
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


def row_error(rows: NDArray) -> float:
    """Standard error of the mean of a seed's rows (B,), each from 0 to 1.

    Rows that all agree may still have had exceptions: the error is never below that of a share of half a row in B.
    """
    rare = 0.5 / (len(rows) + 1)
    least = (rare * (1 - rare) / (len(rows) + 2)) ** 0.5
    return max(mean(rows)[1], least)


def share(rows: NDArray) -> tuple[float, float]:
    """The share of a seed's rows (B,) that are true, with its `row_error`; NaN and 0 of no row."""
    return mean(rows)[0], row_error(rows) if len(rows) else 0.0


def interval(
    means: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high end (C,) of 95 % intervals of the mean over seeds, for C cells of S seeds each (C, S).

    Seeds are drawn with replacement, and each drawn seed's mean moves by its own rows' error. What seeds deviate
    from their mean is widened by sqrt(S / (S - 1)), without which so few seeds would look too much alike. One seed has
    no interval. Source: the two-level bootstrap for nested data; every cell uses the same draws.
    """
    return ends(means.mean(axis=1), [(1, means, errors, draws(means.shape[1], "bootstrap"))])


def difference(
    means: NDArray[np.float64],
    errors: NDArray[np.float64],
    other_means: NDArray[np.float64],
    other_errors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high end (C,) of 95 % intervals of the mean over seeds (C, S) less that over other seeds (C, S'), as
    `interval` has them. The two sets of seeds are drawn apart; where they are the same seeds and go together, the
    interval is wider than it need be.
    """
    middle = means.mean(axis=1) - other_means.mean(axis=1)
    mine, its = draws(means.shape[1], "bootstrap"), draws(other_means.shape[1], "bootstrap of the other")
    return ends(middle, [(1, means, errors, mine), (-1, other_means, other_errors, its)])


Draws = tuple[NDArray[np.float64], NDArray[np.float64]]  # (R, S): how often each seed is drawn, how far its rows move


def draws(seeds: int, name: str) -> Draws:
    rng = stream(0, name, str(seeds))
    drawn = rng.integers(0, seeds, (REPLICATES, seeds))
    moved = rng.standard_normal((REPLICATES, seeds))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(seeds)], axis=1) / seeds
    shift = np.stack([np.where(drawn == seed, moved, 0).sum(axis=1) for seed in range(seeds)], axis=1) / seeds
    return times, shift


def ends(
    middle: NDArray[np.float64], terms: Sequence[tuple[int, NDArray[np.float64], NDArray[np.float64], Draws]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high end (C,) about `middle` (C,) of a sum of signed means over seeds, each with its errors and draws."""
    low, high = np.full(len(middle), np.nan), np.full(len(middle), np.nan)
    if any(means.shape[1] < 2 for _, means, _, _ in terms):
        return low, high
    for start in range(0, len(middle), 1024):
        some = slice(start, start + 1024)
        replicates = sum(
            sign * (widened(means[some]) @ times.T + errors[some] @ shift.T)
            for sign, means, errors, (times, shift) in terms
        )  # (c, R)
        low[some], high[some] = np.percentile(replicates, COVERED, axis=1)
    return middle + np.minimum(low, 0), middle + np.maximum(high, 0)


def widened(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, S) what seeds deviate from their mean, as much as those of all seeds would."""
    seeds = means.shape[1]
    return (means - means.mean(axis=1, keepdims=True)) * (seeds / (seeds - 1)) ** 0.5
