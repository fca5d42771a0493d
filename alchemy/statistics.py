"""Intervals over seeds, by a bootstrap on two levels: seeds are drawn again, and the rows within each seed."""

import numpy as np
from numpy.typing import NDArray

from alchemy.seeds import stream

REPLICATES = 4000
COVERED = (2.5, 97.5)  # percent


def row_error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean of a seed's rows (B,), each from 0 to 1.

    Rows that all agree may still have had exceptions: the error is never below that of a share of half a row in B.
    """
    rows = len(values)
    rare = 0.5 / (rows + 1)
    least = (rare * (1 - rare) / (rows + 2)) ** 0.5
    return max(float(values.std()) / rows**0.5, least)


def interval(
    means: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Low and high end (C,) of 95 % intervals of the mean over seeds, for C cells of S seeds each (C, S).

    Seeds are drawn with replacement, and each drawn seed's mean moves by its own rows' error. What seeds deviate
    from their mean is widened by sqrt(S / (S - 1)), without which so few seeds would look too much alike. One seed has
    no interval. Source: the two-level bootstrap for nested data; every cell uses the same draws.
    """
    cells, seeds = means.shape
    if seeds < 2:
        return np.full(cells, np.nan), np.full(cells, np.nan)
    rng = stream(0, "bootstrap", str(seeds))
    drawn = rng.integers(0, seeds, (REPLICATES, seeds))
    moved = rng.standard_normal((REPLICATES, seeds))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(seeds)], axis=1) / seeds  # (R, S)
    shift = np.stack([np.where(drawn == seed, moved, 0).sum(axis=1) for seed in range(seeds)], axis=1) / seeds
    centre = means.mean(axis=1, keepdims=True)
    wide = (means - centre) * (seeds / (seeds - 1)) ** 0.5
    low, high = np.empty(cells), np.empty(cells)
    for start in range(0, cells, 1024):
        some = slice(start, start + 1024)
        replicates = wide[some] @ times.T + errors[some] @ shift.T  # (c, R)
        low[some], high[some] = np.percentile(replicates, COVERED, axis=1)
    middle = centre[:, 0]
    return middle + np.minimum(low, 0), middle + np.maximum(high, 0)
