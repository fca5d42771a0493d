"""Components of variance of numbers that were measured in every world by every seed: how much is the world's, how much
the seed's, and how much is left.

Source: the random two-way layout without replicates, by the method of moments (Searle, Casella and McCulloch, Variance
Components, 1992). Shapes: W worlds, S seeds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMES = ("worlds", "seeds", "rest")


@dataclass(frozen=True)
class Components:
    """Components of variance, by name (NAMES).

    - `variance`: the variance of each, in the unit of the values squared; an estimate below 0 counts as 0
    - `share`: each as a share of their sum; NaN if nothing varies
    - `negative`: the names of those whose estimate was below 0: their variance is too small for so few values to show
    """

    variance: dict[str, float]
    share: dict[str, float]
    negative: tuple[str, ...]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {share:.0%}" for name, share in self.share.items())
        below = f" (estimated below 0: {', '.join(self.negative)})" if self.negative else ""
        return f"{said} of the variance{below}"


def components(values: NDArray[np.float64]) -> Components:
    """Components of variance of `values` (W, S), one number for each world and seed.

    A value is a mean, plus an effect of its world, one of its seed, and a rest, all independent of one another. The
    rest has how world and seed go together, and noise: without replicates nobody can tell these apart. Estimates are
    those at which the mean squares of worlds, seeds and rest are as large as expected. Raises ValueError for fewer than
    two worlds or seeds, and for a value that is missing.

    >>> components(np.array([[1.0, 3.0], [5.0, 7.0]])).variance
    {'worlds': 8.0, 'seeds': 2.0, 'rest': 0.0}
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2 or not np.isfinite(values).all():
        raise ValueError(f"components need a number for each of two or more worlds and seeds, not {values.shape}")
    worlds, seeds = values.shape
    by_world, by_seed, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = values - by_world[:, None] - by_seed + mean
    squares = float((rest**2).sum()) / ((worlds - 1) * (seeds - 1))
    found = {
        "worlds": float(by_world.var(ddof=1)) - squares / seeds,
        "seeds": float(by_seed.var(ddof=1)) - squares / worlds,
        "rest": squares,
    }
    variance = {name: max(its, 0.0) for name, its in found.items()}
    total = sum(variance.values())
    share = {name: its / total if total > 0 else np.nan for name, its in variance.items()}
    return Components(variance, share, tuple(name for name, its in found.items() if its < 0))
