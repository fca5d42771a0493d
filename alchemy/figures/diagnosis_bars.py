"""Diagnosis bars: how many completions of each cell are right, and in which ways the others are wrong."""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from alchemy.figures.lettering import broken, cut, one_line, shown, told_apart, wide
from alchemy.figures.style import BLUE, GREEN, ORANGE, VERMILION
from alchemy.results.table import seed_values

KINDS = {  # the kinds of alchemy.measures.diagnosis, in colours that stay apart for the colour-blind (Okabe and Ito)
    "right": ("right", GREEN),
    "replayed": ("replayed another composition", BLUE),
    "wrong_answer": ("right steps, wrong answer", ORANGE),
    "wrong_step": ("wrong step", VERMILION),
    "malformed": ("malformed", "#999999"),
}
ACROSS = 4  # panels in a row
MOST = 32  # panels, at most, in a picture
ROOM = 2.7  # inches for a panel's bars and its title


def draw_diagnosis(cells: pd.DataFrame, swept: list[str], said: str = "") -> Figure:
    """Figure of diagnoses, with a panel for each shift (and swept setting) and a stacked bar for each level.

    A dash on a bar is the right completions of one seed, and a white diamond marks the share of completions that equal
    the replay oracle's. `cells` has one row per cell; `swept` are the columns that tell cells apart. `said` is written
    below the panels.

    >>> draw_diagnosis(results.cells, results.apart).savefig("diagnosis.png")  # doctest: +SKIP
    """
    keys = [*swept, "axis", "kind", "domain"]
    chosen = cells[cells["part"] == "diagnosis"]
    rate = cells[(cells["part"] == "replay") & (cells["metric"] == "rate")].set_index([*keys, "level"])["mean"]
    rows = list(chosen[keys].drop_duplicates().itertuples(index=False, name=None))
    down = max(-(-len(rows) // ACROSS), 1)
    values = {key: told_apart([str(row[at]) for row in rows]) for at, key in enumerate(swept)}
    titles = []
    for *variant, axis, kind, domain in rows:
        settings = ", ".join(f"{key}={values[key][str(value)]}" for key, value in zip(swept, variant, strict=True))
        shift = f"{axis}: {kind}, {domain}" if axis == "format" else str(axis)
        size = 9 if wide(settings, 9) <= ROOM else 7.5
        titles.append([*(broken(settings, ROOM, size, 4) if settings else []), *broken(shift, ROOM, size, 1)])
    more = sum(max(0, *(len(title) - 2 for title in titles[at : at + ACROSS])) for at in range(0, len(rows), ACROSS))
    figure = Figure(figsize=(13, 1.1 + 2.5 * down + 0.14 * more), layout="constrained")
    panels = figure.subplots(down, ACROSS, squeeze=False).ravel()
    for ax in panels[len(rows) :]:
        ax.remove()
    numbered = chosen[keys].apply(tuple, axis=1)
    for ax, row, title in zip(panels, rows, titles, strict=False):
        panel = chosen[numbered == row]
        stack(ax, panel, {level: rate.get((*row, level)) for level in panel["level"].unique()})
        ax.set_title(shown("\n".join(title)), size=9 if wide("\n".join(title), 9) <= ROOM else 7.5, loc="left")
    legend = [Patch(color=colour, label=name) for name, colour in KINDS.values()]
    figure.legend(handles=legend, loc="outside upper center", ncols=len(legend), frameon=False, fontsize=9)
    words = "share of completions by level, mean over seeds; ◇ share that equals the replay oracle's completion; "
    words += "–: the right ones of each seed"
    figure.supxlabel("\n".join(filter(None, [words, shown(said)])), size=8.5)
    return figure


def stack(ax: Any, panel: pd.DataFrame, rates: dict[int, float | None]) -> None:
    """Draws the bars of one panel. `rates` holds the share of replayed completions, by level."""
    settings = panel.drop_duplicates("level").set_index("level")["setting"]
    levels = sorted(settings.index)
    bottom = np.zeros(len(levels))
    for kind, (_, colour) in KINDS.items():
        part = panel[panel["metric"] == kind].set_index("level").reindex(levels)
        height = part["mean"].to_numpy()
        ax.bar(range(len(levels)), height, bottom=bottom, color=colour, width=0.82, linewidth=0)
        if kind == "right" and (part["seeds"] > 1).any():
            known = [seed_values(text) if isinstance(text, str) else {} for text in part["by_seed"]]
            each = [(x, value) for x, values in enumerate(known) for value in values.values()]
            ax.scatter(*zip(*each, strict=True), marker="_", s=26, color="black", lw=1.0, zorder=4)
        bottom += height
    for x, level in enumerate(levels):
        if (rate := rates.get(level)) is not None:
            ax.plot(x, rate, marker="D", ms=5, color="white", mec="black", mew=0.8, clip_on=False, zorder=5)
    names = [("training" if level == 0 else one_line(str(settings[level])) or str(level)) for level in levels]
    under(ax, names, [str(level) for level in levels])
    ax.set_ylim(0, 1)
    ax.set_yticks([0, 0.5, 1], ["0", "½", "1"], size=8)
    sns.despine(ax=ax)


def under(ax: Any, names: list[str], short: list[str]) -> None:
    """Writes the names of bars below them: in one line or two, upright if they are too wide, or else as `short`."""
    each = ROOM / len(names)
    lines = [name if len(name) < 8 else name.replace(" ", "\n", 1) for name in names]
    size, upright = 7.0, max(wide(line, 7) for line in lines) > each - 0.04
    if upright:
        lines = [cut(name, 0.9, 7) for name in names] if each > 0.075 else short
        size = min(7.0, 60 * each)
    ax.set_xticks(range(len(names)), [shown(line) for line in lines], size=size, rotation=90 * upright)
