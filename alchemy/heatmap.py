"""The degradation heatmap: a score at every level of every shift, and what a replay of training would score there."""

from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

NAMES = {"exact_match": "exact match", "edit_distance": "edit distance", "bleu_corpus": "BLEU"}
PARTS = {"full": "full chain and answer", "chain": "chain alone", "answer": "answer alone"}
AXIS_ROWS = {
    "task": "task (rules composed)",
    "element": "element (atoms)",
    "length": "length (atoms per element)",
    "steps": "steps (rules per composition)",
    "composition": "one composition",
    "places": "atoms at new places",
    "atoms": "unseen atoms",
}
LEVEL_NAMES = {("task", 1): "CMP", ("task", 2): "POOD", ("task", 3): "OOD"}


def heatmap(cells: pd.DataFrame, metric: str, part: str, caption: str, swept: list[str]) -> Figure:
    """One row per shift, one column per level; a cell shows the mean over seeds, the lowest and the highest seed, the
    replay oracle's score, and what the level means; one without a mean is a hole, and is marked as one. Format noise,
    whose levels are percentages, has a panel of its own.
    """
    chosen = cells[(cells["metric"] == metric) & (cells["part"] == part)]
    keys = [*swept, "axis", "kind", "domain"]

    def means(part: str, metric: str) -> dict[Any, float]:
        some = cells[(cells["metric"] == metric) & (cells["part"] == part)]
        return some.set_index([*keys, "level"])["mean"].to_dict()

    extra = {name: means("prompt", name) for name in ("untouched", "problems")}
    extra["replay"] = means(f"replay_{part}", metric)
    panels = [panel for panel in (chosen[chosen["axis"] != "format"], chosen[chosen["axis"] == "format"]) if len(panel)]
    rows = [len(panel[keys].drop_duplicates()) for panel in panels]
    heights = [0.66 * count for count in rows]
    top, between, left, right, width = 1.0, 1.05, 2.6, 1.1, 12.0  # inches
    bottom = 0.75 + 0.17 * len(caption.splitlines())
    height = top + sum(heights) + between * (len(panels) - 1) + bottom
    figure = Figure(figsize=(width, height))
    y = height - top
    axes = []
    for panel, tall in zip(panels, heights, strict=True):
        box = (left / width, (y - tall) / height, (width - left - right) / width, tall / height)
        axes.append(figure.add_axes(box))
        draw_panel(axes[-1], panel, keys, len(swept), metric, extra)
        y -= tall + between
    bar_box = ((width - right + 0.2) / width, bottom / height, 0.18 / width, (height - top - bottom) / height)
    bar = figure.colorbar(axes[0].collections[0], cax=figure.add_axes(bar_box))
    bar.set_label(fill(f"{NAMES[metric]}, mean over seeds (brighter is better)", int(14 * (height - top - bottom))))
    figure.text(
        0.15 / width, 1 - 0.4 / height, f"Where chain of thought breaks: {NAMES[metric]} of the {PARTS[part]}", size=15
    )
    figure.text(0.15 / width, 0.12 / height, caption, size=8.5, va="bottom", linespacing=1.4)
    return figure


def draw_panel(
    ax: Any, panel: pd.DataFrame, keys: list[str], swept: int, metric: str, extra: dict[str, dict[Any, float]]
) -> None:
    """Draws one heatmap into `ax`; `extra` holds what cells say besides their scores, by row and level."""
    rows = list(panel[keys].drop_duplicates().itertuples(index=False, name=None))
    levels = sorted(panel["level"].unique())
    is_format = panel["axis"].iloc[0] == "format"
    colours = matplotlib.colormaps["viridis_r" if metric == "edit_distance" else "viridis"]
    numbered = panel.assign(row=[rows.index(row) for row in panel[keys].itertuples(index=False, name=None)])
    means = numbered.pivot(index="row", columns="level", values="mean").to_numpy()
    sns.heatmap(
        means, ax=ax, vmin=0, vmax=1, cmap=colours, cbar=False, linewidths=1.5, linecolor="white",
        xticklabels=False, yticklabels=False,
    )  # fmt: skip
    most = panel["seeds"].max()
    for cell in panel.to_dict("records"):
        row = tuple(cell[key] for key in keys)
        if np.isnan(cell["mean"]):
            mark_hole(ax, levels.index(cell["level"]), rows.index(row))
            continue
        note = cell["setting"]
        if is_format and cell["level"]:
            note = f"{extra['untouched'][(*row, cell['level'])]:.0%} untouched"
        elif name := LEVEL_NAMES.get((cell["axis"], cell["level"])):
            note = f"{name}: {note}"
        elif (problems := extra["problems"].get((*row, cell["level"]), np.inf)) < 1000:
            note = f"{note} ({problems:.0f} problems)"
        oracle = extra["replay"].get((*row, cell["level"]))
        write_cell(ax, levels.index(cell["level"]), rows.index(row), cell, most, oracle, note, colours)
    ax.set_facecolor("0.93")
    if 0 in levels:
        ax.add_patch(
            Rectangle((levels.index(0), 0), 1, len(rows), fill=False, edgecolor="crimson", lw=3, clip_on=False)
        )

    settings = dict(zip(panel["level"], panel["setting"], strict=True))

    def level_name(level: int) -> str:
        if level == 0:
            return "0 = training"
        return f"{level} = {settings[level]}" if is_format else f"{level:+d}"

    ax.set_xticks(np.arange(len(levels)) + 0.5, [level_name(level) for level in levels])
    ax.set_yticks(np.arange(len(rows)) + 0.5, [row_name(row, keys, swept) for row in rows], rotation=0)
    ax.set_xlabel("level: share of the prompt's tokens that are noised" if is_format else "level")
    title = "Format: noise on the prompt" if is_format else "Problems: task, element, length, steps"
    ax.set_title(title, loc="left", size=11)


def mark_hole(ax: Any, x: int, y: int) -> None:
    ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="0.6", hatch="//", lw=0))
    ax.text(x + 0.5, y + 0.5, "not measured", size=8, ha="center", va="center", backgroundcolor="0.93")


def write_cell(
    ax: Any, x: int, y: int, cell: dict[Any, Any], most: int, oracle: float | None, note: str, colours: Any
) -> None:
    """The numbers of one cell: its mean, the lowest to the highest seed (and of how many, if other cells have `most`),
    the replay oracle's score, and a note.
    """
    red, green, blue, _ = colours(cell["mean"])
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
    centred = {"ha": "center", "va": "center", "color": ink}
    ax.text(x + 0.5, y + 0.23, f"{cell['mean']:.2f}", size=12, weight="bold", **centred)
    seeds = [f"{cell['lowest']:.2f} to {cell['highest']:.2f}"] if cell["seeds"] > 1 else []
    seeds += [f"{cell['seeds']} of {most} seeds"] if cell["seeds"] < most else []
    ax.text(x + 0.5, y + 0.48, ", ".join(seeds), size=8, **centred)
    if oracle is not None:
        ax.text(x + 0.5, y + 0.67, f"replay {oracle:.2f}", size=7.5, style="italic", **centred)
    ax.text(x + 0.5, y + 0.86, note, size=7.5, **centred)


def row_name(row: tuple[Any, ...], keys: list[str], swept: int) -> str:
    *variant, axis, kind, domain = row
    name = f"{kind}, {domain} tokens" if axis == "format" else AXIS_ROWS.get(axis, axis)
    return "\n".join([name, *(f"{key}={value}" for key, value in zip(keys[:swept], variant, strict=True))])
