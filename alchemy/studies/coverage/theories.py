"""Rival theories of when a held-out composition comes right, each fixed before it is run, and without a parameter.

A theory says right or wrong of a composition; as a forecast that is the probability `sure`, or 1 - `sure`, of each
problem being right.
"""

from collections.abc import Callable
from dataclasses import dataclass

ENOUGH = 20  # compositions: half of the held-out ones came right at 16 to 24 of eight rules, whatever the rules


@dataclass(frozen=True)
class Facts:
    """What theories know of a composition: the number of `rules`, how many `compositions` training has, and what it
    shares with them (see alchemy.measures.coverage).
    """

    rules: int
    compositions: int
    times: int
    anywhere: int
    connected: bool
    whole: bool


THEORIES: dict[str, tuple[str, Callable[[Facts], bool]]] = {
    "seen twice": ("each rule was seen twice in its place", lambda its: its.times >= 2),
    "seen once": ("each rule was seen once in its place", lambda its: its.times >= 1),
    "seen three times": ("each rule was seen three times in its place", lambda its: its.times >= 3),
    "seen twice anywhere": ("each rule was seen twice, in any place", lambda its: its.anywhere >= 2),
    "connected": ("its rules are connected through compositions of training", lambda its: its.connected),
    "all connected": ("all rules are connected through compositions of training", lambda its: its.whole),
    "quadratic": ("training has a quarter of all pairs", lambda its: its.compositions >= its.rules**2 / 4),
    "number alone": (f"training has {ENOUGH} compositions", lambda its: its.compositions >= ENOUGH),
}


def forecast(theory: str, its: Facts, sure: float) -> float:
    """The probability that a theory gives to a problem of a composition being right.

    >>> forecast("seen twice", Facts(8, 16, 2, 4, True, False), sure=0.95)
    0.95
    """
    _, says = THEORIES[theory]
    return sure if says(its) else 1 - sure
