"""Shifts: each axis is a pure function from a task and a level to a Distribution, and level 0 is training.

Source: arXiv:2508.01191, sections 4 to 6 (task, element, length, reasoning steps, format).
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count as count_up
from itertools import product

from alchemy.data.noise import Noise
from alchemy.data.task import Composition, Distribution, Task

NOISE_STEP = 0.05  # one level of the format axis


def recompose(task: Task, level: int) -> Distribution:
    """Compositions as long as training's, but not in it: 1 CMP, of known rules (those held out, if some are named);
    2 POOD, of known rules and unseen ones; 3 OOD, of unseen rules alone. Raises
    ValueError where the world has none.
    """
    check_level("task", level, 0, 3)
    if level == 0:
        return task.train
    trained = task.train.compositions
    known = {rule for composition in trained for rule in composition}
    lengths = sorted({len(composition) for composition in trained})
    candidates = (c for k in lengths for c in product(range(len(task.vocabulary.rules)), repeat=k))
    shown = set(trained)

    def novelty(composition: tuple[int, ...]) -> int:
        unseen = sum(rule not in known for rule in composition)
        return 3 if unseen == len(composition) else 2 if unseen else 0 if composition in shown else 1

    named = task.train.held_out.compositions if level == 1 else ()
    moved = named or tuple(c for c in candidates if novelty(c) == level)
    if not moved:
        lack = (
            "train on fewer compositions (task.training)" if level == 1 else "give the world a rule more (task.rules)"
        )
        raise ValueError(f"shift.axis=task level {level} has no composition to test on: {lack}, or lower shift.levels")
    return asking(task.train, moved)


def asking(train: Distribution, compositions: tuple[Composition, ...]) -> Distribution:
    """`train` with these compositions instead, all alike. Each is written with a chain as often as training does it,
    one that training lacks as often as those of its length are on average, or else as all are.
    """
    if not train.chains:
        return replace(train, compositions=compositions, shares=())
    own = dict(zip(train.compositions, train.chains, strict=True))
    shares = train.shares or (1.0,) * len(own)
    rows: dict[int, tuple[float, float]] = {}  # by length, 0 for all of them: all rows, and those with a chain
    for (composition, chain), share in zip(own.items(), shares, strict=True):
        for k in (0, len(composition)):
            every, chained = rows.get(k, (0.0, 0.0))
            rows[k] = every + share, chained + share * chain
    means = {k: chained / every for k, (every, chained) in rows.items() if every}
    chains = (own.get(c, means.get(len(c), means[0])) for c in compositions)
    return replace(train, compositions=compositions, shares=(), chains=tuple(chains))


def isolate(task: Task, level: int) -> Distribution:
    """One composition alone, whatever training has: levels from 1 count all of them, short ones first (with two rules
    F1, F2, F1F1, F1F2, ...). In a configuration they go by their names. Raises ValueError for training itself.
    """
    if level < 0:
        raise ValueError(f"shift.axis=composition has no level {level}: name compositions in shift.levels, or use 1 up")
    if level == 0:
        return task.train
    rules, rest = len(task.vocabulary.rules), level - 1
    k = next(k for k in count_up(1) if level <= sum(rules**i for i in range(1, k + 1)))
    rest -= sum(rules**i for i in range(1, k))
    composition = tuple(rest // rules**place % rules for place in range(k - 1, -1, -1))
    if task.train.compositions == (composition,):
        raise ValueError(f"shift.axis=composition level {task.spell(composition)} is training itself: use level 0")
    return asking(task.train, (composition,))


def number_of(composition: Composition, rules: int) -> int:
    """The level of a composition on the composition axis, in a world with so many rules."""
    shorter = sum(rules**i for i in range(1, len(composition)))
    return 1 + shorter + sum(rule * rules**place for place, rule in enumerate(reversed(composition)))


def renew(task: Task, level: int) -> Distribution:
    """Elements that training cannot show: 1, one atom stands where training never puts it (a new combination of
    known atoms); 2, one atom is never in training at all. Raises ValueError where nothing was kept out.
    """
    check_level("element", level, 0, 2)
    if level == 2:
        return swap(task, 1, "element")
    return move(task, level, "element")


def move(task: Task, level: int, axis: str = "places") -> Distribution:
    """`level` atoms of each element stand where training never puts them. Training's nearest element is then `level`
    substitutions away (the paper's n). Raises ValueError where nothing was kept out.
    """
    check_level(axis, level, 0, task.train.length)
    if level and not (task.train.held_out.places or task.train.held_out.only):
        raise ValueError(
            f"shift.axis={axis} level {level} needs atoms kept from some places in training: "
            f"set task.unseen_places to 2 or more (where the world has it), or take {level} out of shift.levels"
        )
    return replace(task.train, novel_places=level)


def swap(task: Task, level: int, axis: str = "atoms") -> Distribution:
    """`level` atoms of each element are never in training at all. Raises ValueError where nothing was kept out."""
    check_level(axis, level, 0, task.train.length)
    if level and not task.train.held_out.atoms:
        raise ValueError(
            f"shift.axis={axis} level {2 if axis == 'element' else level} needs atoms kept out of training: "
            "set task.unseen_atoms (such as MZ, where the world has it), or lower shift.levels"
        )
    return replace(task.train, novel_atoms=level)


def lengthen(task: Task, level: int) -> Distribution:
    """`level` atoms more per element than training shows, or fewer below 0."""
    length = task.train.length + level
    if length < 1:
        raise ValueError(f"shift.axis=length level {level} leaves {length} atoms: use {1 - task.train.length} or more")
    return replace(task.train, length=length)


def deepen(task: Task, level: int) -> Distribution:
    """`level` rules more per composition than training's, which go on from their first rule again (F1F2 becomes
    F1F2F1), or the first ones alone below 0. Where several become one, it has the shares of all of them.
    """
    shortest = min(len(composition) for composition in task.train.compositions)
    if shortest + level < 1:
        raise ValueError(f"shift.axis=steps level {level} leaves {shortest + level} rules: use {1 - shortest} or more")

    def cycle(composition: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(composition[i % len(composition)] for i in range(len(composition) + level))

    number = len(task.train.compositions)
    shares, chains = task.train.shares or (1 / number,) * number, task.train.chains or (1.0,) * number
    moved: dict[Composition, float] = {}
    chained: dict[Composition, float] = {}
    for composition, share, chain in zip(task.train.compositions, shares, chains, strict=True):
        one = cycle(composition)
        moved[one] = moved.get(one, 0.0) + share
        chained[one] = chained.get(one, 0.0) + share * chain
    if level and set(moved) & set(task.train.compositions):
        raise ValueError(
            f"shift.axis=steps level {level} leads back into training, which mixes {shortest} and more rules: "
            "use levels past all of them, or train on compositions of one length"
        )
    if len(moved) == number:
        return replace(task.train, compositions=tuple(moved))
    return replace(
        task.train,
        compositions=tuple(moved),
        shares=tuple(moved.values()) if task.train.shares and len(moved) > 1 else (),
        chains=tuple(chained[one] / share for one, share in moved.items()) if task.train.chains else (),
    )


def corrupt(task: Task, level: int, kind: str = "hybrid", domain: str = "all") -> Distribution:
    """5 % × `level` of the prompt tokens of `domain` are noised: one is put in before them, they are deleted, or
    replaced; hybrid is one of the three at random. Raises ValueError past 100 %.
    """
    check_level("format", level, 0, round(1 / NOISE_STEP))
    noise = Noise(kind, domain, round(level * NOISE_STEP, 6))  # type: ignore[arg-type]
    return replace(task.train, noise=noise) if level else task.train


Move = Callable[[Task, int], Distribution]

AXES: dict[str, Move] = {
    "task": recompose,
    "composition": isolate,
    "element": renew,
    "places": move,
    "atoms": swap,
    "length": lengthen,
    "steps": deepen,
    "format": corrupt,
}


def check_level(axis: str, level: int, lowest: int, highest: int) -> None:
    """Raises ValueError, in the sentence that a user sees, for a level that an axis does not have."""
    if not lowest <= level <= highest:
        raise ValueError(f"shift.axis={axis} has no level {level}: use {lowest} to {highest} in shift.levels")


def check_axis(axis: str, known: Iterable[str]) -> None:
    if axis not in known:
        raise ValueError(f"shift.axis={axis} is not an axis: use one of {', '.join(known)}, or all")


@dataclass(frozen=True)
class Shift:
    """One row of a heatmap: an axis, the levels to walk, and on the format axis the kind and domain of the noise. An
    axis that AXES lacks has a function of its own, which `moves` as those do.
    """

    axis: str
    levels: tuple[int, ...]
    kind: str = "-"
    domain: str = "-"
    moves: Move | None = None

    def __post_init__(self) -> None:
        if self.moves is None:
            check_axis(self.axis, AXES)
        if not all(isinstance(level, int) for level in self.levels):
            raise ValueError(f"shift.levels={list(self.levels)} must be whole numbers, such as [0,1,2]")

    def at(self, task: Task, level: int) -> Distribution:
        """The Distribution at `level` of this shift. Raises ValueError where the world has none, and TypeError for a
        function that gives something else.
        """
        if self.axis == "format":
            return corrupt(task, level, self.kind, self.domain)
        where = moving(self)(task, level)
        if not isinstance(where, Distribution):
            raise TypeError(f"shift.axis={self.axis} level {level} gives {where!r}, and must give a Distribution")
        return where

    def describe(self, task: Task, level: int) -> str:
        """What sets a level apart from training, in a few words for a cell of a picture; empty for training itself. A
        module that has an axis of its own may have a `describe` of its own, of a task and a Distribution.
        """
        where = self.at(task, level)
        return str(vars(sys.modules[axis_module(self)]).get("describe", describe)(task, where))


def moving(axis: str | Move | Shift) -> Move:
    """The function of an axis, given by its name, by itself or by its Shift. Raises ValueError for an unknown name."""
    if isinstance(axis, Shift):
        return axis.moves or AXES[axis.axis]
    if isinstance(axis, str):
        check_axis(axis, AXES)
        return AXES[axis]
    return axis


def axis_module(axis: str | Move | Shift) -> str:
    """The dotted name of the module that defines an axis, given as in `moving`: what its cells are named for too."""
    return moving(axis).__module__


def describe(task: Task, where: Distribution) -> str:
    """What sets `where` apart from training, in a few words for a cell of a picture; empty for training itself."""
    train = task.train
    words = []
    if where.compositions != train.compositions:
        lengths, trained = (sorted({len(c) for c in d.compositions}) for d in (where, train))
        names = [task.spell(composition) for composition in where.compositions]
        if lengths != trained and len(names) > 1:
            words.append("k = " + ", ".join(map(str, lengths)))
        else:
            words.append(" ".join(names) if len(names) <= 2 else f"{names[0]} … {names[-1]}")
    if n := where.novel_places:
        words.append("atom at new place" if n == 1 else f"{n} atoms at new places")
    if n := where.novel_atoms:
        words.append("unseen atom" if n == 1 else f"{n} unseen atoms")
    if where.length != train.length:
        words.append(f"l = {where.length}")
    if where.noise:
        words.append(f"{where.noise.rate:.0%}")
    if where.compositions == train.compositions:
        words += [f"other {name}" for name in ("shares", "chains") if getattr(where, name) != getattr(train, name)]
    return ", ".join(words)
