"""Fitted curves of success, falling from 1 to 0, with intervals over seeds.

Source: arXiv:2508.01191, section 7, has the exponential bound on success by T(C) and the Gaussian form of the length
error; it does not have the logistic curve.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit

from alchemy.data.seeds import stream

Array = NDArray[np.float64]
REPLICATES = 300
ENOUGH = 0.9  # the least share of the variance between points with which a law counts as fitting


def exponential(x: Array, kappa: float, tau: float) -> Array:
    """Success exp(-kappa (x - tau)), at most 1."""
    return np.exp(-kappa * np.maximum(x - tau, 0))


def gaussian(x: Array, sigma: float, floor: float) -> Array:
    """Success (1 - floor) exp(-x² / (2 sigma²)). The error is `floor` at x = 0, and grows with x."""
    return (1 - floor) * np.exp(-(x**2) / (2 * sigma**2))


def logistic(x: Array, slope: float, middle: float) -> Array:
    """Success 1 / (1 + exp(slope (x - middle))), which is one half at `middle`."""
    return expit(-slope * (x - middle))


LAWS: dict[str, tuple[Callable[..., Array], tuple[str, str]]] = {
    "exponential": (exponential, ("kappa", "tau")),
    "Gaussian": (gaussian, ("sigma", "floor")),
    "logistic": (logistic, ("slope", "middle")),
}


@dataclass(frozen=True)
class Law:
    """A fitted curve, one of LAWS: `parameters` with 95 % intervals from `low` to `high`, by a bootstrap of seeds and
    of the points of each, and the share of the variance between points that is `explained`. `steep` means that success
    falls within one step of x, from nearly all to nearly none, so that many other parameters would do as well.
    """

    name: str
    parameters: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    explained: float
    steep: bool

    def __str__(self) -> str:
        names = LAWS[self.name][1]
        parts = zip(names, self.parameters, self.low, self.high, strict=True)
        said = ", ".join(f"{name} = {value:.3g} [{low:.3g}, {high:.3g}]" for name, value, low, high in parts)
        doubt = ", a step: parameters not identified" if self.steep else ""
        return f"{self.name}: {said}, R² = {self.explained:.2f}{doubt}"


def fit_law(name: str, x: Array, y: Array, seeds: NDArray[np.int64]) -> Law | None:
    """The law `name` of LAWS fitted by least squares to points `x`, `y` (n,) with their `seeds` (n,); None where the
    fit fails.

    >>> x, seeds = np.tile(np.arange(6.0), 3), np.repeat([0, 1, 2], 6)
    >>> round(fit_law("exponential", x, np.exp(-0.5 * x), seeds).parameters[0], 3)
    0.5
    """
    parameters = solve(name, x, y)
    if parameters is None:
        return None
    law, _ = LAWS[name]
    explained = 1 - float(((y - law(x, *parameters)) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12))
    rng = stream(0, "laws")
    replicates = []
    for _ in range(REPLICATES):
        chosen = np.concatenate(
            [rng.choice(own := np.flatnonzero(seeds == seed), len(own)) for seed in resampled(seeds, rng)]
        )
        if (again := solve(name, x[chosen], y[chosen])) is not None:
            replicates.append(again)
    low, high = np.percentile(np.array(replicates or [parameters]), (2.5, 97.5), axis=0)
    first, second = parameters
    means = np.array([y[x == value].mean() for value in np.unique(x)])
    steep = bool(np.count_nonzero((means > 0.05) & (means < 0.95)) < 2)
    return Law(name, (first, second), (low[0], low[1]), (high[0], high[1]), explained, steep)


def resampled(seeds: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """As many seeds as there are different ones, drawn from them with replacement."""
    different = np.unique(seeds)
    return rng.choice(different, len(different))


def solve(name: str, x: Array, y: Array) -> tuple[float, float] | None:
    """The two parameters of a law that fit best, or None where the search fails."""
    law, _ = LAWS[name]
    scale = float(max(x.max(), 1e-6))
    starts = {"exponential": (2 / scale, 0.0), "Gaussian": (scale / 2, 0.01), "logistic": (8 / scale, scale / 3)}
    bounds = {
        "exponential": ([0, -scale], [1e3 / scale, scale]),
        "Gaussian": ([1e-3 * scale, 0], [1e3 * scale, 1]),
        "logistic": ([0, -scale], [1e3 / scale, 2 * scale]),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            (first, second), _ = curve_fit(law, x, y, p0=starts[name], bounds=bounds[name], maxfev=2000)
    except (RuntimeError, ValueError):
        return None
    return float(first), float(second)


def law_verdict(laws: list[Law]) -> str:
    """The first of `laws`, the best one first, as text; or a sentence that none fits."""
    if not laws:
        return "No law could be fitted."
    if laws[0].explained < ENOUGH:
        return f"No law fits: the best explains R² = {laws[0].explained:.2f} ({laws[0].name}), below {ENOUGH}."
    return str(laws[0])


def fit_threshold(x: Array, y: Array, seeds: NDArray[np.int64]) -> Law | None:
    """The logistic law fitted to 1 - y (n,) over x, where y rises: its `middle` is the x at which y is one half.

    None where y does not rise from below one half to above it within x, or where the curve does not fit.
    """
    means = np.array([y[x == value].mean() for value in np.unique(x)])
    if len(means) < 3 or not means[0] < 0.5 <= means[-1]:
        return None
    law = fit_law("logistic", x, 1 - y, seeds)
    return law if law and x.min() <= law.parameters[1] <= x.max() and law.explained >= ENOUGH else None
