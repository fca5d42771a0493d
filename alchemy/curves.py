"""Curves over a study's own coordinate, such as the rows that a model has seen: a panel per shift, a line per part."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

PARTS = {"chain": ("chain", "#0072B2"), "answer": ("answer", "#D55E00"), "full": ("both", "#009E73")}
OTHERS = ("#CC79A7", "#56B4E9", "#E69F00", "#000000")  # of parts that a study names itself
REPLAY = "replay_"  # begins the name of the oracle's score of a part
ACROSS = 4  # panels in a row


def curves(cells: pd.DataFrame, table: pd.DataFrame, swept: list[str], x: str) -> Figure:
    """Exact match over `x`, mean of the seeds with its 95 % interval, and each seed thin; dashed, the replay oracle's,
    where it was measured. Parts that a study names itself have lines of their own.

    A panel per shift, level and other setting; training itself is drawn once.
    """
    others = [name for name in swept if name != x]
    keys = [*others, "axis", "kind", "domain", "level"]
    scores = training_once(cells[cells["metric"] == "exact_match"])
    rows = list(scores[keys].drop_duplicates().itertuples(index=False, name=None))
    across = min(ACROSS, len(rows))
    down = -(-len(rows) // across)
    lines = parts_of(scores)
    figure = Figure(figsize=(1.0 + 3.6 * across, 1.0 + 2.6 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for ax in panels[len(rows) :]:
        ax.set_axis_off()
    for ax, row in zip(panels, rows, strict=False):
        here, each = (pick(frame, keys, row) for frame in (scores, table[table["metric"] == "exact_match"]))
        for part, (_, colour) in lines.items():
            line(ax, here, each, part, x, colour)
        *variant, axis, _, _, level = row
        words = [f"{key}={value}" for key, value in zip(others, variant, strict=True)]
        ax.set_title("\n".join([*words, panel_name(axis, level, here["setting"].iloc[0])]), size=8)
        ax.set(xlabel=x, ylim=(-0.03, 1.04))
        if here[x].min() > 0:
            ax.set_xscale("log")
            ax.xaxis.set(
                major_locator=LogLocator(subs=(1, 3)),
                major_formatter=EngFormatter(sep=""),
                minor_formatter=NullFormatter(),
            )
        sns.despine(ax=ax)
    handles = [panels[0].plot([], [], color=colour, label=name)[0] for name, colour in lines.values()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    dashed = ", replay dashed" if scores["part"].str.startswith(REPLAY).any() else ""
    title = f"Exact match over {x}: mean and 95 % interval, each seed thin{dashed}"
    figure.suptitle(title, size=11, x=0.01, ha="left")
    return figure


def parts_of(scores: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """By part that was measured, its name in the legend and its colour."""
    measured = [part for part in scores["part"].unique() if not part.startswith(REPLAY)]
    known = {part: words for part, words in PARTS.items() if part in measured}
    own = (part for part in measured if part not in PARTS)
    return known | {part: (part.replace("_", " "), colour) for part, colour in zip(own, cycle(OTHERS), strict=False)}


def panel_name(axis: str, level: int, setting: str) -> str:
    if level == 0:
        return "training"
    return f"{axis} {setting}" if axis == "composition" else f"{axis} {level}: {setting}"


def training_once(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells without level 0 of every axis but the first: it is the same on all."""
    return cells[~((cells["level"] == 0) & (cells["axis"] != cells["axis"].iloc[0]))]


def pick(frame: pd.DataFrame, keys: list[str], row: tuple[Any, ...]) -> pd.DataFrame:
    """The rows of `frame` with these coordinates."""
    same = np.ones(len(frame), dtype=bool)
    for key, value in zip(keys, row, strict=True):
        same &= (frame[key] == value).to_numpy()
    return frame[same]


def line(ax: Any, here: pd.DataFrame, each: pd.DataFrame, part: str, x: str, colour: str) -> None:
    """One part's mean, interval, seeds and oracle."""
    mean = here[here["part"] == part].sort_values(x)
    ax.plot(mean[x], mean["mean"], color=colour, lw=2)
    ax.fill_between(mean[x], mean["low"].astype(float), mean["high"].astype(float), color=colour, alpha=0.15, lw=0)
    for _, seed in each[each["part"] == part].sort_values(x).groupby("seed"):
        ax.plot(seed[x], seed["value"], color=colour, lw=0.6, alpha=0.6)
    oracle = here[here["part"] == f"{REPLAY}{part}"].sort_values(x)
    ax.plot(oracle[x], oracle["mean"], color=colour, lw=0.9, ls="--")
