"""Means of a seed's rows with their standard errors, and intervals over seeds by a two-level bootstrap, which draws
seeds again, and rows within each seed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alchemy.data.seeds import stream

REPLICATES = 4000
COVERED = (2.5, 97.5)  # percent


def interval(
    means: NDArray[np.float64], errors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The low and the high ends (C,) of 95 % intervals of the mean over seeds, for C cells. `means` and `errors` (C, S)
    are the mean of each seed's rows, and its standard error.

    Seeds are drawn with replacement, and each drawn seed's mean is moved by its error times a normal number. Deviations
    of seeds from their mean are widened by sqrt(S / (S - 1)), without which a few seeds would seem too much alike. The
    ends are NaN for one seed. Source: the two-level bootstrap for nested data; every cell has the same draws.

    >>> low, high = interval(np.array([[0.5, 0.6, 0.7]]), np.zeros((1, 3)))
    >>> low.round(2), high.round(2)
    (array([0.48]), array([0.72]))
    """
    return ends(means.mean(axis=1), [(1, means, errors, draws(means.shape[1], "bootstrap"))])


def difference(
    means: NDArray[np.float64],
    errors: NDArray[np.float64],
    other_means: NDArray[np.float64],
    other_errors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The low and the high ends (C,) of 95 % intervals of the mean over seeds (C, S) less that over other seeds (C,
    S'), as from `interval`. The two sets of seeds are drawn independently, so the interval is wider than need be where
    they are the same seeds and go together.

    >>> none = np.zeros((1, 3))
    >>> low, high = difference(np.array([[0.5, 0.6, 0.7]]), none, np.array([[0.1, 0.2, 0.3]]), none)
    >>> low.round(2), high.round(2)
    (array([0.24]), array([0.56]))
    """
    middle = means.mean(axis=1) - other_means.mean(axis=1)
    mine, its = draws(means.shape[1], "bootstrap"), draws(other_means.shape[1], "bootstrap of the other")
    return ends(middle, [(1, means, errors, mine), (-1, other_means, other_errors, its)])


Draws = tuple[NDArray[np.float64], NDArray[np.float64]]  # (R, S) each, as from `draws`


def draws(seeds: int, name: str) -> Draws:
    """The draws of a bootstrap of so many seeds, always the same for one `name`: two arrays (R, S), the share of the
    draws that each seed has, and how far its rows move the mean, in units of its error.
    """
    rng = stream(0, name, str(seeds))
    drawn = rng.integers(0, seeds, (REPLICATES, seeds))
    moved = rng.standard_normal((REPLICATES, seeds))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(seeds)], axis=1) / seeds
    shift = np.stack([np.where(drawn == seed, moved, 0).sum(axis=1) for seed in range(seeds)], axis=1) / seeds
    return times, shift


def ends(
    middle: NDArray[np.float64], terms: Sequence[tuple[int, NDArray[np.float64], NDArray[np.float64], Draws]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The low and the high ends (C,) of intervals about `middle` (C,), the sum of signed means over seeds. Each of
    `terms` is a sign with means (C, S), their errors (C, S) and draws. The ends are NaN if a term has one seed.
    """
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
    """The deviations of seeds from their mean (C, S), times sqrt(S / (S - 1))."""
    seeds = means.shape[1]
    return (means - means.mean(axis=1, keepdims=True)) * (seeds / (seeds - 1)) ** 0.5
