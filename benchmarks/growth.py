"""Measures how time and memory grow with size: python -m benchmarks.growth [out=outputs/bench]

Every point is a process of its own with one thread: the seconds of the work itself, once prepared, and the most
memory that the process had. The picture's exponents are of the last three points; the table beside it has all points.
Widths above 64 have heads too wide for the compiled attention, and use PyTorch's.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from benchmarks.command import settings_of

POINTS = {
    "rows drawn": (1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22),
    "letters of an element": (2, 3, 4, 5, 6, 8, 12),
    "rules of a composition": (1, 2, 3, 4, 6, 8),
    "width of the model": (16, 32, 64, 128, 256),
    "rows of a batch": (32, 64, 128, 256, 512, 1024, 2048),
    "problems measured": (2_000, 20_000, 200_000, 456_976),
}
DRAWN = 100_000  # rows


def drawn(rows: int, length: int, rules: int) -> Callable[[], object]:
    """Returns the drawing of `rows` rows with elements of `length` and compositions of `rules` rules, with chains."""
    from alchemy.data.sampling import draw
    from alchemy.data.seeds import stream
    from benchmarks.rows import SEED, world

    compositions = tuple((first, *(0, 1) * rules)[:rules] for first in (0, 1))
    where = replace(world().train, compositions=compositions, length=length)
    return lambda: draw(world(), where, rows, stream(SEED, "drawn"), "train")


def trained(width: int, batch: int) -> Callable[[], object]:
    """Returns a few training steps of a model of this width, done once before."""
    from benchmarks.rows import default, steps

    once = steps(default(words=(f"model.width={width}",)), batch)
    once()
    return once


def measured(count: int) -> Callable[[], object]:
    """Returns the measurement of a cell of `count` problems, with scores, diagnosis and oracle."""
    from alchemy.measures.cell import measure
    from benchmarks.rows import SEED, world
    from benchmarks.rows import trained as model

    learnt = model()
    measure(world(), learnt, world().train, 100, SEED)
    return lambda: measure(world(), learnt, world().train, count, SEED)


WORKS: dict[str, Callable[[int], Callable[[], object]]] = {
    "rows drawn": lambda rows: drawn(rows, 4, 2),
    "letters of an element": lambda length: drawn(DRAWN, length, 2),
    "rules of a composition": lambda rules: drawn(DRAWN, 4, rules),
    "width of the model": lambda width: trained(width, 256),
    "rows of a batch": lambda batch: trained(32, batch),
    "problems measured": measured,
}


def point(work: str, size: int) -> None:
    """Does one work in this process, and prints its seconds and the peak memory of the process in MiB."""
    import torch

    torch.set_num_threads(1)
    once = WORKS[work](size)
    begun = perf_counter()
    once()
    seconds = perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "MiB": peak / 1024}))


def table() -> pd.DataFrame:
    measured(100)  # trains the model, if it is not in the store, so that no point has to
    rows = []
    for work, sizes in POINTS.items():
        for size in sizes:
            words = [sys.executable, "-m", "benchmarks.growth", work, str(size)]
            done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603 our own words
            if done.returncode:
                raise ValueError(f"{work} at {size} failed: {done.stderr.strip().splitlines()[-1]}")
            rows.append({"work": work, "size": size, **json.loads(done.stdout.splitlines()[-1])})
            print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def exponent(sizes: pd.Series, values: pd.Series) -> float:
    """Returns the exponent of the power law through the last three points."""
    return float(np.polyfit(np.log(sizes.iloc[-3:]), np.log(values.iloc[-3:].clip(lower=1e-9)), 1)[0])


def picture(points: pd.DataFrame, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    for ax, (work, here) in zip(figure.subplots(2, 3).ravel(), points.groupby("work", sort=False), strict=True):
        ax.loglog(here["size"], here["seconds"], "o-", color="#0072B2")
        ax.set_xticks(here["size"], [f"{size:,}" for size in here["size"]], size=7, rotation=30)
        ax.minorticks_off()
        ax.set_title(f"{work}\ntime to the power {exponent(here['size'], here['seconds']):.2f}", size=9, loc="left")
        ax.set_ylabel("seconds", color="#0072B2")
        beside = ax.twinx()
        beside.plot(here["size"], here["MiB"], "s--", color="#D55E00")
        beside.set_ylim(0, max(1100, 1.05 * here["MiB"].max()))
        beside.set_ylabel("peak memory, MiB", color="#D55E00")
        beside.axhline(1024, color="#D55E00", lw=0.5)
    figure.suptitle("One thread; memory of the whole process, 1 GiB marked", size=11, x=0.01, ha="left")
    figure.savefig(path, dpi=100)


def main() -> None:
    if len(sys.argv) == 3 and sys.argv[1] in WORKS:
        point(sys.argv[1], int(sys.argv[2]))
        return
    with settings_of("growth", "out=FOLDER") as (_, folder):
        folder.mkdir(parents=True, exist_ok=True)
        points = table()
        points.to_csv(folder / "growth.csv", index=False, float_format="%.4g")
        picture(points, folder / "growth.png")
        print(folder / "growth.png")


if __name__ == "__main__":
    main()
