"""Fitted curves of success, falling from 1 to 0, to all seeds and to each alone.

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

Array = NDArray[np.float64]
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
    """A fitted curve, one of LAWS: its `parameters`, the `lowest` and the `highest` of them in fits to single seeds
    (NaN where fewer than two seeds can be fitted), and the share of the variance between points that is `explained`.
    `steep` means that success falls within one step of x, from nearly all to none, so many other parameters would do.
    """

    name: str
    parameters: tuple[float, float]
    lowest: tuple[float, float]
    highest: tuple[float, float]
    explained: float
    steep: bool

    def __str__(self) -> str:
        names = LAWS[self.name][1]
        parts = zip(names, self.parameters, self.lowest, self.highest, strict=True)
        said = ", ".join(
            f"{name} = {value:.3g}" + (f" (seeds {low:.3g} to {high:.3g})" if low <= high else "")
            for name, value, low, high in parts
        )
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
    alone = [solve(name, x[seeds == seed], y[seeds == seed]) for seed in np.unique(seeds)]
    known = np.array([found for found in alone if found is not None])
    low, high = (known.min(axis=0), known.max(axis=0)) if len(known) > 1 else np.full((2, 2), np.nan)
    first, second = parameters
    means = np.array([y[x == value].mean() for value in np.unique(x)])
    steep = bool(np.count_nonzero((means > 0.05) & (means < 0.95)) < 2)
    return Law(name, (first, second), (low[0], low[1]), (high[0], high[1]), explained, steep)


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
