"""Shared by all pictures: colours that the colour-blind can tell apart, names of axes and levels, parts of panels."""

from math import isnan
from typing import Any

from alchemy.figures.lettering import broken, cut, shown, wide
from alchemy.stats.contrasts import Contrast

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"  # Okabe and Ito
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
AXIS_ROWS = {
    "task": "task (rules composed)",
    "element": "element (atoms)",
    "length": "length (atoms per element)",
    "steps": "steps (rules per composition)",
    "composition": "one composition",
    "places": "atoms at new places",
    "atoms": "unseen atoms",
}
LEVEL_CODES = {("task", 1): "CMP", ("task", 2): "POOD", ("task", 3): "OOD"}
LEVEL_NAMES = {
    ("task", 0): "training",
    ("task", 1): "new compositions",
    ("task", 2): "one unseen rule",
    ("task", 3): "unseen rules alone",
}
SMALL = 8
WIDE = 3.7  # inches for a panel and its title


def percent(found: Contrast) -> str:
    """A median seed as a percentage, or "unknown"."""
    return "unknown" if isnan(found.estimate) else f"{found.estimate:.0%}"


def whisker(ax: Any, x: float, found: Contrast, colour: str = "black") -> None:
    """Draws the interval of a median seed, if it has one."""
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
