"""Checks a world or a shift against the laws of the lab: all of them at once, or one by one, as tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from alchemy.data.shift import AXES, Move, Shift
from alchemy.data.task import Task
from alchemy.testing import laws_of_modes  # noqa: F401 it adds laws to the lists of the others
from alchemy.testing.grounds import Grounds, shift_of
from alchemy.testing.law import Check
from alchemy.testing.laws_of_shifts import SHIFT_LAWS
from alchemy.testing.laws_of_worlds import WORLD_LAWS
from alchemy.testing.learnable import LEARNABLE

Axis = str | Move | Shift


def check_world(task: Task, axes: Iterable[Axis] = tuple(AXES), learnable: bool = False) -> None:
    """Checks that a world keeps every law of the lab, and that each of `axes` keeps every law of shifts in it.

    `axes` are names of the lab's axes, or functions of task and level. With `learnable` a tiny model is trained on the
    world as well, for a second or two. Raises LawBroken for the first law that is broken, with its name, what is wrong,
    and the row that shows it: prompt, gold and the seed that it comes from.

    >>> import alchemy as al
    >>> check_world(al.compose("task=arithmetic", "shift.axis=length").task, axes=["length"])
    """
    __tracebackhide__ = True
    for _, check in laws_of(task, axes, learnable):
        check()


def check_shift(axis: Axis, task: Task) -> None:
    """Checks that an axis keeps every law of shifts in a world.

    The axis is the name of one of the lab's, a function of task and level, whose name becomes the axis's, or a Shift.
    Raises LawBroken, as `check_world`.

    >>> import alchemy as al
    >>> check_shift("length", al.compose("task=arithmetic", "shift.axis=length").task)
    """
    __tracebackhide__ = True
    for _, check in laws_of_shift(axis, task):
        check()


def laws_of(task: Task, axes: Iterable[Axis] = tuple(AXES), learnable: bool = False) -> Iterator[tuple[str, Check]]:
    """Yields the name of each law of a world, and of shifts in it, with a function that checks that law.

    The name of a law of shifts has its axis before it. The arguments are those of `check_world`, and the functions
    raise LawBroken as it does.

    >>> import alchemy as al
    >>> laws = dict(laws_of(al.compose("task=arithmetic", "shift.axis=length").task, axes=["length"]))
    >>> laws["noise never touches gold"]()
    >>> laws["length: level 0 is training"]()
    """
    grounds = Grounds(task, class_of(task))
    for law in (*WORLD_LAWS, *[LEARNABLE][: int(learnable)]):
        if law.worlds(task):
            yield law.name, Check(law, grounds)
    for axis in axes:
        yield from in_world(grounds, shift_of(axis))


def laws_of_shift(axis: Axis, task: Task) -> Iterator[tuple[str, Check]]:
    """Yields the name of each law of shifts with a function that checks it, for one axis in a world.

    The axis is given as in `check_shift`, and the functions raise LawBroken as it does.

    >>> import alchemy as al
    >>> next(laws_of_shift("length", al.compose("task=arithmetic", "shift.axis=length").task))[0]
    'length: level 0 is training'
    """
    yield from in_world(Grounds(task, class_of(task)), shift_of(axis))


def in_world(grounds: Grounds, shift: Shift) -> Iterator[tuple[str, Check]]:
    for law in SHIFT_LAWS:
        if law.worlds(grounds.task) and law.axes(shift.axis):
            check = Check(law, grounds, (shift,))
            yield str(check), check


def class_of(task: Task) -> str:
    return type(task).__name__


def parametrize_with_laws(
    worlds: Mapping[str, Task] | Sequence[Task], axes: Iterable[Axis] = tuple(AXES), learnable: bool = False
) -> Any:
    """Returns a decorator that turns one pytest test, which calls its argument `law`, into a test per law and world.

    Tests are named by the keys of `worlds`, or else by the classes of the worlds. The other arguments are those of
    `check_world`.

        @parametrize_with_laws({"adding": Adding(numbers=(1, 3), training=("+1+3",), length=4)}, [*AXES, narrow])
        def test_adding(law):
            law()
    """
    import pytest

    given = worlds if isinstance(worlds, Mapping) else by_class(worlds)
    axes = tuple(axes)
    found = [(name, law, check) for name, task in given.items() for law, check in laws_of(task, axes, learnable)]
    return pytest.mark.parametrize(
        "law", [check for *_, check in found], ids=[f"{name}: {law}" for name, law, _ in found]
    )


def by_class(worlds: Sequence[Task]) -> dict[str, Task]:
    """Returns worlds by the names of their classes, with a number appended from the second world of a class on."""
    found: dict[str, Task] = {}
    for task in worlds:
        name, number = class_of(task), 1
        while name in found:
            number += 1
            name = f"{class_of(task)}{number}"
        found[name] = task
    return found
