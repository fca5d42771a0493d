"""Splits the variance of experiment=worlds: python -m benchmarks.worlds runs=outputs/worlds/TIME [out=outputs/bench]

Every draw of the world is crossed with every seed of model and rows; what differs is split into worlds, seeds, and the
rest, which is how both go together. Four of each tell little, so beside each share stand the least and the most of it
when one world or one seed is left out.
"""

import numpy as np
import pandas as pd

from alchemy.results.crossing import crossed
from alchemy.results.runs import read_results
from alchemy.stats.components import NAMES, components
from benchmarks.command import settings_of


def table(cells: pd.DataFrame, level: int) -> pd.DataFrame:
    """A row for each component of the exact match of the task axis at one level."""
    here = (cells["axis"] == "task") & (cells["level"] == level)
    values = crossed(cells[here & (cells["part"] == "full") & (cells["metric"] == "exact_match")])
    whole = components(values)
    fewer = [components(np.delete(values, number, axis)) for axis in (0, 1) for number in range(values.shape[axis])]
    rows = [
        {
            "level": level,
            "component": name,
            "share": whole.share[name],
            "least": min(its.share[name] for its in fewer),
            "most": max(its.share[name] for its in fewer),
            "deviation": whole.variance[name] ** 0.5,
        }
        for name in NAMES
    ]
    return pd.DataFrame(rows).assign(worlds=values.shape[0], seeds=values.shape[1], mean=values.mean())


def main() -> None:
    with settings_of("worlds", "runs=FOLDER or out=FOLDER", runs="") as (settings, folder):
        found = table(read_results(settings["runs"]).cells, 1)
        folder.mkdir(parents=True, exist_ok=True)
        found.to_csv(folder / "worlds_split.csv", index=False, float_format="%.4g")
        print(found.to_string(index=False))


if __name__ == "__main__":
    main()
