"""Phase diagrams: a score over a swept number, such as how many compositions training shows, at every shift."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from alchemy.curves import pick, training_once
from alchemy.fits import threshold

LEVEL_NAMES = {("task", 0): "training", ("task", 1): "new compositions", ("task", 2): "one unseen rule"}
LEVEL_NAMES |= {("task", 3): "unseen rules alone"}


def numbers(cells: pd.DataFrame, swept: list[str]) -> list[str]:
    """The swept coordinate that is a number with the most values, if it has more than two."""
    values = {name: pd.to_numeric(cells[name], errors="coerce") for name in swept}
    sizes = {name: its.nunique() for name, its in values.items() if its.notna().all() and its.nunique() > 2}
    return [max(sizes, key=lambda name: sizes[name])] if sizes else []


def phase(cells: pd.DataFrame, table: pd.DataFrame, swept: list[str], numeric: str) -> Figure:
    """Columns are the values of `numeric`; rows the cells of the shifts, for each other swept setting. Left exact match
    of chain and answer with its 95 % interval over seeds, right the share of completions that replay training. The
    title has, of each row that passes one half, the threshold where it does.
    """
    others = [name for name in swept if name != numeric]
    keys = [*others, "axis", "kind", "domain", "level"]
    scores = training_once(cells[(cells["part"] == "full") & (cells["metric"] == "exact_match")])
    rates = cells[(cells["part"] == "replay") & (cells["metric"] == "rate")]
    rows = list(scores[keys].drop_duplicates().itertuples(index=False, name=None))
    order = list(scores["axis"].unique())
    rows.sort(key=lambda row: (order.index(row[-4]), row[-1]))  # a level's rows together, over the other settings
    settings = dict(zip(scores[keys].itertuples(index=False, name=None), scores["setting"], strict=True))
    columns = sorted(scores[numeric].unique(), key=float)
    width = 3.4 + 0.74 * len(columns) * 2
    figure = Figure(figsize=(max(width, 9.0), 1.5 + 0.46 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, some, name in ((left, scores, "exact match of chain and answer"), (right, rates, "replays training")):
        panel(ax, some, rows, columns, keys, numeric)
        ax.set_title(name, size=10, loc="left")
        ax.set_xlabel(numeric)
    names = [row_name(row, others, settings[row]) for row in rows]
    left.set_yticks(np.arange(len(rows)) + 0.5, names, rotation=0, size=8.5)
    seeds = int(scores["seeds"].max())
    title = [f"{numeric} × shift: mean over {seeds} seed{'s' * (seeds > 1)}, and 95 % interval"]
    for row, name in zip(rows, names, strict=True):
        if row[-1] and (said := crossing(table, keys, row, numeric)):
            title.append(f"{name}: {said}")
    figure.suptitle("\n".join(title), size=10, x=0.01, ha="left")
    return figure


def crossing(table: pd.DataFrame, keys: list[str], row: tuple[Any, ...], numeric: str) -> str:
    """Where half of a row's completions are right, with its 95 % interval over seeds; empty if that is nowhere."""
    some = table[(table["part"] == "full") & (table["metric"] == "exact_match")]
    some = pick(some, keys, row)
    x, y = np.log2(some[numeric].astype(float).to_numpy()), some["value"].to_numpy()
    if not np.isfinite(x).all() or (law := threshold(x - x.min(), y, some["seed"].to_numpy())) is None:
        return ""
    half, low, high = 2.0 ** (x.min() + np.array([law.parameters[1], law.low[1], law.high[1]]))
    return f"half are right at {half:.3g} [{low:.3g}, {high:.3g}] (logistic in its logarithm, R² = {law.explained:.2f})"


def panel(
    ax: Any, table: pd.DataFrame, rows: list[tuple[Any, ...]], columns: list[Any], keys: list[str], numeric: str
) -> None:
    """Draws means in colour, and each with its interval in figures."""
    means, notes = np.full((len(rows), len(columns)), np.nan), np.full((len(rows), len(columns)), "", dtype=object)
    for cell in table.to_dict("records"):
        row = tuple(cell[key] for key in keys)
        if row in rows:
            at = rows.index(row), columns.index(cell[numeric])
            means[at] = cell["mean"]
            spread = "" if np.isnan(cell["low"]) else f"\n{cell['low']:.2f}–{cell['high']:.2f}"
            notes[at] = f"{cell['mean']:.2f}{spread}"
    sns.heatmap(
        means, ax=ax, vmin=0, vmax=1, cmap="viridis", cbar=False, annot=notes, fmt="", linewidths=1,
        annot_kws={"size": 7}, xticklabels=columns, yticklabels=False,
    )  # fmt: skip
    ax.set_facecolor("0.93")


def row_name(row: tuple[Any, ...], others: list[str], setting: str) -> str:
    """What a row of the diagram is of."""
    *variant, axis, _, _, level = row
    words = [f"{key.rpartition('.')[2]}={value}" for key, value in zip(others, variant, strict=True)]
    name = LEVEL_NAMES.get((axis, level), "training" if level == 0 else f"{axis} {level:+d}: {setting}")
    return ", ".join([*words, name])
