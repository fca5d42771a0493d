"""Common style of the panels of the headline figure: names, colours and markers of arms and of preservation."""

from collections.abc import Callable
from math import isnan
from typing import Any

from alchemy.figures.lettering import broken, cut, shown, wide
from alchemy.stats.contrasts import Contrast
from alchemy.studies.reasoning_tax.trajectories import Run, Tax, over_seeds

ARMS = {  # in words, and in colours that stay apart for the colour-blind (Okabe and Ito), controls dashed
    "gold": ("SFT, gold chains", "#D55E00", "-"),
    "foreign": ("SFT, foreign chains", "#CC79A7", "-"),
    "self": ("SFT, own right chains", "#E69F00", "-"),
    "rlvr": ("RL, right answers rewarded", "#0072B2", "-"),
    "gold_rlvr": ("SFT, then RL", "#56B4E9", "-"),
    "one_shot": ("RL, one problem", "#332288", "-"),
    "equal": ("facts seen alike", "#44AA99", "-."),
    "zipf": ("facts by Zipf's law", "#B8A600", "-."),
    "deep": ("8 layers: SFT, gold chains", "#994F00", ":"),
    "deep_foreign": ("8 layers: SFT, foreign chains", "#882255", ":"),
    "deep_rlvr": ("8 layers: RL", "#5D3A9B", ":"),
    "random": ("control: RL, random reward", "#009E73", "--"),
    "direct": ("control: SFT, answers alone", "#000000", "--"),
    "unrelated": ("control: SFT, unrelated rows", "#888888", "--"),
}
OTHERS = ("#661100", "#117733", "#AA4499")  # colours of arms that ARMS lacks
KEEPS = {  # preservation, in words, and its marker
    "lower": ("lower half frozen", "v"),
    "upper": ("upper half frozen", "^"),
    "random": ("random half frozen", "X"),
    "low_rank": ("low rank", "s"),
    "anchor": ("KL anchor", "P"),
    "anchor_facts": ("KL anchor on facts", "p"),
    "replay_1": ("replay 1 %", "<"),
    "replay_5": ("replay 5 %", ">"),
    "replay_10": ("replay 10 %", "D"),
}
SMALL = 8
WIDE = 3.7  # inches for a panel and its title


def style(tax: Tax, arm: str) -> tuple[str, str, str]:
    """Name, colour and dashes of an arm."""
    unknown = [name for name in dict.fromkeys(arm for _, arm, _ in tax.rows) if name not in ARMS]
    return ARMS.get(arm) or (arm, OTHERS[unknown.index(arm) % len(OTHERS)], "-.")


def arms_of(tax: Tax, load: float | None = None) -> list[str]:
    """Arms of a load without preservation, in the order of ARMS, so that controls are last."""
    known = [*ARMS]
    return sorted(tax.arms(load), key=lambda arm: known.index(arm) if arm in known else -1)


def mean_of(tax: Tax, arm: str, value: Callable[[Run], float]) -> Contrast:
    """Mean over seeds of `value` of an arm's runs, at the main load and without preservation."""
    return over_seeds(tax.by_seed(tax.load, arm, "none", value))


def percent(found: Contrast) -> str:
    """A mean as a percentage, or "unknown"."""
    return "unknown" if isnan(found.estimate) else f"{found.estimate:.0%}"


def whisker(ax: Any, x: float, found: Contrast, colour: str = "black") -> None:
    """Draws the interval of a mean, if it has one."""
    if not isnan(found.low):
        ax.plot([x, x], [found.low, found.high], color=colour, lw=1.1, zorder=4)


def says(ax: Any, words: str) -> None:
    """Writes into a panel without data why there is none."""
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", size=SMALL + 1, color="0.35")
    ax.set_axis_off()


def title(ax: Any, letter: str, words: str) -> None:
    """Writes the title of a panel after its letter."""
    lines = broken(words, WIDE - 0.25, 9, 3, bold=True)
    ax.set_title(shown(f"{letter}  " + "\n".join(lines)), size=9, weight="bold")


def under(ax: Any, names: list[str], room: float, bold: bool = False) -> None:
    """Writes the names of bars below them, upright if there is too little room for one."""
    each = 0.95 * room / max(len(names), 1)
    fits = [wide(name, SMALL, bold) <= each for name in names]
    said = [
        name if its else cut(name.replace("\n", " "), 1.0, SMALL, bold) for name, its in zip(names, fits, strict=True)
    ]
    ax.set_xticks(range(len(names)), [shown(name) for name in said], size=min(SMALL, 63 * each))
    for tick, name in zip(ax.get_xticklabels(), names, strict=True):
        tick.set_rotation(0 if all(fits) or len(name) == 1 else 90)
