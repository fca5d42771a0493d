"""Figures from records alone: no model is read, nothing is trained.

`python -m alchemy.figures outputs/NAME/TIME` draws a finished run or sweep again.
"""

import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from alchemy.errors import sentence
from alchemy.records import apart, jobs, load, summarise, variants, write_aside

NAMES = {"exact_match": "exact match", "edit_distance": "edit distance", "bleu_corpus": "BLEU"}
PARTS = {"full": "full chain and answer", "chain": "chain alone", "answer": "answer alone"}
PICTURES = {
    f"heatmap{'' if metric == 'exact_match' else '_' + metric}{'' if part == 'full' else '_' + part}": (metric, part)
    for metric in ("exact_match", "edit_distance")
    for part in PARTS
}
AXIS_ROWS = {
    "task": "task (rules composed)",
    "element": "element (atoms)",
    "length": "length (atoms per element)",
    "steps": "steps (rules per composition)",
}
EXTRAS = ("untouched", "problems")
LEVEL_NAMES = {("task", 1): "CMP", ("task", 2): "POOD", ("task", 3): "OOD"}


def heatmap(cells: pd.DataFrame, metric: str, part: str, caption: str, swept: list[str]) -> Figure:
    """One row per shift, one column per level; a cell shows the mean over seeds, the lowest and the highest seed,
    and what the level means. Format noise, whose levels are percentages, has a panel of its own.
    """
    chosen = cells[(cells["metric"] == metric) & (cells["part"] == part)]
    keys = [*swept, "axis", "kind", "domain"]
    extra = {name: cells[cells["metric"] == name].set_index([*keys, "level"])["mean"].to_dict() for name in EXTRAS}
    panels = [panel for panel in (chosen[chosen["axis"] != "format"], chosen[chosen["axis"] == "format"]) if len(panel)]
    rows = [len(panel[keys].drop_duplicates()) for panel in panels]
    heights = [0.55 * count for count in rows]
    top, between, bottom, left, right, width = 1.0, 1.05, 1.5, 2.6, 1.1, 12.0  # inches
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
    bar.set_label(f"{NAMES[metric]}, mean over seeds (brighter is better)")
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
    for cell in panel.to_dict("records"):
        row = tuple(cell[key] for key in keys)
        note = cell["setting"]
        if is_format and cell["level"]:
            note = f"{extra['untouched'][(*row, cell['level'])]:.0%} untouched"
        elif name := LEVEL_NAMES.get((cell["axis"], cell["level"])):
            note = f"{name}: {note}"
        elif (problems := extra["problems"].get((*row, cell["level"]), np.inf)) < 1000:
            note = f"{note} ({problems:.0f} problems)"
        write_cell(ax, levels.index(cell["level"]), rows.index(row), cell, note, colours)
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


def write_cell(ax: Any, x: int, y: int, cell: dict[Any, Any], note: str, colours: Any) -> None:
    """The numbers of one cell: its mean, the lowest to the highest seed, and a note."""
    red, green, blue, _ = colours(cell["mean"])
    ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
    centred = {"ha": "center", "va": "center", "color": ink}
    ax.text(x + 0.5, y + 0.29, f"{cell['mean']:.2f}", size=12, weight="bold", **centred)
    if cell["seeds"] > 1:
        ax.text(x + 0.5, y + 0.58, f"{cell['lowest']:.2f} to {cell['highest']:.2f}", size=8, **centred)
    ax.text(x + 0.5, y + 0.82, note, size=7.5, **centred)


def row_name(row: tuple[Any, ...], keys: list[str], swept: int) -> str:
    *variant, axis, kind, domain = row
    name = f"{kind}, {domain} tokens" if axis == "format" else AXIS_ROWS.get(axis, axis)
    return "\n".join([name, *(f"{key}={value}" for key, value in zip(keys[:swept], variant, strict=True))])


def caption_of(runs: list[dict[str, Any]]) -> str:
    """What a reader must know of the setting, in a few lines."""

    def span(name: str) -> str:
        low, high = min(run[name] for run in runs), max(run[name] for run in runs)
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    seeds = sorted({run["seed"] for run in runs})
    trained = sorted({", ".join(run["training"]) for run in runs})
    kept = sorted({kept_out(run["held_out"]) for run in runs})
    short = [f"seed {run['seed']}: {run['exact_match']:.4f}" for run in runs if not run["reached"]]
    return "\n".join(
        [
            f"Trained on {' | '.join(trained)} with {span('length')} atoms per element, {span('rows')} rows; "
            f"{span('parameters')} parameters; {len(seeds)} seed{'s' * (len(seeds) > 1)} "
            f"({', '.join(map(str, seeds))}).",
            f"Kept out of training: {' | '.join(kept)}, and every test problem.",
            *([f"Training ended before its mark on held-out problems ({', '.join(short)})."] if short else []),
            f"A cell: mean, lowest to highest seed, and what the level means; {span('count')} test rows a seed, "
            "drawn from fewer problems where it says so. Red frame: the training distribution.",
            "The noise token is never seen in training; a model that is right on the prompts that noise left "
            "untouched, and on no others, has their share as its exact match.",
        ]
    )


def kept_out(held_out: dict[str, Any]) -> str:
    """What training lacks, in words."""
    kept = []
    if held_out["atoms"]:
        written = f" as inputs (rules write {', '.join(held_out['written'])})" if held_out["written"] else " altogether"
        kept.append(f"the atoms {', '.join(held_out['atoms'])}{written}")
    if held_out["places"]:
        kept.append(f"every other atom from one place in {held_out['places']}")
    return " and ".join(kept) or "nothing"


def table_text(cells: pd.DataFrame, swept: list[str]) -> str:
    """A short table: exact match of the full text by shift and level, the mean over seeds."""
    chosen = cells[(cells["metric"] == "exact_match") & (cells["part"] == "full")]
    keys = [*swept, "axis", "kind", "domain"]
    lines = ["exact match of chain and answer, mean over seeds, by level (0 is training)"]
    for row, group in groupby(chosen.to_dict("records"), key=lambda cell: [cell[key] for key in keys]):
        values = "  ".join(f"{cell['level']:+d}: {cell['mean']:.3f}" for cell in group)
        lines.append(f"{' '.join(str(word) for word in row if word != '-'):<32} {values}")
    return "\n".join(lines)


def draw_all(cells: pd.DataFrame, runs: list[dict[str, Any]], swept: list[str], folder: Path) -> Path:
    """Draws every picture into `folder`; returns the path of the first, heatmap.png."""
    caption = caption_of(runs)
    for name, (metric, part) in PICTURES.items():
        figure = heatmap(cells, metric, part, caption, swept)
        aside = folder / f".{name}.{os.getpid()}.png"
        figure.savefig(aside, dpi=110)
        aside.rename(folder / f"{name}.png")
    return folder / "heatmap.png"


def finish(folder: Path) -> int:
    """Writes cells.csv and the pictures of all finished jobs in `folder`; the last line printed is heatmap.png's path.

    Returns the exit code: 0, or 1 if a job failed, each of them named on stderr.
    """
    try:
        runs = jobs(folder)
        failed = {number: run for number, run in runs.items() if run.get("status") != "ok"}
        good = {number: run for number, run in runs.items() if number not in failed}
        for number, run in failed.items():
            name = f"job {number} ({' '.join(run.get('overrides', []))}): " if number >= 0 else ""
            print(f"alchemy: {name}{run.get('error', 'did not finish: start the same command again')}", file=sys.stderr)
        if good:
            report(folder, good)
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error)}", file=sys.stderr)
        return 1
    return int(bool(failed))


def report(folder: Path, runs: dict[int, dict[str, Any]]) -> None:
    table = load(folder, variants(runs))
    names, cells = apart(table), summarise(table)
    write_aside(folder / "cells.csv", cells.to_csv(index=False))
    picture = draw_all(cells, list(runs.values()), names, folder)
    print(table_text(cells, names))
    print(f"every cell with its interval: {folder / 'cells.csv'}")
    print(picture, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m alchemy.figures outputs/NAME/TIME   (the folder of a finished run or sweep)")
    sys.exit(finish(Path(sys.argv[1])))
