"""Headline figure: what reasoning training does to knowledge, in six panels, each with its controls."""

from collections.abc import Callable, Iterator
from math import isnan
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from alchemy.figures.lettering import broken, columns, cut, shown
from alchemy.figures.style import SMALL, WIDE, title, under, whisker
from alchemy.results.runs import Results
from alchemy.stats.contrasts import Contrast
from alchemy.stats.intervals import order
from alchemy.studies.reasoning_tax.coordinates import Column, column
from alchemy.studies.reasoning_tax.panels import layers, openings, retention
from alchemy.studies.reasoning_tax.style import KEEPS, arms_of, median_of, style
from alchemy.studies.reasoning_tax.trajectories import Tax, of, over_seeds
from alchemy.studies.reasoning_tax.verdicts import basis, keep_of, lost_bits, points, r2_by_seed

Array = NDArray[np.float64]
PARTS = {  # parts of the loss: words, grey and hatch
    "storage": ("storage (against the control)", "0.15", ""),
    "latent": ("latent (the rest of it)", "0.6", ""),
    "overthinking": ("overthinking", "white", "////"),
    "format": ("no valid opening", "0.88", "...."),
}
BROAD = 13.0  # inches
SAID = 6  # seeds left out, at most, that are named one by one
SHOWN = (("0.2", "arms that the curve is of"), ("none", "others, not fitted"))


def pictures(results: Results) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name and drawing function of each picture of this study's results."""
    yield "headline", lambda: headline(of(results))


def headline(tax: Tax) -> Figure:
    """Figure with all six panels. The trajectories of one arm are enough for it."""
    seeds = len({key[3] for key in tax.runs})
    ends = "with 95 % intervals" if order(seeds) else "too few for intervals"
    drawn = (
        f"{seeds} seeds, each a thin line or a dot; medians thick, {ends}" if seeds > 1 else "one seed, no intervals"
    )
    words = [f"What reasoning training does to knowledge (load {tax.load:g}; {drawn})"]
    words += [f"left out: {line}" for line in tax.left_out[:SAID]]
    words += [f"left out: {len(tax.left_out) - SAID} more"] * (len(tax.left_out) > SAID)
    lines = [line for text in words for line in broken(text, BROAD - 0.3, 11, 3)]
    figure = Figure(
        figsize=(BROAD, 9.2 + 0.18 * max(0, len(lines) - 2)), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    )
    grid = figure.add_gridspec(2, 3, width_ratios=(1.12, 1, 1))
    first, fourth = (grid[row, 0].subgridspec(2, 1, height_ratios=tall) for row, tall in ((0, (2.4, 1)), (1, (1, 2.4))))
    plane(figure.add_subplot(first[0]), figure.add_subplot(first[1]), tax)
    above, below = figure.add_subplot(fourth[0]), figure.add_subplot(fourth[1])
    razor(figure.add_subplot(grid[0, 1]), tax)
    components(figure.add_subplot(grid[0, 2]), tax)
    layers(above, below, tax)
    above.sharex(below)
    retention(figure.add_subplot(grid[1, 1]), tax)
    openings(figure.add_subplot(grid[1, 2]), tax)
    legend(figure, tax)
    figure.suptitle(shown("\n".join(lines)), size=11, x=0.005, ha="left")
    return figure


def legend(figure: Figure, tax: Tax) -> None:
    """Draws the legend below all panels: arms and, if there are any, ways of preservation."""
    arms = [*arms_of(tax), *dict.fromkeys(arm for _, arm, _ in tax.rows if arm not in tax.arms())]
    handles: list[Any] = []
    for arm in arms:
        name, colour, dash = style(tax, arm)
        handles.append(Line2D([], [], color=colour, ls=dash, lw=2, label=shown(cut(name, 3.0, 9))))
    for keep in dict.fromkeys(keep for _, _, keep in tax.rows if keep != "none"):
        words, marker = KEEPS.get(keep, (keep, "*"))
        handles.append(Line2D([], [], color="0.3", marker=marker, ls="", label=shown(cut(words, 3.0, 9))))
    number = columns([handle.get_label() for handle in handles], BROAD - 0.3, 9, 6)
    figure.legend(handles=handles, loc="outside lower center", ncols=number, fontsize=9)


def course(tax: Tax, load: float, arm: str, columns: tuple[Column, Column]) -> Array:
    """(N, 2) medians over seeds of two columns, by step.

    A seed that was not measured at a step where another was is interpolated between its own steps.
    """
    runs = list(tax.of(load, arm).values())
    steps = np.unique(np.concatenate([run.step for run in runs]))
    steps = steps[steps <= min(run.step[-1] for run in runs)]
    both = [np.column_stack([np.interp(steps, run.step, run.of(name)) for name in columns]) for run in runs]
    return np.median(both, axis=0)


def plane(above: Any, below: Any, tax: Tax) -> None:
    """Draws panel a: bits kept over the opening rate, and below it greedy accuracy, which flips long before."""
    opening, target = column("procedural", "opening"), tax.design.matches["opening"]
    for ax, what in ((above, column("knowledge", "bits")), (below, column("procedural", "free"))):
        for arm in arms_of(tax):
            _, colour, dash = style(tax, arm)
            for run in tax.of(tax.load, arm).values():
                ax.plot(run.of(opening), run.of(what), dash, color=colour, lw=0.6, alpha=0.55)
            ax.plot(*course(tax, tax.load, arm, (opening, what)).T, dash, color=colour, lw=2, alpha=0.9)
        ax.axvline(target, color="0.4", lw=1, ls=":")
        ax.set_xlim(-0.02, 1.02)
    unloaded = min(tax.loads)
    for arm in arms_of(tax, unloaded)[: unloaded < tax.load]:
        line = course(tax, unloaded, arm, (opening, column("knowledge", "bits")))
        above.plot(*line.T, color=style(tax, arm)[1], lw=1.6, ls=(0, (6, 2)))
        words = f"control: load {unloaded:g}"
        near = line[np.abs(line[:, 0] - 0.2).argmin()]  # where the lines of arms are still together
        above.annotate(words, near, (0, 5), size=SMALL, textcoords="offset points", va="bottom")
        low, high = above.get_ylim()
        above.set_ylim(low, max(high, near[1] + 0.16 * (high - low)))
    preserved(above, tax)
    above.annotate(
        f"compared at {target:g}", (target, 0.02), (4, 0), xycoords=("data", "axes fraction"), size=SMALL, color="0.3",
        textcoords="offset points",
    )  # fmt: skip
    p_star = tax.world(lambda run: run.last(column("threshold", "p_star"))).estimate
    if not isnan(p_star):
        below.axvline(p_star, color="black", lw=1, ls="--")
        below.annotate("p*", (p_star, 0.06), (4, 0), size=SMALL, textcoords="offset points")
    above.tick_params(labelbottom=False)
    above.set_ylabel("knowledge kept, bits per fact", size=9)
    below.set_ylabel("greedy\naccuracy", size=9)
    below.set_ylim(-0.05, 1.05)
    below.set_xlabel("probability of opening a chain at temperature 1", size=9)
    title(above, "a", plane_words(tax))


def plane_words(tax: Tax) -> str:
    """Title of panel a: what is lost at the matched opening, from the least to the most."""
    target = tax.design.matches["opening"]
    lost = [median_of(tax, arm, lambda run: lost_bits(tax, run, "opening")) for arm in arms_of(tax)]
    reached = [found.estimate for found in lost if found.seeds]
    base = tax.world(lambda run: run.base(column("knowledge", "bits"))).estimate
    if not reached:
        return f"No arm opens chains at {target:g}"
    span = f"{min(reached):.2f}" + f" to {max(reached):.2f}" * (len(reached) > 1)
    return f"{span} of {base:.2f} bits lost at opening {target:g}"


def preserved(ax: Any, tax: Tax) -> None:
    """Draws a marker for each arm with preservation, at the matched opening.

    Markers stand side by side. A hollow one, at the arm's last step, is of an arm that does not reach the match.
    """
    keeps = list(dict.fromkeys(keep for load, _, keep in tax.rows if keep != "none" and load == tax.load))
    for load, arm, keep in tax.rows:
        if load != tax.load or keep == "none":
            continue
        bits = over_seeds(tax.by_seed(load, arm, keep, lambda run: tax.at(run, "opening", column("knowledge", "bits"))))
        side = 0.012 * (arms_of(tax).index(arm) % 3) if arm in tax.arms() else 0.0
        x = tax.design.matches["opening"] + 0.035 * (keeps.index(keep) - (len(keeps) - 1) / 2) + side
        colour, face = style(tax, arm)[1], style(tax, arm)[1]
        if not bits.seeds:
            bits = over_seeds(tax.by_seed(load, arm, keep, lambda run: run.last(column("knowledge", "bits"))))
            x = over_seeds(tax.by_seed(load, arm, keep, lambda run: run.last(column("procedural", "opening")))).estimate
            face = "white"
        marker = KEEPS.get(keep, (keep, "*"))[1]
        ax.plot(x, bits.estimate, marker, mfc=face, mec=colour if face == "white" else "white", ms=7, zorder=6)


def shared_arms(tax: Tax) -> list[str]:
    """Arms that one curve of KL is fitted to: those of the prediction about it, or else all that reach the matched
    opening.
    """
    named = [one.arm.split("+") for one in tax.design.predictions if one.measure == "added_r2"]
    arms = (
        named[0]
        if named
        else [arm for arm in arms_of(tax) if median_of(tax, arm, lambda r: lost_bits(tax, r, "opening")).seeds]
    )
    return [arm for arm in arms if tax.of(tax.load, *keep_of(arm))]


def razor(ax: Any, tax: Tax) -> None:
    """Draws panel b: bits lost over KL at every evaluated step, and one curve through `shared_arms`; other arms are
    hollow.
    """
    shared = shared_arms(tax)
    fitted = []
    for arm in arms_of(tax):
        _, colour, _ = style(tax, arm)
        both = np.concatenate([points(run) for run in tax.of(tax.load, arm).values()])
        face = colour if arm in shared else "none"
        ax.plot(*both.T, "o", mfc=face, mec=colour, ms=4, mew=0.9, alpha=0.7)
        fitted += [both] if arm in shared else []
    words = "Bits lost over KL"
    if fitted and sum(map(len, fitted)) > 4:
        kl, lost = np.concatenate(fitted).T
        weights = np.linalg.lstsq(basis(kl), lost, rcond=None)[0]
        grid = np.linspace(0, kl.max(), 200)
        ax.plot(grid, basis(grid) @ weights, color="black", lw=1.8, zorder=5)
        words = razor_words(tax, shared)
    keys = [Line2D([], [], color="0.2", marker="o", ls="", mfc=face, ms=4, label=said) for face, said in SHOWN]
    ax.legend(handles=keys, loc="upper left", fontsize=SMALL, handletextpad=0.1, frameon=True, edgecolor="none")
    ax.axhline(0, color="0.6", lw=0.8)
    ax.axvline(tax.design.matches["kl"], color="0.4", lw=1, ls=":")
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    ax.set_xlim(left=0)
    ax.set_xlabel("forward KL from the base, nats per completion (root scale)", size=9)
    ax.set_ylabel("knowledge lost, bits per fact", size=9)
    title(ax, "b", words)


def razor_words(tax: Tax, shared: list[str]) -> str:
    """Title of panel b: R² of the curve, of the median seed."""
    pairs = r2_by_seed(tax, tax.load, shared)
    alone = over_seeds({seed: pair[0] for seed, pair in pairs.items()})
    if isnan(alone.estimate):
        return "Bits lost over KL, and one curve"
    more = over_seeds({seed: whole - first for seed, (first, whole) in pairs.items()}).estimate
    adds = f", the arm {f'{more:.0%} more' if more > 0 else 'nothing more'}" * (len(shared) > 1)
    return f"One KL curve explains {alone.estimate:.0%}{adds}"


def components(ax: Any, tax: Tax) -> None:
    """Draws panel c: the parts of the loss of free accuracy on facts, stacked for each arm, with the whole of each
    seed.

    They are measured at the first step past the matched opening; in brackets, past the matched KL, for arms that never
    open chains so often.
    """
    matches = {
        arm: match for match in ("kl", "opening") for arm in arms_of(tax) if split(tax, arm, match, "o_loss").seeds
    }
    arms = [arm for arm in arms_of(tax) if arm in matches]
    sums = dict.fromkeys(PARTS, 0.0)
    top = 0.0
    for x, arm in enumerate(arms):
        up = down = 0.0
        for part, (_, grey, hatch) in PARTS.items():
            known = split(tax, arm, matches[arm], part).values
            height = float(np.mean(known)) if known else 0.0  # means add up to the mean of the whole, medians do not
            sums[part] += height * (matches[arm] == "opening" or "opening" not in matches.values())
            start = up if height >= 0 else down
            ax.bar(x, height, 0.7, bottom=start, facecolor=grey, edgecolor="black", hatch=hatch, linewidth=0.6)
            up, down = up + max(height, 0), down + min(height, 0)
        whole = split(tax, arm, matches[arm], "o_loss")
        whisker(ax, x, whole, "#D55E00")
        top = max(top, up, *whole.values)
    names = [f"({arm})" if matches[arm] == "kl" else arm for arm in arms]
    split_names = [name.replace("_", "\n") for name in names]
    under(ax, split_names, WIDE * len(arms) / max(len(arms) + 0.2, 4.2), bold=True)
    for tick, arm in zip(ax.get_xticklabels(), arms, strict=True):
        tick.set(color=style(tax, arm)[1], fontweight="bold")
    ax.set_xlim(-0.6, max(len(arms), 4) - 0.4)
    ax.axhline(0, color="0.3", lw=0.8)
    if top > 0:
        ax.set_ylim(top=1.4 * top)
    handles = [Patch(fc=grey, ec="black", hatch=hatch, lw=0.6, label=words) for words, grey, hatch in PARTS.values()]
    ax.legend(handles=handles, loc="upper left", ncols=2, fontsize=SMALL)
    ax.set_ylabel("accuracy on facts lost in free mode", size=9)
    ax.set_xlabel(
        f"arm past opening {tax.design.matches['opening']:g} (in brackets: past KL {tax.design.matches['kl']:g})",
        size=9,
    )
    most = max(sums, key=lambda part: sums[part])
    share = sums[most] / sum(sums.values()) if sum(sums.values()) > 0 else 0.0
    title(
        ax,
        "c",
        f"{share:.0%} of the loss of free accuracy is {most}" if share > 0 else "Nothing was split into its parts",
    )


def split(tax: Tax, arm: str, match: str, part: str) -> Contrast:
    """One part of the loss at a matched checkpoint, of the median seed."""
    return median_of(tax, arm, lambda run: run.last(column("split", part, match)))
