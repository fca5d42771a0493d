"""Shifts: each axis is a function from a task and a level to a Distribution, and level 0 is the training distribution.

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
    """The task axis: compositions as long as those of training, but not among them. Level 1 has rules that training
    uses (the paper's CMP; only the compositions held out, if the task names them), level 2 mixes known and unseen rules
    (POOD), and level 3 has unseen rules alone (OOD). Raises ValueError where the task has no such composition.
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
    """The training distribution `train` with `compositions` in place of its own, all equally likely.

    A composition that is in training keeps the share of its rows that has a chain. Another one has the mean share of
    those of its length or, if there are none, of all.

    >>> train = Distribution(((0, 1), (1, 1)), 4, chains=(0.0, 1.0))
    >>> asking(train, ((0, 1), (0, 0))).chains
    (0.0, 0.5)
    """
    if not train.chains:
        return replace(train, compositions=compositions, shares=())
    own = dict(zip(train.compositions, train.chains, strict=True))
    shares = train.shares or (1.0,) * len(own)
    rows: dict[int, tuple[float, float]] = {}  # per length (0: all lengths), the share of rows and of rows with a chain
    for (composition, chain), share in zip(own.items(), shares, strict=True):
        for k in (0, len(composition)):
            every, chained = rows.get(k, (0.0, 0.0))
            rows[k] = every + share, chained + share * chain
    means = {k: chained / every for k, (every, chained) in rows.items() if every}
    chains = (own.get(c, means.get(len(c), means[0])) for c in compositions)
    return replace(train, compositions=compositions, shares=(), chains=tuple(chains))


def isolate(task: Task, level: int) -> Distribution:
    """The composition axis: one composition alone. Levels from 1 number all compositions, short ones first: with two
    rules F1, F2, F1F1, F1F2, ... A configuration names compositions in place of levels. Raises ValueError for a
    negative level, and for a composition that is the only one of training.
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
    """The level of `composition` on the composition axis, in a task with `rules` rules.

    >>> number_of((0, 1), rules=2)  # F1, F2, F1F1, F1F2
    4
    """
    shorter = sum(rules**i for i in range(1, len(composition)))
    return 1 + shorter + sum(rule * rules**place for place, rule in enumerate(reversed(composition)))


def renew(task: Task, level: int) -> Distribution:
    """The element axis: elements that training cannot show. At level 1 one atom stands where training never puts it, a
    new combination of known atoms; at level 2 one atom is never in training. Raises ValueError where nothing was held
    out.
    """
    check_level("element", level, 0, 2)
    if level == 2:
        return swap(task, 1, "element")
    return move(task, level, "element")


def move(task: Task, level: int, axis: str = "places") -> Distribution:
    """The places axis: `level` atoms of each element stand where training never puts them, so the nearest element of
    training is `level` substitutions away (the paper's n). Raises ValueError where nothing was held out.
    """
    check_level(axis, level, 0, task.train.length)
    if level and not (task.train.held_out.places or task.train.held_out.only):
        raise ValueError(
            f"shift.axis={axis} level {level} needs atoms kept from some places in training: "
            f"set task.unseen_places to 2 or more (where the world has it), or take {level} out of shift.levels"
        )
    return replace(task.train, novel_places=level)


def swap(task: Task, level: int, axis: str = "atoms") -> Distribution:
    """The atoms axis: `level` atoms of each element are never in training. Raises ValueError where nothing was held
    out.
    """
    check_level(axis, level, 0, task.train.length)
    if level and not task.train.held_out.atoms:
        raise ValueError(
            f"shift.axis={axis} level {2 if axis == 'element' else level} needs atoms kept out of training: "
            "set task.unseen_atoms (such as MZ, where the world has it), or lower shift.levels"
        )
    return replace(task.train, novel_atoms=level)


def lengthen(task: Task, level: int) -> Distribution:
    """The length axis: elements have `level` atoms more than in training, or fewer below 0. Raises ValueError where
    none is left.
    """
    length = task.train.length + level
    if length < 1:
        raise ValueError(f"shift.axis=length level {level} leaves {length} atoms: use {1 - task.train.length} or more")
    return replace(task.train, length=length)


def deepen(task: Task, level: int) -> Distribution:
    """The steps axis: compositions have `level` rules more than in training, or fewer below 0. Longer ones begin again
    at their first rule (F1F2 becomes F1F2F1); shorter ones keep their first rules. Compositions that become the same
    are one, with the sum of their shares.

    Raises ValueError where no rule is left, or where a composition of training comes out.
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
    """The format axis: noise of `kind` hits each prompt token of `domain` with probability 5 % × `level` (see `Noise`).
    Raises ValueError for a negative level, and past 100 %.
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
    """Raises ValueError, with the message that a user sees, for a level outside `lowest` to `highest`.

    >>> check_level("task", 4, 0, 3)
    Traceback (most recent call last):
    ValueError: shift.axis=task has no level 4: use 0 to 3 in shift.levels
    """
    if not lowest <= level <= highest:
        raise ValueError(f"shift.axis={axis} has no level {level}: use {lowest} to {highest} in shift.levels")


def check_axis(axis: str, known: Iterable[str]) -> None:
    if axis not in known:
        raise ValueError(f"shift.axis={axis} is not an axis: use one of {', '.join(known)}, or all")


@dataclass(frozen=True)
class Shift:
    """An axis and the levels to measure, which make one row of a heatmap. On the format axis, `kind` and `domain` are
    those of the noise. An axis that is not in AXES needs `moves`, a function like those in AXES.

    Raises ValueError for an unknown axis, and for levels that are not whole numbers.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> Shift("length", (0, 1)).at(task, 1).length, task.train.length
    (5, 4)
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
        """The Distribution of `task` at `level`. Raises ValueError where the task has none, and TypeError if the
        function of the axis returns something else.
        """
        if self.axis == "format":
            return alone(task, corrupt(task, level, self.kind, self.domain))
        where = moving(self)(task, level)
        if not isinstance(where, Distribution):
            raise TypeError(f"shift.axis={self.axis} level {level} gives {where!r}, and must give a Distribution")
        return alone(task, where)

    def describe(self, task: Task, level: int) -> str:
        """How a level differs from training, in a few words for a cell of a heatmap; empty for training itself. The
        module of an axis may define a function `describe` of its own, from a task and a Distribution to text.
        """
        where = self.at(task, level)
        return str(vars(sys.modules[axis_module(self)]).get("describe", describe)(task, where))


def alone(task: Task, where: Distribution) -> Distribution:
    """A level of a shift without the other Distributions that training has beside its own; training itself has them."""
    return where if where == task.train or where.also != task.train.also else replace(where, also=())


def moving(axis: str | Move | Shift) -> Move:
    """The function of an axis, which is given by its name, as the function itself, or by its Shift. Raises ValueError
    for an unknown name.
    """
    if isinstance(axis, Shift):
        return axis.moves or AXES[axis.axis]
    if isinstance(axis, str):
        check_axis(axis, AXES)
        return AXES[axis]
    return axis


def axis_module(axis: str | Move | Shift) -> str:
    """The dotted name of the module that defines an axis, which is given by its name, as a function, or by its Shift.
    Stored results are kept apart by the code of this module.

    >>> axis_module("length")
    'alchemy.data.shift'
    """
    return moving(axis).__module__


def describe(task: Task, where: Distribution) -> str:
    """How `where` differs from training, in a few words for a cell of a heatmap; empty for training itself.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> describe(task, asking(task.train, ((1, 1),)))
    'F2F2'
    """
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
