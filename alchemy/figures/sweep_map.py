"""Maps of a score over a swept number, such as the number of training compositions, for every level of every shift."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from alchemy.figures.curves import pick, training_once
from alchemy.figures.lettering import broken, cut, one_line, shown, told_apart, wide
from alchemy.figures.style import LEVEL_NAMES
from alchemy.results.table import bracket
from alchemy.stats.fits import fit_threshold

MOST = 40  # rows, at most, in a picture
SAID, WIDE = 16, 40  # columns, at most, for cells to show their interval, and their mean
ROOM = 3.2  # inches for the name of a row
THRESHOLDS = 8  # thresholds, at most, in a title


def numbers(cells: pd.DataFrame, swept: list[str]) -> list[str]:
    """Swept column to draw a map over: of those that are numbers with more than two values, the one with the most.

    It is returned as a list, which is empty if there is none.
    """
    values = {name: pd.to_numeric(cells[name], errors="coerce") for name in swept}
    sizes = {name: its.nunique() for name, its in values.items() if its.notna().all() and its.nunique() > 2}
    return [max(sizes, key=lambda name: sizes[name])] if sizes else []


def map_keys(swept: list[str], numeric: str) -> tuple[list[str], list[str]]:
    """Swept columns besides `numeric`, and all columns that tell rows of the map apart."""
    others = [name for name in swept if name != numeric]
    return others, [*others, "axis", "kind", "domain", "level"]


def map_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells that the left half of a map shows."""
    return training_once(cells[(cells["part"] == "full") & (cells["metric"] == "exact_match")])


def draw_map(
    cells: pd.DataFrame, table: pd.DataFrame, swept: list[str], numeric: str, said: str = "", named: bool = True
) -> Figure:
    """Figure with a column for each value of `numeric`, and a row for each level of each shift and other swept setting.

    The left half shows exact match of chain and answer with its 95 % interval over seeds (or how many of them are at 1,
    where each is all or nothing), the right half the share of completions that replay training. The title holds `said`
    and, if `named`, the values of `numeric` at which the first rows pass one half. `cells` has one row per cell,
    `table` one per record; `swept` are the columns that tell cells apart.

    >>> draw_map(results.cells, results.table, results.apart, "model.width").savefig("map.png")  # doctest: +SKIP
    """
    others, keys = map_keys(swept, numeric)
    scores = map_cells(cells)
    rates = cells[(cells["part"] == "replay") & (cells["metric"] == "rate")]
    rows = list(scores[keys].drop_duplicates().itertuples(index=False, name=None))
    order = list(scores["axis"].unique())
    rows.sort(key=lambda row: (order.index(row[-4]), row[-1]))  # a level's rows together, over the other settings
    settings = dict(zip(scores[keys].itertuples(index=False, name=None), scores["setting"], strict=True))
    columns = sorted(scores[numeric].unique(), key=float)
    each = 0.74 if len(columns) <= SAID else 0.36 if len(columns) <= WIDE else 13 / len(columns)
    width = max(3.4 + each * len(columns) * 2, 9.0)
    values = {key: told_apart([str(row[at]) for row in rows]) for at, key in enumerate(others)}
    names = [
        row_name([values[key][str(row[at])] for at, key in enumerate(others)], row, others, settings[row])
        for row in rows
    ]
    seeds = int(scores["seeds"].max()) if len(scores) else 0
    title = [f"{numeric} × shift: mean over {seeds} seed{'s' * (seeds != 1)}, and the 95 % interval or seeds at 1"]
    title += [said] * bool(said)
    first = len(title)
    for row, name in zip(rows, names, strict=True):
        if len(title) == first + THRESHOLDS:
            title.append("where half is right in further rows is not fitted")
            break
        if named and row[-1] and (found := crossing(table, keys, row, numeric)):
            title.append(f"{cut(one_line(name), max(width - 0.6 - wide(found, 10), 1.5), 10)}: {found}")
    title = [cut(one_line(line), width - 0.3, 10) for line in title]
    height = 1.5 + 0.46 * len(rows) + 0.17 * max(0, len(title) - 3)
    figure = Figure(figsize=(width, height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, some, name in ((left, scores, "exact match of chain and answer"), (right, rates, "replays training")):
        panel(ax, some, rows, columns, keys, numeric)
        ax.set_title(name, size=10, loc="left")
        ax.set_xlabel(shown(cut(one_line(numeric), width / 2 - 2, 10)))
    lines = [broken(name, ROOM, 8.5 if wide(name, 8.5) <= ROOM else 7.5, 3) for name in names]
    size = 8.5 if all(len(some) == 1 for some in lines) else 7.5
    left.set_yticks(np.arange(len(rows)) + 0.5, [shown("\n".join(some)) for some in lines], rotation=0, size=size)
    figure.suptitle(shown("\n".join(title)), size=10, x=0.01, ha="left")
    return figure


def crossing(table: pd.DataFrame, keys: list[str], row: tuple[Any, ...], numeric: str) -> str:
    """Value of `numeric` at which half of a row's completions are right, with that of single seeds, as text.

    It is from a logistic fit over the logarithm of `numeric`, to all seeds. Empty if that gives none.
    """
    some = table[(table["part"] == "full") & (table["metric"] == "exact_match")]
    some = pick(some, keys, row)
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = np.log2(some[numeric].astype(float).to_numpy()), some["value"].to_numpy()
    if not np.isfinite(x).all() or (law := fit_threshold(x - x.min(), y, some["seed"].to_numpy())) is None:
        return ""
    half, low, high = 2.0 ** (x.min() + np.array([law.parameters[1], law.lowest[1], law.highest[1]]))
    each = "" if np.isnan(low) else f", by seed from {low:.3g} to {high:.3g}"
    return f"half are right at {half:.3g}{each} (logistic in its logarithm, R² = {law.explained:.2f})"


def panel(
    ax: Any, table: pd.DataFrame, rows: list[tuple[Any, ...]], columns: list[Any], keys: list[str], numeric: str
) -> None:
    """Draws one half of a map: means as colours and, where there is room, as figures with their intervals."""
    means, notes = np.full((len(rows), len(columns)), np.nan), np.full((len(rows), len(columns)), "", dtype=object)
    down, across = ({its: at for at, its in enumerate(some)} for some in (rows, columns))
    for cell in table.to_dict("records"):
        row = tuple(cell[key] for key in keys)
        if row in down and cell[numeric] in across:
            at = down[row], across[cell[numeric]]
            means[at] = cell["mean"]
            said = bracket(cell).strip("[]").replace(", ", "–").replace(" seeds", "")
            notes[at] = f"{cell['mean']:.2f}" + f"\n{said}" * (len(columns) <= SAID and bool(said))
    if not means.size:
        ax.text(0.5, 0.5, "nothing was measured", transform=ax.transAxes, ha="center", va="center", size=9)
        ax.set(xticks=[], yticks=[])
        return
    sns.heatmap(
        means, ax=ax, vmin=0, vmax=1, cmap="viridis", cbar=False, annot=notes if len(columns) <= WIDE else None, fmt="",
        linewidths=1 if len(columns) <= WIDE else 0, annot_kws={"size": 7}, xticklabels=False, yticklabels=False,
    )  # fmt: skip
    inches = (0.74 if len(columns) <= SAID else 0.36 if len(columns) <= WIDE else 13 / len(columns)) * 0.95
    names = [cut(one_line(str(value)), 1.2, 10) for value in columns]
    every = max(1, int(np.ceil(max(wide(name, 10) + 0.1 for name in names) / inches))) if names else 1
    ax.set_xticks(np.arange(0, len(columns), every) + 0.5, [shown(name) for name in names[::every]])
    ax.set_facecolor("0.93")


def row_name(values: list[str], row: tuple[Any, ...], others: list[str], setting: str) -> str:
    """Name of a row of the map."""
    axis, level = row[-4], row[-1]
    words = [f"{key.rpartition('.')[2]}={value}" for key, value in zip(others, values, strict=True)]
    name = LEVEL_NAMES.get((axis, level), "training" if level == 0 else f"{axis} {level:+d}: {setting}")
    return ", ".join([*words, name])
