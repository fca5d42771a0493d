"""Compositions as functions of elements. Several compositions may be the same function: a rotation and a roll, for
example, give the same result in either order.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from alchemy.data.task import Composition, Task

ALIKE = 4  # the most compositions that the name of a function lists
GROUP = 512  # the most different functions, and compositions of one length, that are searched


def follow(task: Task, elements: NDArray[np.int16], composition: Sequence[int]) -> NDArray[np.int16]:
    """The elements (B, l) after all rules of `composition`, applied one after another.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> task.vocabulary.decode(follow(task, task.vocabulary.encode("A B C D")[None], (0, 1))[0])
    'O P Q N'
    """
    for rule in composition:
        elements = task.apply(rule, elements)
    return elements


def probing(task: Task, length: int) -> NDArray[np.int16]:
    """Fixed random elements (64, l). Compositions that agree on all of them count as the same function."""
    drawn = np.random.default_rng(0).integers(0, len(task.vocabulary.atoms), (64, length))
    return (task.vocabulary.first_atom + drawn).astype(np.int16)


def group(task: Task, length: int) -> tuple[Composition, ...]:
    """A shortest composition for each different function of elements of `length` atoms that the task's rules generate,
    the empty composition first. The search ends at GROUP functions.

    >>> from alchemy import compose
    >>> group(compose("task=cipher").task, 4)[:5]
    ((), (0,), (1,), (2,), (0, 1))
    """
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
    """A name for each composition in `maps`, as a function of elements of `length` atoms: all compositions of `k` rules
    that are that function, joined by "=". Those of training come first, and more than ALIKE are cut short.

    The name is the composition's own spelling ("-" for the empty one) where no composition of `k` rules is that
    function, or where there are more than GROUP compositions of `k` rules.

    >>> from alchemy import compose
    >>> names_of(compose("task=cipher", "task.training=[F1F2]").task, [(0, 1), (2, 2)], 4, 2)
    ['F1F2=F2F1', 'F1F1=F3F3']
    """
    probe, R = probing(task, length), range(len(task.vocabulary.rules))
    alike: dict[bytes, list[str]] = {}
    several = [*product(R, repeat=k)] if len(R) ** k <= GROUP else []
    for composition in dict.fromkeys([*(c for c in task.train.compositions if c in several), *several]):
        alike.setdefault(follow(task, probe, composition).tobytes(), []).append(task.spell(composition))
    found = (alike.get(follow(task, probe, c).tobytes(), [task.spell(c) or "-"]) for c in maps)
    return ["=".join(names[:ALIKE] + ["…"] * (len(names) > ALIKE)) for names in found]
