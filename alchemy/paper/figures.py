"""Draws the paper's figures from its claims: the lab's means and every seed, the published ones, and pure replay.

python -m alchemy figures outputs/paper/claims.csv [FOLDER]
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from alchemy.errors import Parser
from alchemy.figures.draw import save, styled
from alchemy.figures.lettering import broken, columns, cut, fitted, one_line, shown
from alchemy.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from alchemy.results.table import seed_values

COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#666666")  # Okabe and Ito
METRICS = {"exact_match": "exact match", "edit_distance": "edit distance", "bleu_corpus": "BLEU"}
LEGEND = "● ours, mean of seeds (· each)    ○ published    – – the nearest training composition, executed"


def lines(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws a line per series over x: the lab's values filled, published ones hollow, the replay oracle dashed."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    ax = figure.subplots()
    for colour, (series, rows) in zip(COLOURS * 2, groups(table, metric), strict=False):
        curve(ax, rows, places(rows["x"]), colour, str(series))
    finish(figure, ax, title, x_name, METRICS[metric], dotted=bool(table["perfect"].notna().any()))
    return figure


def panels(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws a panel for each group of series whose names are the same before the colon."""
    names = list(dict.fromkeys(series.partition(":")[0] for series in table["series"]))
    figure = Figure(figsize=(10.5, 4.4), layout="constrained")
    axes = figure.subplots(1, len(names), sharey=True)
    for ax, name in zip(axes, names, strict=True):
        some = table[table["series"].str.startswith(f"{name}:")]
        for colour, (series, rows) in zip(COLOURS, groups(some, metric), strict=False):
            curve(ax, rows, places(rows["x"]), colour, "tested at" + str(series).partition(":")[2])
        finish(figure, ax, f"{title}, {name}", x_name, METRICS[metric])
    return figure


def bars(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws bars grouped by x, one per series: the lab's value, with the published one and the replay oracle on it."""
    figure = Figure(figsize=(10.5, 4.6), layout="constrained")
    ax = figure.subplots()
    grouped = [(series, rows) for series, rows in groups(table, metric) if rows["ours"].notna().any()]
    names = list(dict.fromkeys(table["x"]))
    width = 0.84 / len(grouped)
    for number, (colour, (series, rows)) in enumerate(zip(COLOURS, grouped, strict=False)):
        x = np.array([names.index(name) for name in rows["x"]]) + (number - (len(grouped) - 1) / 2) * width
        ax.bar(x, rows["ours"], width * 0.94, color=colour, label=str(series))
        each_seed(ax, x, rows, "black")
        ax.plot(x, rows["published"], "o", ms=5, mfc="white", mec="black", zorder=4)
        ax.hlines(rows["oracle"], x - width / 2, x + width / 2, color="black", ls="--", lw=1.2)
    ticks = [fitted([one_line(str(name))], 9.0 / len(names) - 0.08, 10) for name in names]
    ax.set_xticks(range(len(names)), [name for name, _ in ticks], size=min(size for _, size in ticks))
    finish(figure, ax, title, x_name, METRICS[metric])
    return figure


def heat(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws three heat maps side by side, series by x: published, the lab's, and the replay oracle's."""
    some = table[table["metric"] == metric]
    figure = Figure(figsize=(12, 3.1), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    for ax, column, name in zip(axes, ("published", "ours", "oracle"), ("published", "ours", "replay"), strict=True):
        grid = some.pivot(index="series", columns="x", values=column)
        grid = grid.loc[some["series"].unique(), some["x"].unique()]
        grid.index = [shown(cut(one_line(str(name)), 2.0, 10)) for name in grid.index]
        grid.columns = [fitted([one_line(str(name))], 9.0 / 3 / grid.shape[1], 10, 10)[0] for name in grid.columns]
        sns.heatmap(grid, ax=ax, vmin=0, vmax=1, cmap="viridis", annot=True, fmt=".2f", cbar=False, linewidths=1)
        ax.set(title=name, xlabel=x_name, ylabel="")
    figure.suptitle(f"{title}: {METRICS[metric]}", x=0.01, ha="left", size=11)
    return figure


def dots(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws a row per claim: the lab's mean and every seed, the published one hollow, the replay oracle a dash."""
    some = table[table["metric"] == metric].reset_index(drop=True)
    figure = Figure(figsize=(8.6, 1.3 + 0.23 * len(some)), layout="constrained")
    ax = figure.subplots()
    y = np.arange(len(some))[::-1]
    if each := seeds_of(y, some):
        at, values = zip(*each, strict=True)
        ax.scatter(values, at, s=9, color=COLOURS[0], alpha=0.45, lw=0)
    ax.plot(some["ours"], y, "o", ms=4, color=COLOURS[0])
    ax.plot(some["published"], y, "o", ms=8, mfc="none", mec="black")
    ax.plot(some["oracle"], y, "|", ms=11, color=COLOURS[1], mew=2)
    names = (some["series"] + " " + some["x"]).str.strip() + ", " + some["part"]
    ax.set_yticks(y, [shown(cut(one_line(name), 3.5, 7.5)) for name in names], size=7.5)
    ax.set_ylim(-1, len(some))
    key = "● ours, mean (· each seed)   ○ published   | replay"
    ax.set_title(f"{title}: {METRICS[metric]}\n{key}", size=10, loc="left")
    ax.set_xlabel(x_name)
    return figure


def scatter(table: pd.DataFrame, title: str, x_name: str, metric: str) -> Figure:
    """Draws BLEU against edit distance, the lab's filled and joined to the published, hollow; a colour per scenario."""
    wide = table[table["part"] == "full"].drop_duplicates(["series", "x", "metric"])
    both = {name: wide.pivot(index=["series", "x"], columns="metric", values=name) for name in ("ours", "published")}
    figure = Figure(figsize=(7.2, 5.2), layout="constrained")
    ax = figure.subplots()
    for name in both["ours"].index:
        mine, its = both["ours"].loc[name], both["published"].loc[name]
        x, y = (mine["edit_distance"], its["edit_distance"]), (mine[metric], its[metric])
        ax.plot(x, y, color="0.75", lw=0.8, zorder=1)
        kind = str(name[0]).partition(":")[0]
        colour = (
            COLOURS[("ID", "CMP", "POOD", "OOD").index(kind)] if kind in ("ID", "CMP", "POOD", "OOD") else "#666666"
        )
        ax.plot(x[0], y[0], "o", ms=6, color=colour)
        ax.plot(x[1], y[1], "o", ms=8, mfc="none", mec=colour)
    for colour, kind in zip((*COLOURS[:4], "#666666"), ("ID", "CMP", "POOD", "OOD", "with reversal"), strict=True):
        ax.plot([], [], "o", color=colour, label=kind)
    finish(figure, ax, title, x_name, METRICS[metric])
    figure.supxlabel("● ours, mean of seeds    ○ published", size=8)
    return figure


def groups(table: pd.DataFrame, metric: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yields each series with its rows for one metric, in the order of the claims."""
    some = table[(table["metric"] == metric) & (table["ours"].notna() | table["published"].notna())]
    yield from some.groupby("series", sort=False)


def places(names: pd.Series) -> np.ndarray:
    """Returns the position of each x on the axis: its number, or its order where one of them is no number."""
    numbers = pd.to_numeric(names, errors="coerce")
    return numbers.to_numpy() if numbers.notna().all() else np.arange(len(names))


def curve(ax: Any, rows: pd.DataFrame, x: np.ndarray, colour: str, label: str) -> None:
    ax.plot(x, rows["ours"], "-o", ms=4, color=colour, label=label)
    each_seed(ax, x, rows, colour)
    ax.plot(x, rows["published"], "o", ms=7, mfc="none", mec=colour)
    ax.plot(x, rows["oracle"], "--", lw=1, color=colour)
    if rows["perfect"].notna().any():
        ax.plot(x, rows["perfect"], ":", lw=1.2, color=colour)


def seeds_of(places: np.ndarray, rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Returns the place and the value of every seed of these rows, which stand at `places`."""
    known = zip(places, rows["by_seed"].fillna(""), strict=True)
    return [(float(at), value) for at, text in known for value in seed_values(text).values()]


def each_seed(ax: Any, x: np.ndarray, rows: pd.DataFrame, colour: str) -> None:
    """Draws every seed of these rows as a small dot."""
    if each := seeds_of(x, rows):
        at, values = zip(*each, strict=True)
        ax.scatter(at, values, s=7, color=colour, alpha=0.6, lw=0, zorder=3)


def finish(figure: Figure, ax: Any, title: str, x_name: str, y_name: str, dotted: bool = False) -> None:
    ax.set(xlabel=x_name, ylabel=y_name, ylim=(-0.02, 1.03))
    room = float(figure.get_figwidth()) / sum(its.get_subplotspec() is not None for its in figure.axes) - 1.0
    ax.set_title(shown("\n".join(broken(title, room, 10.5, 3))), size=10.5, loc="left")
    handles, names = ax.get_legend_handles_labels()
    names = [shown(cut(one_line(name), room - 0.8, 8)) for name in names]
    ax.legend(handles, names, frameon=False, fontsize=8, ncols=columns(names, room, 8, 2))
    perfect = "\n···· a perfect model under the released scorer" if dotted else ""
    figure.supxlabel(LEGEND + perfect, size=8)
    sns.despine(ax=ax)


Drawing = Callable[[pd.DataFrame, str, str, str], Figure]
FIGURES: dict[str, tuple[str, Drawing, str, str, str]] = {  # file: claims, drawing, title, x, metric
    "table_1_and_2": ("Table 1;Table 2", dots, "Tables 1 and 2", "edit distance", "edit_distance"),
    "table_1_and_2_exact": ("Table 1;Table 2", dots, "Tables 1 and 2", "exact match", "exact_match"),
    "table_3": ("Table 3", dots, "Table 3, with reversal", "edit distance", "edit_distance"),
    "table_4": ("Table 4", dots, "Table 4, length", "BLEU", "bleu_corpus"),
    "figure_3": ("Table 1;Table 3", scatter, "Figure 3: BLEU against edit distance", "edit distance", "bleu_corpus"),
    "figure_4": ("Figure 4 (fine-tuning)", lines, "Figure 4: fine-tuning on a few rows", "rows", "exact_match"),
    "figure_8": ("Figure 8 (steps)", panels, "Figure 8: mixing steps", "share x of the mixed-in chains", "exact_match"),
    "figure_9a": ("Figure 9a (noise kinds)", lines, "Figure 9a: noise by kind", "% of tokens", "edit_distance"),
    "figure_9b": ("Figure 9b (noise domains)", lines, "Figure 9b: noise by domain", "% of tokens", "bleu_corpus"),
    "figure_11": ("Figure 11 (elements)", heat, "Figure 11: elements", "composition", "bleu_corpus"),
    "figure_12": (
        "Figure 12 (element fine-tuning)", lines, "Figure 12: element fine-tuning", "share x", "exact_match",
    ),
    "figure_13": ("Figure 13 (padding)", bars, "Figure 13: padding, trained at l = 4", "length", "bleu_corpus"),
    "figure_14a": ("Figure 14a (temperature)", lines, "Figure 14a: temperature", "temperature (log)", "bleu_corpus"),
    "figure_14b": ("Figure 14b (fine-tuning by size)", lines, "Figure 14b: fine-tuning", "rows", "exact_match"),
    "figure_15_task": ("Figure 15 (sizes, task)", bars, "Figure 15: sizes, task", "scenario", "bleu_corpus"),
    "figure_15_steps": ("Figure 15 (sizes, steps)", bars, "Figure 15: sizes, steps", "rules", "edit_distance"),
    "figure_15_format": (
        "Figure 15 (sizes, format)", lines, "Figure 15: sizes, hybrid noise", "% of tokens", "edit_distance",
    ),
}  # fmt: skip
SCALES: dict[str, dict[str, Any]] = {  # the scale of x, where it is not linear
    "figure_14a": {"value": "log"},
    "figure_12": {"value": "symlog", "linthresh": 3e-4},
}


def draw_figure(table: pd.DataFrame, folder: Path) -> list[Path]:
    """Draws every figure for which something was measured, and returns their files."""
    files = []
    for name, (where, drawing, title, x_name, metric) in FIGURES.items():
        some = table[table["where"].isin(where.split(";"))]
        if some["ours"].notna().any():
            with styled():
                figure = drawing(some, title, x_name, metric)
                if name in SCALES:
                    figure.axes[0].set_xscale(**SCALES[name])
                    figure.axes[0].set_xlim(left=some["x"].astype(float).min())
                files.append(save(figure, folder / f"{name}.png"))
    return files


def main(words: list[str]) -> int:
    """Runs the subcommand `figures`: draws them, prints their files and returns exit code 0."""
    parser = Parser("figures", "The paper's figures, from its claims.", "outputs/paper/claims.csv [FOLDER]")
    parser.add_argument("claims", type=Path, help="such as outputs/paper/claims.csv")
    parser.add_argument("folder", type=Path, nargs="?", help="where the pictures go (beside that file)")
    chosen = parser.parse_args(words)
    table = pd.read_csv(chosen.claims, dtype={"x": str})
    if lacking := {"where", "series", "x", "metric", "ours", "by_seed"} - {*table.columns}:
        raise ValueError(f"{chosen.claims} is no table of claims: it lacks {', '.join(sorted(lacking))}")
    for path in draw_figure(table.fillna({"series": "", "x": ""}), chosen.folder or chosen.claims.parent):
        print(path)
    return 0
