"""Laws of degradation: how right a model is against how far a Distribution is from training, with fitted curves.

    python -m alchemy.laws outputs/paper/tasks/TIME outputs/paper/length/TIME ... [--out FOLDER]

Source: arXiv:2508.01191, section 7: the exponential bound on success by T(C), the Gaussian form of the length error;
and a logistic curve, which the paper does not have.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit

from alchemy.errors import sentence
from alchemy.figures import save
from alchemy.records import apart, jobs, load, variants, write_aside
from alchemy.seeds import stream

Array = NDArray[np.float64]
REPLICATES = 300
ENOUGH = 0.9  # of the variance between cells that a law must explain to be said to fit


def exponential(x: Array, kappa: float, tau: float) -> Array:
    """Success exp(-kappa (x - tau)), at most 1."""
    return np.exp(-kappa * np.maximum(x - tau, 0))


def gaussian(x: Array, sigma: float, floor: float) -> Array:
    """Success (1 - floor) exp(-x² / (2 sigma²)), whose error grows from `floor` at no gap."""
    return (1 - floor) * np.exp(-(x**2) / (2 * sigma**2))


def logistic(x: Array, slope: float, middle: float) -> Array:
    return expit(-slope * (x - middle))


LAWS: dict[str, tuple[Callable[..., Array], tuple[str, str]]] = {
    "exponential": (exponential, ("kappa", "tau")),
    "Gaussian": (gaussian, ("sigma", "floor")),
    "logistic": (logistic, ("slope", "middle")),
}
MEASURES = {  # measure: how its axis is labelled, and the axes whose shifts it grades
    "novelty": ("novelty T(C)", ("task", "composition", "element", "places", "atoms")),
    "length_gap": ("length gap (tokens)", ("length",)),
    "misalignment": ("1 - S(p), prompts as symbols at their places", ("format",)),
    "total_variation": ("total variation of prompts", ("format",)),
}
SUCCESS = {"exact_match": "exact match", "similarity": "1 - edit distance"}


@dataclass(frozen=True)
class Law:
    """A fitted curve: the median and 95 % interval of its two parameters over a bootstrap of seeds and their cells, and
    the share of the variance between points that it explains.
    """

    name: str
    parameters: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]
    explained: float

    def __str__(self) -> str:
        names = LAWS[self.name][1]
        parts = zip(names, self.parameters, self.low, self.high, strict=True)
        said = ", ".join(f"{name} = {value:.3g} [{low:.3g}, {high:.3g}]" for name, value, low, high in parts)
        return f"{self.name}: {said}, R² = {self.explained:.2f}"


def points(folders: Sequence[Path]) -> pd.DataFrame:
    """One row per cell and seed of all sweeps: every measure of discrepancy, exact match, and 1 - edit distance."""
    tables = []
    for folder in folders:
        table = load(folder, variants(jobs(folder)))
        some = table[table["part"].isin(["discrepancy", "full"])]
        keys = [*apart(table), "axis", "kind", "domain", "level", "seed"]
        wide = some.pivot_table(index=keys, columns="metric", values="value", dropna=False, observed=True)
        tables.append(wide.dropna(subset=["exact_match"]).reset_index()[["axis", "level", "seed", *wide.columns]])
    found = pd.concat(tables, ignore_index=True)
    return found.assign(similarity=1 - found["edit_distance"], misalignment=1 - found["alignment"])


def fit(name: str, x: Array, y: Array, seeds: NDArray[np.int64]) -> Law | None:
    """A law fitted by least squares to points (n,) of several seeds, or None where no fit is found."""
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
    return Law(name, (first, second), (low[0], low[1]), (high[0], high[1]), explained)


def resampled(seeds: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    different = np.unique(seeds)
    return rng.choice(different, len(different))


def solve(name: str, x: Array, y: Array) -> tuple[float, float] | None:
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


def fits(table: pd.DataFrame) -> dict[tuple[str, str], list[Law]]:
    """By measure and kind of success, the laws that could be fitted, the best first."""
    found = {}
    for measure, (_, axes) in MEASURES.items():
        some = table[table["axis"].isin([*axes]) | ((table["level"] == 0) & (table["axis"] == axes[0]))]
        if some[measure].nunique() < 3:
            continue
        for success in SUCCESS:
            x, y, seeds = (some[name].to_numpy() for name in (measure, success, "seed"))
            laws = [law for name in LAWS if (law := fit(name, x.astype(float), y.astype(float), seeds)) is not None]
            found[measure, success] = sorted(laws, key=lambda law: -law.explained)
    return found


def verdict(laws: list[Law]) -> str:
    """The best law, or a sentence that none fits."""
    if not laws:
        return "No law could be fitted."
    if laws[0].explained < ENOUGH:
        return f"No law fits: the best explains R² = {laws[0].explained:.2f} ({laws[0].name}), below {ENOUGH}."
    return str(laws[0])


def draw(table: pd.DataFrame, found: dict[tuple[str, str], list[Law]]) -> Figure:
    """A row per measure, exact match left and 1 - edit distance right: every cell of every seed, and the laws."""
    measures = list(dict.fromkeys(measure for measure, _ in found))
    figure = Figure(figsize=(12, 3.5 * max(len(measures), 1)), layout="constrained")
    grid = figure.subplots(max(len(measures), 1), 2, squeeze=False)
    for row, measure in zip(grid, measures, strict=False):
        label, axes = MEASURES[measure]
        some = table[table["axis"].isin([*axes])]
        for ax, (success, name) in zip(row, SUCCESS.items(), strict=True):
            panel(ax, some[measure].to_numpy(), some[success].to_numpy(), found[measure, success])
            ax.set(xlabel=label, ylabel=name, ylim=(-0.03, 1.05))
    return figure


def panel(ax: Any, x: Array, y: Array, laws: list[Law]) -> None:
    ax.plot(x, y, "o", ms=4, color="black", alpha=0.25, mew=0)
    line = np.linspace(0, max(float(x.max()), 1e-6), 200)
    for law, style in zip(laws, ("-", "--", ":"), strict=False):
        ax.plot(line, LAWS[law.name][0](line, *law.parameters), style, label=f"{law.name}, R² = {law.explained:.2f}")
    ax.set_title(verdict(laws), size=7.5, loc="left")
    ax.legend(frameon=False, fontsize=8)


def report(folders: Sequence[Path], out: Path) -> list[str]:
    """Writes laws.csv and laws.png into `out`; returns a sentence per measure and kind of success."""
    table = points(folders)
    found = fits(table)
    rows = [
        {"measure": measure, "success": success, "law": law.name, "parameter": name, "value": value, "low": low}
        | {"high": high, "explained": law.explained}
        for (measure, success), laws in found.items()
        for law in laws
        for name, value, low, high in zip(LAWS[law.name][1], law.parameters, law.low, law.high, strict=True)
    ]
    write_aside(out / "laws.csv", pd.DataFrame(rows).to_csv(index=False, float_format="%.5g"))
    save(draw(table, found), out / "laws.png")
    return [
        f"{SUCCESS[success]} by {MEASURES[measure][0]}: {verdict(laws)}" for (measure, success), laws in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m alchemy.laws", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP", help="folders of finished sweeps")
    parser.add_argument("--out", type=Path, default=Path(), help="where laws.csv and laws.png go")
    words = parser.parse_args()
    try:
        print("\n".join(report(words.folders, words.out)))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"alchemy: {sentence(error)}")


if __name__ == "__main__":
    main()
