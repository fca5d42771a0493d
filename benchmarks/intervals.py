"""Simulates how often intervals over seeds hold the truth: python -m benchmarks.intervals [out=FOLDER] [times=4000]

The shapes are those that seeds of this lab have: normal; U-shaped; all or nothing; skewed; mostly near zero. Each kind
of interval is asked, from the same seeds, for the number that it is of: a mean, or (numbers without a range) a median.
Beside the lab's own stand Student's t and the two-level bootstrap, which are in common use. Where an interval is not
offered, nothing is counted.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from alchemy.data.seeds import stream
from alchemy.figures.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from alchemy.stats.intervals import COVERED, interval
from benchmarks.command import settings_of

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
LEAST = 0.93  # coverage that an interval must have in every shape, at every number of seeds at which it is offered
SEEDS = (2, 3, 4, 5, 6, 8, 10, 15, 20)
REPLICATES = 400  # of the bootstrap


def often(share: float) -> Draw:
    return lambda rng, size: (rng.random(size) < share).astype(float)


def mostly_zero(share: float) -> Draw:
    """Numbers near zero, but for a share that is anything up to one."""
    return lambda rng, size: np.where(rng.random(size) < share, rng.random(size), 0.01 * rng.random(size))


SHAPES: dict[str, dict[str, Draw]] = {
    "normal": {
        "around .5": lambda rng, size: rng.normal(0.5, 0.1, size).clip(0, 1),
        "around .9": lambda rng, size: rng.normal(0.9, 0.05, size).clip(0, 1),
    },
    "U-shaped": {
        "beta(.1, .1)": lambda rng, size: rng.beta(0.1, 0.1, size),
        "beta(.5, .5)": lambda rng, size: rng.beta(0.5, 0.5, size),
    },
    "all or nothing": {f"{share:g} of seeds": often(share) for share in (0.05, 0.1, 0.2, 0.33, 0.5)},
    "skewed": {
        "beta(1, 5)": lambda rng, size: rng.beta(1, 5, size),
        "exponential from .2": lambda rng, size: (0.2 + 0.1 * rng.exponential(size=size)).clip(0, 1),
        "log-normal": lambda rng, size: (0.1 * rng.lognormal(size=size)).clip(0, 1),
    },
    "mostly near zero": {f"but {share:g}": mostly_zero(share) for share in (0.1, 0.2, 0.3)},
}


def student(values: Array) -> tuple[Array, Array]:
    """The ends (C,) of 95 % intervals of the mean, by Student's t."""
    seeds = values.shape[1]
    half = values.std(axis=1, ddof=1) / seeds**0.5 * float(stdtrit(seeds - 1, (1 + COVERED) / 2))
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def bootstrap(values: Array) -> tuple[Array, Array]:
    """The ends (C,) of 95 % intervals of the mean, by a bootstrap of seeds, widened by the root of S / (S - 1)."""
    seeds = values.shape[1]
    drawn = stream(0, "bootstrap").integers(0, seeds, (REPLICATES, seeds))
    times = np.stack([(drawn == seed).sum(axis=1) for seed in range(seeds)]) / seeds  # (S, R)
    means = values.mean(axis=1, keepdims=True)
    ends = np.percentile((values - means) * (seeds / (seeds - 1)) ** 0.5 @ times, (2.5, 97.5), axis=1)
    return means[:, 0] + ends[0], means[:, 0] + ends[1]


KINDS: dict[str, tuple[str, Callable[[Array], tuple[Array, Array]]]] = {  # what it is of, and its ends
    "mean of shares": ("mean", lambda values: interval(values, "share")),
    "median of other numbers": ("median", lambda values: interval(values, "bits")),
    "Student's t": ("mean", student),
    "bootstrap of seeds": ("mean", bootstrap),
}


def table(times: int) -> pd.DataFrame:
    """A row for each shape, number of seeds and kind of interval: its coverage, and its mean width."""
    rows = []
    for shape, ways in SHAPES.items():
        for way, draw in ways.items():
            many = draw(stream(0, "truth", shape, way), (1, 1_000_000))
            truth = {"mean": float(many.mean()), "median": float(np.median(many))}
            for seeds in SEEDS:
                values = draw(stream(0, "seeds", shape, way, str(seeds)), (times, seeds))
                for kind, (of, ends) in KINDS.items():
                    low, high = ends(values)
                    held = (low <= truth[of] + 1e-3) & (truth[of] - 1e-3 <= high)
                    found = (np.nan, np.nan) if np.isnan(low).any() else (held.mean(), (high - low).mean())
                    rows.append((shape, way, seeds, kind, of, *found, times))
        print(shape, file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=["shape", "way", "seeds", "kind", "of", "coverage", "width", "times"])


def picture(found: pd.DataFrame, path: Path) -> None:
    """Draws a panel for each kind: the least coverage of each shape, over the number of seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    colours = dict(zip(SHAPES, (BLUE, GREEN, VERMILION, PURPLE, ORANGE), strict=True))
    for ax, kind in zip(figure.subplots(1, len(KINDS), sharey=True), KINDS, strict=True):
        for shape, colour in colours.items():
            some = found[(found["kind"] == kind) & (found["shape"] == shape)]
            least = some.groupby("seeds")["coverage"].min()
            ax.plot(least.index, least, "o-", ms=3.5, lw=1.2, color=colour, label=shape)
        ax.axhline(COVERED, color="0.4", lw=0.8)
        ax.axhline(LEAST, color="0.4", lw=0.8, ls=":")
        ax.set(xlabel="seeds", xticks=[2, 5, 10, 15, 20], ylim=(0, 1.02))
        ax.set_title(f"{kind}{' (here)' * (kind in list(KINDS)[:2])}", size=10, loc="left")
    figure.axes[0].set_ylabel("holds the truth in this share")
    figure.axes[-1].legend(fontsize=8, loc="lower right")
    figure.suptitle("95 % intervals over seeds: the least coverage of each shape", size=11, x=0.01, ha="left")
    figure.savefig(path, dpi=100)


def main() -> None:
    with settings_of("intervals", "out=FOLDER, times=4000", times="4000") as (settings, folder):
        if not settings["times"].isdigit() or settings["times"] == "0":
            raise ValueError(f"times={settings['times']} must be a whole number of experiments, such as 4000")
        folder.mkdir(parents=True, exist_ok=True)
        found = table(int(settings["times"]))
        found.to_csv(folder / "intervals.csv", index=False, float_format="%.4g")
        picture(found, folder / "intervals.png")
        print(found.groupby(["kind", "shape"], sort=False)["coverage"].min().unstack().to_string())
        print(folder / "intervals.png")


if __name__ == "__main__":
    main()
