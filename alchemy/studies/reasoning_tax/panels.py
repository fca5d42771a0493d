"""Panels d, e and f of the headline figure: where the loss sits, what is kept by load, and the threshold of opening."""

from functools import partial
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alchemy.figures.lettering import cut, shown
from alchemy.figures.style import SMALL, WIDE, percent, says, title, under, whisker
from alchemy.stats.contrasts import Contrast
from alchemy.studies.reasoning_tax.coordinates import NONE, column
from alchemy.studies.reasoning_tax.style import arms_of, mean_of, style
from alchemy.studies.reasoning_tax.trajectories import Run, Seeds, Tax, over_seeds
from alchemy.studies.reasoning_tax.verdicts import kept, onset, put_back, returned

Array = NDArray[np.float64]
COMMAND = "python -m alchemy experiment=reasoning_tax/headline_full"  # the command that measures several loads
HALVES = ("lower", "upper")
Portion = tuple[str, Any]  # weights, and the number of a layer


def layers(above: Any, below: Any, tax: Tax) -> None:
    """Draws panel d: how far each layer moved, and below it what restoring a layer or a half returns.

    Bars are the share of lost bits that comes back, diamonds the share of the gain in opening that stays. Dots are the
    random halves that were drawn, one each.
    """
    found = {arm: restored(tax, arm) for arm in arms_of(tax)}
    arms = [arm for arm in ("gold", "deep", "rlvr", "deep_rlvr", *arms_of(tax)) if found.get(arm)]
    arms = list(dict.fromkeys(arms))[:2]
    if not arms:
        says(below, "No checkpoint at the matched opening was restored.")
        above.set_axis_off()
        title(above, "d", "Where the loss sits: not measured")
        return
    names = list(found[arms[0]])
    for side, arm in enumerate(arms):
        _, colour, _ = style(tax, arm)
        above.text(
            1,
            0.95 - 0.25 * side,
            shown(cut(arm, WIDE - 1, SMALL, bold=True)),
            color=colour,
            size=SMALL,
            weight="bold",
            ha="right",
            va="top",
            transform=above.transAxes,
        )
        for x, (name, layer) in enumerate(names):
            place = x + (side - (len(arms) - 1) / 2) * 0.4
            bar(below, place, mean_of(tax, arm, partial(returned, match="opening", weights=name, layer=layer)), colour)
            stays = mean_of(tax, arm, partial(gain_kept, weights=name, layer=layer))
            below.plot(place, stays.estimate, "D", ms=4, mfc="white", mec=colour, mew=1.1, zorder=5)
            if name == "layer":
                moved = mean_of(tax, arm, partial(moved_by, tax, layer))
                bar(above, place, moved, colour)
            if name == "random":
                draws = number_of_draws(tax, arm)
                below.plot([place] * len(draws), draws, ".", color="black", ms=4, zorder=6)
    low, high = below.get_ylim()
    below.set_ylim(max(low, -0.6), min(high, 1.6))
    below.axhline(0, color="0.3", lw=0.8)
    below.axhline(1, color="0.6", lw=0.8, ls=":")
    under(below, [str(layer) if name == "layer" else name for name, layer in names], WIDE)
    below.set_xlabel("set back to the base: a layer, a half; a random half, or all halfway", size=SMALL)
    below.set_ylabel("share of lost bits returned;\n◇ of the gain kept", size=9)
    above.set_ylabel("weights\nmoved, %", size=9)
    above.tick_params(labelbottom=False)
    lower, upper = (mean_of(tax, arms[0], partial(returned, match="opening", weights=name)) for name in HALVES)
    title(above, "d", f"{arms[0]}: lower half returns {percent(lower)}, upper {percent(upper)}")


def restored(tax: Tax, arm: str) -> list[Portion]:
    """Portions that were restored in an arm, in the order of the panel: layers, halves, and the controls."""
    runs = tax.of(tax.load, arm).values()
    where = {one.where for run in runs for one in run.values if one.metric == "bits"}
    found = {(its.weights, its.layer) for its in where if (its.part, its.match) == ("restore", "opening")}
    order = ("layer", *HALVES, "random", "halfway")
    return sorted((its for its in found if its[0] in order), key=lambda its: (order.index(its[0]), its[1]))


def moved_by(tax: Tax, layer: int, run: Run) -> float:
    """How far a layer moved at the matched opening, in percent of the norm of its weights."""
    return 100 * tax.at(run, "opening", column("update", "norm", NONE, "layer", layer))


def gain_kept(run: Run, weights: str, layer: int | str) -> float:
    """Share of the gain in the logit of opening that stays when a portion of the weights is restored."""
    columns = put_back(run, "opening", "gain", weights, layer)
    return float(np.mean([run.last(one) for one in columns])) if columns else nan


def number_of_draws(tax: Tax, arm: str) -> list[float]:
    """Share of lost bits that each random half returned, of the median seed: one number per draw."""
    runs = tax.of(tax.load, arm).values()
    found = {one for run in runs for one in put_back(run, "opening", "bits", "random")}
    return [mean_of(tax, arm, partial(Run.last, column=one)).estimate for one in sorted(found)]


def bar(ax: Any, x: float, found: Contrast, colour: str) -> None:
    """Draws a bar with its interval."""
    ax.bar(x, found.estimate, 0.38, color=colour, linewidth=0, alpha=0.85)
    whisker(ax, x, found)


def retention(ax: Any, tax: Tax) -> None:
    """Draws panel e: the share of the base's bits that is kept at the matched opening, over load.

    Where training states facts unequally often, those seen often and rarely are drawn apart. Each seed is a dot.
    """
    parts = {"bits": ("all facts", "o"), "bits_head": ("seen often", "^"), "bits_tail": ("seen rarely", "v")}
    parts = {
        name: words for name, words in parts.items() if any(column("knowledge", name) in r.values for r in all_of(tax))
    }
    if len(tax.loads) < 2 and len(parts) < 2:
        says(ax, f"One load, and every fact seen equally often.\nSeveral loads are measured by\n{COMMAND}")
        title(ax, "e", "What is kept by load: not measured")
        return
    arms = list(dict.fromkeys(arm for load in tax.loads for arm in arms_of(tax, load)))
    means: dict[tuple[str, str], dict[float, Contrast]] = {}
    drawn: list[tuple[dict[float, Contrast], dict[float, Seeds], str, str]] = []
    for arm in arms:
        _, colour, dash = style(tax, arm)
        for name, (_, marker) in parts.items():
            seeds = {load: shares(tax, load, arm, name) for load in tax.loads}
            seeds = {load: its for load, its in seeds.items() if its}
            if not seeds or (name == "bits" and any(shares(tax, load, arm, "bits_head") for load in tax.loads)):
                continue  # an arm that sees some facts more often has them drawn apart from the others
            if [*seeds] == [tax.load] and len(tax.loads) > 1 and arm not in ("gold", "rlvr", "zipf"):
                continue
            means[arm, name] = {load: over_seeds(values) for load, values in seeds.items()}
            drawn.append((means[arm, name], seeds, marker + dash, colour))
    for number, (its, seeds, line, colour) in enumerate(drawn):  # side by side
        places = {load: load * 1.07 ** (number - (len(drawn) - 1) / 2) for load in its}
        ax.plot([*places.values()], [one.estimate for one in its.values()], line, color=colour, lw=1.6, ms=6)
        for load, one in its.items():
            whisker(ax, places[load], one, colour)
            ax.plot([places[load]] * one.seeds, [*seeds[load].values()], ".", color=colour, ms=3, alpha=0.6)
    ax.axhline(1, color="0.6", lw=0.8, ls=":")
    ax.set_xscale("log")
    ax.set_xticks(tax.loads, [f"{load:g}" for load in tax.loads])
    ax.minorticks_off()
    ax.set_xlim(min(tax.loads) / 1.8, max(tax.loads) * 1.8)
    ax.set_xlabel("knowledge load of the base (fact bits / 2 bits per parameter)", size=9)
    ax.set_ylabel(f"share of bits kept at opening {tax.design.matches['opening']:g}", size=9)
    if len(parts) > 1:
        shown = [parts[name] for name in parts if any(name == its for _, its in means)]
        keys = [ax.plot([], [], marker, color="0.3", ls="", label=words)[0] for words, marker in shown]
        ax.legend(handles=keys, fontsize=SMALL, loc="lower right")
    title(ax, "e", kept_words(means))


def all_of(tax: Tax) -> list[Run]:
    """Runs of the main load without preservation."""
    return [run for (load, _, keep, _), run in tax.runs.items() if load == tax.load and keep == "none"]


def shares(tax: Tax, load: float, arm: str, metric: str) -> Seeds:
    """Share of bits kept at the matched opening, by seed."""
    return tax.by_seed(load, arm, "none", lambda run: kept(tax, run, "opening", metric))


def kept_words(means: dict[tuple[str, str], dict[float, Contrast]]) -> str:
    """Title of panel e: what its first arm keeps."""
    first = next((arm for arm, _ in means), "")
    said = []
    for (arm, name), its in means.items():
        if arm == first and its:
            group = {"bits_head": "seen often ", "bits_tail": "seen rarely "}.get(name, "")
            said.append(group + ", ".join(f"{percent(one)} at {load:g}" for load, one in its.items()))
    return f"Kept by load, {first}: {'; '.join(said)}" if said else "No arm reached the matched opening"


def openings(ax: Any, tax: Tax) -> None:
    """Draws panel f: the share of greedy completions that open a chain, over the rate at temperature 1, each seed thin.

    The predicted p* is drawn with its interval. If greedy decoding were like sampling, all would lie on the diagonal.
    """
    sampled, greedy = column("procedural", "opening"), column("procedural", "opens")
    predicted = tax.world(lambda run: run.last(column("threshold", "p_star")))
    means = []
    for arm in arms_of(tax):
        _, colour, dash = style(tax, arm)
        for run in tax.of(tax.load, arm).values():
            ax.plot(run.of(sampled), run.of(greedy), dash, color=colour, lw=0.9, alpha=0.7)
        found = mean_of(tax, arm, onset)
        if found.seeds:
            means.append(found.estimate)
            ax.plot(found.estimate, 0.5, "o", color=colour, mec="white", ms=7, zorder=5)
    ax.plot([0, 1], [0, 1], ":", color="0.6", lw=1)
    far = max(0.4, *(3 * value for value in means), 0.0) if means else 1.0
    ax.text(
        0.92 * far,
        0.92 * far - 0.05,
        "as sampled",
        size=SMALL,
        color="0.4",
        ha="right",
        va="top",
        bbox={"fc": "white", "ec": "none", "pad": 1},
    )
    if not isnan(predicted.estimate):
        ax.axvline(predicted.estimate, color="black", lw=1.2, ls="--")
        if not isnan(predicted.low):
            ax.axvspan(predicted.low, predicted.high, color="0.85", lw=0, zorder=0)
        ax.annotate(
            f"predicted p* = {predicted.estimate:.3f}\n● half of completions",
            (predicted.estimate, 0.02), (6, 0), size=SMALL,
            textcoords="offset points", va="bottom", bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1},
        )  # fmt: skip
    ax.set(xlim=(0, min(far, 1.0)), ylim=(-0.03, 1.03))
    ax.set_xlabel("probability of opening a chain at temperature 1", size=9)
    ax.set_ylabel("share of greedy completions\nthat open a chain", size=9)
    span = f"{min(means):.2f}" + f" to {max(means):.2f}" * (f"{min(means):.2f}" != f"{max(means):.2f}") if means else ""
    title(ax, "f", f"Greedy chains begin at {span} sampled" if means else "Greedy decoding never opens chains in half")
