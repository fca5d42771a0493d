"""Degradation heatmap: a score at every level of every shift, beside the score that a replay of training has there."""

from itertools import chain
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alchemy.figures.lettering import broken, fitted, one_line, shown, tall, told_apart, wide
from alchemy.figures.style import AXIS_ROWS, LEVEL_CODES

NAMES = {"exact_match": "exact match", "edit_distance": "edit distance", "bleu_corpus": "BLEU"}
PARTS = {"full": "full chain and answer", "chain": "chain alone", "answer": "answer alone"}
MOST, CELLS = 48, 480  # rows and cells, at most, of a picture whose cells show all their numbers
FINE_MOST, FINE_CELLS = 200, 1200  # and of a picture whose cells show the mean alone
FINE = 0.18  # inches of a row in such a picture
LEVELS = 0.95  # inches, at least, of a level
WIDTH, LEFT, RIGHT = 12.0, 2.6, 1.1  # inches of the picture, and of what is left and right of the cells


def rows_each(cells: pd.DataFrame, swept: list[str]) -> int:
    """Rows that a picture of these cells has at most."""
    rows, levels = len(cells[[*swept, "axis", "kind", "domain"]].drop_duplicates()), levels_of(cells)
    if rows <= MOST and rows * levels <= CELLS:
        return MOST
    return max(1, min(FINE_MOST, FINE_CELLS // levels))


def levels_of(cells: pd.DataFrame) -> int:
    """Number of levels of the axis that has the most."""
    return int(cells.groupby("axis")["level"].nunique().max()) if len(cells) else 1


def draw_heatmap(cells: pd.DataFrame, metric: str, part: str, caption: str, swept: list[str]) -> Figure:
    """Figure of one metric of one part, with a row for each shift and a column for each level.

    A cell shows the mean over seeds, the lowest and the highest seed, the replay oracle's score, and what the level
    means. A cell without a mean is marked as a hole. Format noise, whose levels are percentages, has a panel of its
    own. Where there are many rows, they are fine, and a cell shows the mean alone.

    `cells` has one row per cell. `metric` is one of NAMES and `part` one of PARTS. `caption` is written below, and
    `swept` are the columns that tell cells apart.

    >>> figure = draw_heatmap(results.cells, "exact_match", "full", "", results.apart)  # doctest: +SKIP
    """
    chosen = cells[(cells["metric"] == metric) & (cells["part"] == part)]
    keys = [*swept, "axis", "kind", "domain"]

    def means(part: str, metric: str) -> dict[Any, float]:
        some = cells[(cells["metric"] == metric) & (cells["part"] == part)]
        return some.set_index([*keys, "level"])["mean"].to_dict()

    extra = {name: means("prompt", name) for name in ("untouched", "problems")}
    extra["replay"] = means(f"replay_{part}", metric)
    panels = [panel for panel in (chosen[chosen["axis"] != "format"], chosen[chosen["axis"] == "format"]) if len(panel)]
    rows = [list(panel[keys].drop_duplicates().itertuples(index=False, name=None)) for panel in panels]
    count = sum(map(len, rows))
    fine = count > MOST or count * levels_of(chosen) > CELLS
    names, size, left = row_names([*chain(*rows)], keys, len(swept), fine)
    each = FINE if fine else max(0.66, *(tall(name.count("\n") + 1, size) + 0.08 for name in names.values()), 0.66)
    heights = [each * len(some) for some in rows] or [0.66]
    rooms = [room_of(panel, WIDTH - left - RIGHT, fine) for panel in panels]
    breadths = [room * panel["level"].nunique() for room, panel in zip(rooms, panels, strict=True)]
    top, between = 1.0, 1.05  # inches
    inside = max([*breadths, WIDTH - left - RIGHT])
    lines = list(chain(*(broken(line, left + inside + RIGHT - 0.4, 8.5) for line in caption.splitlines())))
    bottom = 0.75 + 0.17 * len(lines)
    height = top + sum(heights) + between * (len(heights) - 1) + bottom
    said = f"{NAMES[metric]}, mean over seeds (brighter is better)"
    letters = 10 if wide(said, 10) < height - top - bottom + 0.6 else 8
    scale = broken(said, height - top - bottom + 0.6, letters)
    right = max(RIGHT, 0.8 + tall(len(scale), letters))
    width = left + inside + right
    figure = Figure(figsize=(width, height))
    y = height - top
    axes = []
    for panel, deep, breadth in zip(panels, heights, breadths, strict=False):
        box = (left / width, (y - deep) / height, breadth / width, deep / height)
        axes.append(figure.add_axes(box))
        draw_panel(axes[-1], panel, keys, names, size, breadth, metric, extra, fine)
        y -= deep + between
    title = f"Where chain of thought breaks: {NAMES[metric]} of the {PARTS[part]}"
    figure.text(0.15 / width, 1 - 0.4 / height, title, size=fitted([title], width - 0.3, 15)[1])
    figure.text(0.15 / width, 0.12 / height, shown("\n".join(lines)), size=8.5, va="bottom", linespacing=1.4)
    if not axes:
        figure.text(left / width, (bottom + 0.33) / height, "nothing was measured", size=10)
        return figure
    most = min(height - top - bottom, 8.0)
    bar_box = ((left + inside + 0.2) / width, (height - top - most) / height, 0.18 / width, most / height)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1.0] if most > 1.5 else [0, 1]
    bar = figure.colorbar(axes[0].collections[0], cax=figure.add_axes(bar_box), ticks=ticks)
    bar.set_label("\n".join(scale), size=letters)
    return figure


def room_of(panel: pd.DataFrame, inside: float, fine: bool) -> float:
    """Width of a level in inches: an equal part of what there is, or a least width where there are many levels."""
    return max(inside / panel["level"].nunique(), 0.4 if fine else LEVELS)


def row_names(
    rows: list[tuple[Any, ...]], keys: list[str], swept: int, fine: bool
) -> tuple[dict[tuple[Any, ...], str], float, float]:
    """Name beside each row, the size of its letters in points, and the width in inches of all that is left of the
    cells.
    """
    values = {key: told_apart([str(row[at]) for row in rows]) for at, key in enumerate(keys[:swept])}
    said = {
        row: [
            axis_name(*row[swept:]),
            *(f"{key}={values[key][str(value)]}" for key, value in zip(keys[:swept], row, strict=False)),
        ]
        for row in rows
    }
    if fine:
        said = {row: [", ".join([*settings, axis])] for row, (axis, *settings) in said.items()}
    size = 7.5 if fine else 10.0
    widest = max((wide(line, size) for lines in said.values() for line in lines), default=0.0)
    if not fine and (widest > 4 or swept > 3):
        size = 7.5
        widest = max(wide(line, size) for lines in said.values() for line in lines)
    left = min(max(LEFT, widest + 0.25), 4.2)
    most = 1 if fine else max(1, 9 // (swept + 1))
    return (
        {
            row: shown("\n".join(chain(*(broken(line, left - 0.2, size, most) for line in lines))))
            for row, lines in said.items()
        },
        size,
        left,
    )


def axis_name(axis: str, kind: str, domain: str) -> str:
    """Name of the row of a shift."""
    return f"{kind}, {domain} tokens" if axis == "format" else AXIS_ROWS.get(axis, axis)


def draw_panel(
    ax: Any,
    panel: pd.DataFrame,
    keys: list[str],
    names: dict[tuple[Any, ...], str],
    size: float,
    breadth: float,
    metric: str,
    extra: dict[str, dict[Any, float]],
    fine: bool,
) -> None:
    """Draws one heatmap into `ax`, which is `breadth` inches wide.

    `names` are the names of rows, in letters of `size` points. `extra` holds further numbers that cells show, by name,
    then by row and level.
    """
    rows = {row: at for at, row in enumerate(panel[keys].drop_duplicates().itertuples(index=False, name=None))}
    levels = sorted(panel["level"].unique())
    room = breadth / len(levels)
    is_format = panel["axis"].iloc[0] == "format"
    colours = matplotlib.colormaps["viridis_r" if metric == "edit_distance" else "viridis"]
    means = np.full((len(rows), len(levels)), np.nan)
    places = [
        (rows[row], levels.index(level))
        for row, level in zip(panel[keys].itertuples(index=False, name=None), panel["level"], strict=True)
    ]
    means[tuple(np.transpose(places))] = panel["mean"]
    sns.heatmap(
        means, ax=ax, vmin=0, vmax=1, cmap=colours, cbar=False, linewidths=0.3 if fine else 1.5, linecolor="white",
        xticklabels=False, yticklabels=False,
    )  # fmt: skip
    most = panel["seeds"].max()
    for cell, (y, x) in zip(panel.to_dict("records"), places, strict=True):
        row = tuple(cell[key] for key in keys)
        if np.isnan(cell["mean"]):
            mark_hole(ax, x, y, room, fine)
            continue
        if fine:
            write_mean(ax, x, y + 0.5, cell, room, 7, colours)
            continue
        note = one_line(str(cell["setting"]))
        notes = [note]
        if is_format and cell["level"]:
            share = extra["untouched"].get((*row, cell["level"]), np.nan)
            notes = notes if np.isnan(share) else [f"{share:.0%} untouched"]
        elif name := LEVEL_CODES.get((cell["axis"], cell["level"])):
            notes = [f"{name}: {note}"]
        elif (problems := extra["problems"].get((*row, cell["level"]), np.inf)) < 1000:
            notes = [f"{note} ({problems:.0f} problems)".strip(), f"{note} ({problems:.0f})".strip()]
        oracle = extra["replay"].get((*row, cell["level"]))
        write_cell(ax, x, y, cell, most, oracle, notes, room, colours)
    ax.set_facecolor("0.93")
    if 0 in levels:
        ax.add_patch(
            Rectangle((levels.index(0), 0), 1, len(rows), fill=False, edgecolor="crimson", lw=3, clip_on=False)
        )

    settings = dict(zip(panel["level"], panel["setting"], strict=True))

    def level_name(level: int) -> list[str]:
        if level == 0:
            return ["0 = training"] if room > LEVELS - 0.01 else ["0"]
        return [f"{level} = {settings[level]}", str(level)] if is_format else [f"{level:+d}"]

    ticks = [fitted(level_name(level), room - 0.08, 10, 7) for level in levels]
    ax.set_xticks(np.arange(len(levels)) + 0.5, [name for name, _ in ticks], size=min(its for _, its in ticks))
    ax.set_yticks(np.arange(len(rows)) + 0.5, [names[row] for row in rows], rotation=0, size=size)
    ax.set_xlabel("level: share of the prompt's tokens that are noised" if is_format else "level")
    title = "Format: noise on the prompt" if is_format else "Problems: task, element, length, steps"
    ax.set_title(title, loc="left", size=11)


def mark_hole(ax: Any, x: int, y: int, room: float, fine: bool) -> None:
    """Marks a cell that was not measured."""
    ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="0.6", hatch="//", lw=0))
    if not fine:
        said, size = fitted(["not measured", "–"], room - 0.2, 8)
        ax.text(x + 0.5, y + 0.5, said, size=size, ha="center", va="center", backgroundcolor="0.93")


def write_mean(
    ax: Any, x: int, y: float, cell: dict[Any, Any], room: float, size: float, colours: Any
) -> dict[str, Any]:
    """Writes the mean of a cell at height `y`. Returns the text properties for the other words of the cell."""
    red, green, blue, _ = colours(cell["mean"])
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
    centred = {"ha": "center", "va": "center", "color": ink}
    said, size = fitted([f"{cell['mean']:.2f}"], room, size, bold=True)
    ax.text(x + 0.5, y, said, size=size, weight="bold", **centred)
    return centred


def write_cell(
    ax: Any,
    x: int,
    y: int,
    cell: dict[Any, Any],
    most: int,
    oracle: float | None,
    notes: list[str],
    room: float,
    colours: Any,
) -> None:
    """Writes the numbers of one cell, within `room` inches.

    They are its mean, the lowest to the highest seed (and the number of seeds, if it is less than `most`), the replay
    oracle's score, and the first of its `notes` that fits.
    """
    centred = write_mean(ax, x, y + 0.23, cell, room, 12, colours)
    span = [f"{cell['lowest']:.2f} to {cell['highest']:.2f}"] if cell["seeds"] > 1 else []
    some = cell["seeds"] < most
    ways = [
        ", ".join([*span, *([f"{cell['seeds']} of {most} seeds"] if some else [])]),
        ", ".join([*span, *([f"{cell['seeds']} of {most}"] if some else [])]),
    ]
    lines: list[tuple[float, list[str], float, str]] = [(0.48, ways, 8, "normal")]
    if oracle is not None and not np.isnan(oracle):
        lines.append((0.67, [f"replay {oracle:.2f}"], 7.5, "italic"))
    lines.append((0.86, notes, 7.5, "normal"))
    for down, says, size, style in lines:
        said, fits = fitted(says, room - 0.08, size)
        ax.text(x + 0.5, y + down, said, size=fits, style=style, **centred)
