"""Compositions as maps of elements: many compositions make the same, such as a rotation and a roll in either order."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from alchemy.data.task import Composition, Task

ALIKE = 4  # compositions, at most, that the name of a map lists
GROUP = 512  # different maps, and compositions of one length, that are looked through


def follow(task: Task, elements: NDArray[np.int16], composition: Sequence[int]) -> NDArray[np.int16]:
    """(B, l) what elements (B, l) are after all rules of a composition, one after another."""
    for rule in composition:
        elements = task.apply(rule, elements)
    return elements


def probing(task: Task, length: int) -> NDArray[np.int16]:
    """(64, l) elements that tell maps apart."""
    drawn = np.random.default_rng(0).integers(0, len(task.vocabulary.atoms), (64, length))
    return (task.vocabulary.first_atom + drawn).astype(np.int16)


def group(task: Task, length: int) -> tuple[Composition, ...]:
    """A shortest composition for each different map that compositions make of elements of `length` atoms."""
    probe = probing(task, length)
    images: dict[bytes, Composition] = {probe.tobytes(): ()}
    newest: list[tuple[NDArray[np.int16], Composition]] = [(probe, ())]
    while newest and len(images) < GROUP:
        grown = []
        for image, composition in newest:
            for rule in range(len(task.vocabulary.rules)):
                moved = np.ascontiguousarray(task.apply(rule, image))
                if moved.tobytes() not in images and len(images) < GROUP:
                    images[moved.tobytes()] = (*composition, rule)
                    grown.append((moved, (*composition, rule)))
        newest = grown
    return tuple(images.values())


def names_of(task: Task, maps: Sequence[Composition], length: int, k: int) -> list[str]:
    """A name for each map of elements of `length` atoms: all compositions of `k` rules that make it, those of training
    first, such as F1F2=F2F1; the one given where there is none, or k rules have too many compositions.
    """
    probe, R = probing(task, length), range(len(task.vocabulary.rules))
    alike: dict[bytes, list[str]] = {}
    several = [*product(R, repeat=k)] if len(R) ** k <= GROUP else []
    for composition in dict.fromkeys([*(c for c in task.train.compositions if c in several), *several]):
        alike.setdefault(follow(task, probe, composition).tobytes(), []).append(task.spell(composition))
    found = (alike.get(follow(task, probe, c).tobytes(), [task.spell(c) or "-"]) for c in maps)
    return ["=".join(names[:ALIKE] + ["…"] * (len(names) > ALIKE)) for names in found]
