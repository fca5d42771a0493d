"""Whether a world, or a shift, keeps the laws of the lab: all of them at once, or one by one, as tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from alchemy.data.shift import AXES, Move, Shift
from alchemy.data.task import Task
from alchemy.testing import laws_of_modes  # noqa: F401 it writes its laws into the books of the others
from alchemy.testing.grounds import Grounds, shift_of
from alchemy.testing.law import Check
from alchemy.testing.laws_of_shifts import SHIFT_LAWS
from alchemy.testing.laws_of_worlds import WORLD_LAWS
from alchemy.testing.learnable import LEARNABLE

Axis = str | Move | Shift


def check_world(task: Task, axes: Iterable[Axis] = tuple(AXES), learnable: bool = False) -> None:
    """Nothing, if a world keeps every law, and if each of `axes` does in it: names of the lab's, or functions of task
    and level. With `learnable` a tiny model is trained on it as well, for a second or two.

    Raises LawBroken for the first that is broken: its name, what is wrong, and the row that shows it, with prompt, gold
    and the seed that it comes from.

        check_world(Adding(numbers=(1, 3), training=("+1+3",), length=4))
    """
    __tracebackhide__ = True
    for _, check in laws_of(task, axes, learnable):
        check()


def check_shift(axis: Axis, task: Task) -> None:
    """Nothing, if an axis keeps every law of shifts in a world: the name of one of the lab's, a function of task and
    level, which is then called by its own name, or a Shift.

    Raises LawBroken, as `check_world`.

        check_shift(narrow, Adding(numbers=(1, 3), training=("+1+3", "+3+1"), length=4))
    """
    __tracebackhide__ = True
    for _, check in laws_of_shift(axis, task):
        check()


def laws_of(task: Task, axes: Iterable[Axis] = tuple(AXES), learnable: bool = False) -> Iterator[tuple[str, Check]]:
    """The name of each law of a world, and of those of shifts in it with their axis before it, and the function that
    checks it; arguments, and what those functions raise, are those of `check_world`.

        dict(laws_of(task))["noise never touches gold"]()
    """
    grounds = Grounds(task, class_of(task))
    for law in (*WORLD_LAWS, *[LEARNABLE][: int(learnable)]):
        if law.worlds(task):
            yield law.name, Check(law, grounds)
    for axis in axes:
        yield from in_world(grounds, shift_of(axis))


def laws_of_shift(axis: Axis, task: Task) -> Iterator[tuple[str, Check]]:
    """The same of one axis, given as in `check_shift`, in a world."""
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
    """A decorator that makes of one test of pytest, which calls its argument `law`, a test of each law of each world;
    worlds are called as they are here, or else by their class. Other arguments are those of `check_world`.

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
    """Worlds by the names of their classes, with a number after that of each further one of a class."""
    found: dict[str, Task] = {}
    for task in worlds:
        name, number = class_of(task), 1
        while name in found:
            number += 1
            name = f"{class_of(task)}{number}"
        found[name] = task
    return found
