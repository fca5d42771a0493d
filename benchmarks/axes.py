"""Is each mirage a matter of coverage? python -m benchmarks.axes runs=FOLDER,FOLDER,... [out=outputs/bench]

`runs` are finished sweeps of experiment=axes/length, axes/steps, axes/places and axes/format, or some of them. One
picture has a panel for each: the exact match at the next value that training never had, above and below those that it
had, over how many it had. The table beside it has every seed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alchemy.figures.draw import save, styled
from alchemy.figures.style import BLUE, GREEN, VERMILION
from alchemy.results.runs import read_results
from alchemy.results.table import seed_values
from benchmarks.command import settings_of

COLOURS = {"learned": BLUE, "rotary": VERMILION, "none": GREEN}
WORDS = {"length": "lengths of elements", "steps": "numbers of rules", "places": "places in four", "format": "noises"}
SIDES = {"inside": (":", "what training has"), "above": ("-", "the next above"), "below": ("--", "the next below")}
SETTINGS = {"runs": "", "out": "outputs/bench"}
SWEPT = {"task.places", "task.kinds", "task.levels"}  # one of these says what training had
OTHER = "modify"  # the kind of noise that training never has
NUMBERS = ["mean", "low", "high", "seeds", "by_seed"]


def rows_of(cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of the table that the cells of one sweep give."""
    cells = cells[(cells["part"] == "full") & (cells["metric"] == "exact_match")]
    for cell in cells.to_dict("records"):
        if side := side_of(cell):
            seen, where = side
            row = {"axis": cell["axis"], "positions": cell["model.positions"], "seen": seen, "where": where}
            yield row | {"level": cell["level"]} | {name: cell[name] for name in NUMBERS}


def side_of(cell: dict[Any, Any]) -> tuple[int, str] | None:
    """How many values training had, and whether the cell is inside, or the next above or below; None for all others."""
    level = int(cell["level"])
    if "task.places" in cell:
        return int(cell["task.places"]), ("inside", "above", "")[level] if level < 2 else ""  # one letter moved
    if "task.kinds" in cell:
        kinds = listed(cell["task.kinds"])
        noised = level > 0
        where = "above" if noised and cell["kind"] == OTHER else "inside" if not noised or cell["kind"] in kinds else ""
        return (len(kinds), where) if where and (noised or cell["kind"] == OTHER) else None
    seen = [int(word) for word in listed(cell["task.levels"])]
    where = "inside" if level in seen else "above" if level == max(seen) + 1 else "below"
    return (len(seen), where) if where != "below" or level == min(seen) - 1 else None


def listed(text: str) -> list[str]:
    """The words of a list as a swept setting has it, such as [0,1]."""
    return [word.strip() for word in str(text).strip("[]").split(",") if word.strip()]


def table_of(folders: list[str]) -> pd.DataFrame:
    """The table of all sweeps, one row for each axis, positions, number of values seen, and level. Raises ValueError
    for a folder that is none of them.
    """
    rows: list[dict[str, Any]] = []
    for folder in folders:
        cells = read_results(folder).cells
        if "model.positions" not in cells or not SWEPT & set(cells):
            raise ValueError(f"{folder} is no sweep of experiment=axes/length, steps, places or format: name one")
        rows += [row for row in rows_of(cells) if row["where"]]
    return pd.DataFrame(rows).sort_values(["axis", "positions", "seen", "where", "level"], ignore_index=True)


def picture(table: pd.DataFrame) -> Figure:
    """A panel for each axis; a thin dot is a seed, a line the mean over levels and seeds."""
    axes = [axis for axis in WORDS if axis in set(table["axis"])]
    figure = Figure(figsize=(3.4 * len(axes) + 1.8, 3.6), layout="constrained")
    for ax, axis in zip(np.atleast_1d(figure.subplots(1, len(axes), sharey=True)), axes, strict=True):
        for number, (positions, colour) in enumerate(COLOURS.items()):
            for where, (dash, _) in SIDES.items():
                some = table[(table["axis"] == axis) & (table["positions"] == positions) & (table["where"] == where)]
                means = some.groupby("seen")["mean"].mean()
                ax.plot(means.index, means, dash, color=colour, lw=1 if where == "inside" else 2, alpha=0.9)
                for row in some.to_dict("records") if where != "inside" else ():
                    values = [*seed_values(row["by_seed"]).values()]
                    x = row["seen"] + 0.07 * (number - 1)
                    ax.plot([x] * len(values), values, ".", color=colour, ms=3, alpha=0.5)
        ax.set_title(axis, size=10, weight="bold")
        ax.set_xlabel(f"{WORDS[axis]} in training", size=9)
        ax.set_xticks(sorted(table.loc[table["axis"] == axis, "seen"].unique()))
        ax.set_ylim(-0.05, 1.05)
    handles = [ax.plot([], [], color=colour, lw=2, label=f"positions: {name}")[0] for name, colour in COLOURS.items()]
    handles += [ax.plot([], [], dash, color="0.3", label=words)[0] for dash, words in SIDES.values()]
    figure.legend(handles=handles, loc="outside right center", fontsize=8, frameon=False)
    figure.supylabel("exact match", size=9)
    return figure


def main() -> None:
    with settings_of("axes", "runs=FOLDER,FOLDER or out=FOLDER", runs="") as (settings, folder):
        table = table_of(settings["runs"].split(","))
        folder.mkdir(parents=True, exist_ok=True)
        table.to_csv(folder / "axes.csv", index=False, float_format="%.6g")
        with styled():
            print(save(picture(table), folder / "axes.png"))


if __name__ == "__main__":
    main()
