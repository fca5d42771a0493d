"""Coverage figure: held-out compositions that come right, over what they share with training, with the rival theories'
own curves on the very same compositions.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from alchemy.figures.lettering import broken, shown
from alchemy.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    SMALL,
    VERMILION,
    says,
    title,
    under,
    whisker,
)
from alchemy.results.runs import Results
from alchemy.stats.contrasts import contrast
from alchemy.studies.coverage.laws import (
    MOST_TIMES,
    by_job,
    by_number,
    by_times,
    exponent,
    half_at,
    held_out_rows,
    per_rule,
    said,
    score_by_seed,
    seedwise,
)
from alchemy.studies.coverage.page import settings
from alchemy.studies.coverage.theories import THEORIES

LINES = {  # theories whose own curves are drawn: colour and dash
    "seen twice": (VERMILION, "-"),
    "seen once": (ORANGE, "--"),
    "seen three times": (PURPLE, "--"),
    "connected": (GREEN, ":"),
    "all connected": (GREEN, "-."),
    "quadratic": (BLUE, ":"),
    "number alone": ("0.5", "-."),
}
SHADES = ("#c6dbef", "#6baed6", "#2171b5", "#08306b", BLACK)  # of the number of rules, the fewest first
BROAD = 13.0  # inches
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")  # numbers in place of powers


def pictures(results: Results) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name and drawing function of each picture of this study's results."""
    yield "coverage", lambda: coverage_figure(held_out_rows(results), settings(results)[0])


def coverage_figure(table: pd.DataFrame, sure: float) -> Figure:
    """Figure with five panels and a legend. The outcomes of one job are enough for it."""
    figure = Figure(figsize=(BROAD, 8.2), layout="constrained")
    axes = figure.subplots(2, 3).flat
    form = "chain" if (table["form"] == "chain").any() else "direct"
    some = table[table["form"] == form]
    over_times(axes[0], some)
    over_compositions(axes[1], some)
    half(axes[2], table)
    designs(axes[3], some)
    theories(axes[4], table, sure, form)
    legend(axes[5], table)
    seeds = table["seed"].nunique()
    words = f"Compositions that training never had ({seeds} seed{'s' * (seeds > 1)}, each a dot; answers with a {form})"
    words = words.replace("with a direct", "without a chain")
    figure.suptitle(shown("\n".join(broken(words, BROAD - 0.3, 11, 2))), size=11, x=0.005, ha="left")
    return figure


def shade(table: pd.DataFrame, rules: int) -> str:
    """Colour of a number of rules."""
    known = sorted(table["rules"].unique())
    return SHADES[known.index(rules) * (len(SHADES) - 1) // max(len(known) - 1, 1)]


def over_times(ax: Any, table: pd.DataFrame) -> None:
    """Draws panel a: exact match over how often each rule was seen in its place, for each number of rules."""
    known = sorted(table["rules"].unique())
    for number, rules in enumerate(known):
        middle = []
        for k, seeds in by_times(table[table["rules"] == rules]).items():
            x, found = k + 0.12 * (number - (len(known) - 1) / 2), [*seeds.values()]
            ax.plot([x] * len(found), found, ".", color=shade(table, rules), ms=4, alpha=0.7)
            middle.append((x, np.median(found)))
        ax.plot(*np.array(middle).T, color=shade(table, rules), lw=1.5)
    ax.set_xticks(range(MOST_TIMES + 1), [*map(str, range(MOST_TIMES)), f"{MOST_TIMES}+"])
    ax.set_ylim(-0.05, 1.05)
    ax.set_xlabel("times that each rule was seen in its place (the rarer one)", size=9)
    ax.set_ylabel("exact match", size=9)
    title(ax, "a", "Right, over times that rules were in place")


def over_compositions(ax: Any, table: pd.DataFrame) -> None:
    """Draws panel b: exact match over the number of compositions in training, drawn at random."""
    some = table[table["design"].isin(["random", "one"])]
    if some.empty:
        says(ax, "no job has the design random")
        return
    means = by_job(some, some["right"]).rename("right").reset_index()
    for rules, its in means.groupby("rules"):
        colour = shade(table, int(str(rules)))
        ax.plot(its["compositions"], its["right"], ".", color=colour, ms=4, alpha=0.7)
        middle = its.groupby("compositions")["right"].median()
        ax.plot(middle.index, middle, color=colour, lw=1.5)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(PLAIN)
    ax.set_ylim(-0.05, 1.05)
    ax.set_xlabel("compositions in training", size=9)
    ax.set_ylabel("exact match", size=9)
    title(ax, "b", "Right, over the compositions in training")


def half(ax: Any, table: pd.DataFrame) -> None:
    """Draws panel c: compositions at which half come right over the number of rules, and the theories' own."""
    forms = [form for form in ("chain", "direct") if form in set(table["form"])]
    measured = {form: half_at(table, table["right"], form) for form in forms}
    if not any(measured.values()):
        says(ax, "no seed goes from below one half to above it")
        return
    for theory, (colour, dash) in LINES.items():
        line = {rules: np.median([*its.values()]) for rules, its in by_number(table, theory, forms[0]).items()}
        ax.plot([*line], [*line.values()], dash, color=colour, lw=1.3)
    for form, its in measured.items():
        for rules, values in its.items():
            face = BLACK if form == "chain" else "white"
            ax.plot([rules] * len(values), [*values.values()], "o", mfc=face, mec=BLACK, ms=4, alpha=0.6)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    known = sorted(table["rules"].unique())
    ax.set_xticks(known, [*map(str, known)])
    ax.yaxis.set_major_formatter(PLAIN)
    ax.set_xlabel("rules", size=9)
    ax.set_ylabel("compositions for half of those held out", size=9)
    said_of = []
    for form in forms:
        found = contrast(np.array([*exponent(table, form).values()], dtype=float))
        if found.seeds:
            spread = f" [{found.low:.2f}, {found.high:.2f}]" if found.low == found.low else ""
            said_of.append(f"{form} " * (len(forms) > 1) + f"{found.estimate:.2f}{spread}")
    words = f", which grows as rules to the power of {'; '.join(said_of)}" if said_of else ""
    title(ax, "c", f"Where half are right{words}")


def designs(ax: Any, table: pd.DataFrame) -> None:
    """Draws panel d: exact match of designs at equal numbers, and what the theories say of them."""
    ratio = per_rule(table)
    shared = {one for one in set(ratio) if table.loc[ratio == one, "design"].nunique() > 1}
    kinds = sorted({(one, name) for one, name in zip(ratio, table["design"], strict=True) if one in shared})
    if not kinds:
        says(ax, "no two designs have the same number of compositions")
        return
    for x, (one, name) in enumerate(kinds):
        some = table[(ratio == one) & (table["design"] == name)]
        whisker(ax, x, contrast(np.array([*seedwise(some).values()])), "black")
        for theory, (colour, _) in LINES.items():
            value = np.mean([*seedwise(some.assign(right=said(some, theory))).values()])
            ax.plot([x - 0.3, x + 0.3], [value, value], color=colour, lw=1.6, alpha=0.8)
    under(ax, [f"{name}\n{one:g} a rule" for one, name in kinds], 3.6)
    ax.set_xlim(-0.6, len(kinds) - 0.4)
    ax.set_ylim(-0.05, 1.05)
    ax.set_ylabel("exact match", size=9)
    title(ax, "d", "Designs with as many compositions (lines: what theories say)")


def theories(ax: Any, table: pd.DataFrame, sure: float, form: str) -> None:
    """Draws panel e: the log score of each theory, the best first."""
    found = {theory: contrast(np.array([*score_by_seed(table, theory, sure, form).values()])) for theory in THEORIES}
    order = sorted(found, key=lambda theory: -found[theory].estimate)
    for x, theory in enumerate(order):
        whisker(ax, x, found[theory], LINES.get(theory, (SKY, "-"))[0])
    under(ax, [name.removeprefix("seen ") for name in order], 3.6)
    ax.set_ylabel("log score, nats a problem (0 is the best)", size=9)
    title(ax, "e", f"{order[0].capitalize()} scores best")


def legend(ax: Any, table: pd.DataFrame) -> None:
    """Draws the legend: shades of the number of rules, and lines of the theories."""
    for rules in sorted(table["rules"].unique()):
        ax.plot([], [], color=shade(table, rules), lw=2, label=f"{rules} rules")
    for theory, (colour, dash) in LINES.items():
        lines = broken(f"{theory}: {THEORIES[theory][0]}", 3.3, SMALL, 2)
        ax.plot([], [], dash, color=colour, lw=1.6, label=shown("\n".join(lines)))
    if (table["form"] == "direct").any():
        ax.plot([], [], "o", mfc="white", mec=BLACK, ms=4, label="answers without a chain")
    ax.legend(loc="center", fontsize=SMALL, frameon=False)
    ax.set_axis_off()
