"""Curves over a number that a study varies, such as the rows a model has seen: a panel per shift, a line per part."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter

from alchemy.figures.lettering import broken, columns, cut, one_line, shown, told_apart
from alchemy.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

PARTS = {"chain": ("chain", BLUE), "answer": ("answer", VERMILION), "full": ("both", GREEN)}
OTHERS = (PURPLE, SKY, ORANGE, BLACK)  # colours of parts that a study adds
REPLAY = "replay_"  # prefix of a part: the replay oracle's score of it
ACROSS = 4  # panels in a row
MOST = 20  # panels, at most, in a picture
ROOM = 2.9  # inches for a panel and its title


def draw_curves(cells: pd.DataFrame, table: pd.DataFrame, swept: list[str], x: str, said: str = "") -> Figure:
    """Figure of exact match over the column `x`, with a panel for each shift, level and other swept setting.

    Each part has a thick line for the mean over seeds, a thin line for each seed, and a dashed line for the replay
    oracle where it was measured. Parts that a study adds have lines of their own. Training is drawn
    once.

    `cells` has one row per cell and `table` one per record; `swept` are the columns that tell cells apart. `said` is
    written above the panels.

    >>> draw_curves(results.cells, results.table, results.apart, "rows").savefig("curves.png")  # doctest: +SKIP
    """
    others, keys = curve_keys(swept, x)
    scores = curve_cells(cells)
    rows = list(scores[keys].drop_duplicates().itertuples(index=False, name=None))
    across = max(min(ACROSS, len(rows)), 1)
    down = max(-(-len(rows) // across), 1)
    lines = parts_of(scores)
    titles = titles_of(scores, rows, keys, others)
    width = 1.0 + 3.6 * across
    dashed = ", replay dashed" if scores["part"].str.startswith(REPLAY).any() else ""
    heading = f"Exact match over {x}: mean thick, each seed thin{dashed}"
    above = [line for text in (heading, said) if text for line in broken(text, width - 0.3, 11)]
    more = sum(max(0, *(len(its) - 2 for its in titles[at : at + across])) for at in range(0, len(rows), across))
    names = [(shown(cut(name, 2.0, 9)), colour) for name, colour in lines.values()]
    beside = columns([name for name, _ in names], width - 0.3, 9, 8)
    height = 1.0 + 2.6 * down + 0.14 * more + 0.19 * (len(above) - 1) + 0.17 * (-(-len(names) // beside) - 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(shown("\n".join(above)), size=11, x=0.01, ha="left")
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for ax in panels[len(rows) :]:
        ax.remove()
    for ax, row, title in zip(panels, rows, titles, strict=False):
        here, each = (pick(frame, keys, row) for frame in (scores, table[table["metric"] == "exact_match"]))
        for part, (_, colour) in lines.items():
            line(ax, here, each, part, x, colour)
        ax.set_title(shown("\n".join(title)), size=8)
        ax.set(ylim=(-0.03, 1.04))
        ax.set_xlabel(shown(cut(one_line(x), ROOM, 10)))
        if here[x].min() > 0:
            ax.set_xscale("log")
            ax.xaxis.set(
                major_locator=LogLocator(subs=(1, 3) if here[x].max() < 1e3 * here[x].min() else (1,)),
                major_formatter=EngFormatter(sep=""),
                minor_formatter=NullFormatter(),
            )
        else:
            ax.xaxis.set_major_locator(MaxNLocator(5))
        sns.despine(ax=ax)
    handles = [panels[0].plot([], [], color=colour, label=name)[0] for name, colour in names]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=beside, frameon=False, fontsize=9)
    return figure


def curve_keys(swept: list[str], x: str) -> tuple[list[str], list[str]]:
    """Swept columns besides `x`, and all columns that tell panels apart."""
    others = [name for name in swept if name != x]
    return others, [*others, "axis", "kind", "domain", "level"]


def curve_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells that curves are drawn through: those of exact match, with training once."""
    return training_once(cells[cells["metric"] == "exact_match"])


def titles_of(scores: pd.DataFrame, rows: list[tuple[Any, ...]], keys: list[str], others: list[str]) -> list[list[str]]:
    """Title of each panel, as lines."""
    settings = dict(zip(scores[keys].itertuples(index=False, name=None), scores["setting"], strict=True))
    values = {key: told_apart([str(row[at]) for row in rows]) for at, key in enumerate(others)}
    titles = []
    for row in rows:
        *variant, axis, _, _, level = row
        words = [f"{key}={values[key][str(value)]}" for key, value in zip(others, variant, strict=True)]
        most = max(1, 6 // max(len(words), 1))
        lines = [line for word in words for line in broken(word, ROOM, 8, most)][:8]
        titles.append([*lines, *broken(panel_name(axis, level, settings[row]), ROOM, 8, 2)])
    return titles


def parts_of(scores: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Name in the legend and colour of each part that was measured."""
    measured = [part for part in scores["part"].unique() if not part.startswith(REPLAY)]
    known = {part: words for part, words in PARTS.items() if part in measured}
    own = (part for part in measured if part not in PARTS)
    return known | {part: (part.replace("_", " "), colour) for part, colour in zip(own, cycle(OTHERS), strict=False)}


def panel_name(axis: str, level: int, setting: str) -> str:
    """Name of the panel of one level of a shift."""
    if level == 0:
        return "training"
    return f"{axis} {setting}" if axis == "composition" else f"{axis} {level}: {setting}"


def training_once(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with level 0 of the first axis that has it, and of no other: level 0 is the same on all axes."""
    first = cells["axis"][cells["level"] == 0].head(1)
    return cells[(cells["level"] != 0) | cells["axis"].isin(first)]


def pick(frame: pd.DataFrame, keys: list[str], row: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of `frame` whose columns `keys` have the values of `row`."""
    same = np.ones(len(frame), dtype=bool)
    for key, value in zip(keys, row, strict=True):
        same &= (frame[key] == value).to_numpy()
    return frame[same]


def line(ax: Any, here: pd.DataFrame, each: pd.DataFrame, part: str, x: str, colour: str) -> None:
    """Draws one part into a panel: the mean, each seed, and the replay oracle."""
    mean = here[here["part"] == part].sort_values(x)
    ax.plot(mean[x], mean["mean"], color=colour, lw=2)
    for _, seed in each[each["part"] == part].sort_values(x).groupby("seed"):
        ax.plot(seed[x], seed["value"], color=colour, lw=0.6, alpha=0.6)
    oracle = here[here["part"] == f"{REPLAY}{part}"].sort_values(x)
    ax.plot(oracle[x], oracle["mean"], color=colour, lw=0.9, ls="--")
