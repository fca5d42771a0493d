"""Shown: the cipher task with several levels of one shift in training, so that a level beyond them is the next one.

Does training on more lengths, numbers of steps or kinds of noise end the mirage on that axis, as training on more
compositions ends it on the axis of tasks?
"""

from dataclasses import replace

from alchemy.data.kinds import quoted
from alchemy.data.noise import NOISE_KINDS
from alchemy.data.shift import Shift
from tasks.cipher import Cipher

KNOWN = ("length", "steps", "format", "places", "atoms", "element")  # axes that move more than compositions
PLACES = {1: (0, 4), 2: (0, 2), 3: (4, 0), 4: (0, 0)}  # unseen_places and seen_places of a Cipher


def shown(
    rules: tuple[str, ...],
    training: tuple[str, ...],
    length: int,
    axis: str,
    levels: tuple[int, ...],
    kinds: tuple[str, ...],
    places: int,
) -> Cipher:
    """A Cipher whose training has each of the `levels` of a shift as often, level 0 among them. On the format axis it
    has each of the `kinds` of noise at each level. Each letter stands at `places` of every four places: one, two, three
    or all. Raises ValueError for levels that the world does not have.
    """
    if places not in PLACES:
        raise ValueError(f"places={places} is no number of places in four: set it from 1 to 4")
    world = Cipher(rules, training, length, "", *PLACES[places], (), cot=True)
    if axis not in KNOWN:
        raise ValueError(f"axis={axis} cannot be shown in training: use one of {', '.join(KNOWN)}")
    if 0 not in levels or len(set(levels)) < len(levels):
        raise ValueError(f"levels={list(levels)} must name each level once, and 0 among them")
    if wrong := set(kinds) - set(NOISE_KINDS):
        raise ValueError(f"kinds names {quoted(min(wrong))}: use {', '.join(NOISE_KINDS)}")
    names, domain = (kinds, "all") if axis == "format" else (("-",), "-")
    try:
        moved = [Shift(axis, (level,), kind, domain).at(world, level) for kind in names for level in levels if level]
    except ValueError as error:
        raise ValueError(f"levels={list(levels)} has one that the world lacks ({error})") from None
    return replace(world, also=tuple(moved))
