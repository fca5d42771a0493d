"""A law of the lab: a readable name, the worlds and axes that it applies to, and a function that tests it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.testing.grounds import Broken, Grounds, LawBroken

Holds = Callable[..., None]


@dataclass(frozen=True)
class LabLaw:
    """A law. `holds` is called with the Grounds, for a law of shifts with the Shift as well, and raises Broken.

    `worlds` and `axes` tell whether the law applies to a world, and to an axis.
    """

    name: str
    holds: Holds
    worlds: Callable[[Task], bool]
    axes: Callable[[str], bool]

    def __call__(self, grounds: Grounds, *shift: Shift) -> None:
        """Raises LawBroken where the law does not hold, or the world raises an error while the law is tested."""
        __tracebackhide__ = True
        of = ", ".join([grounds.name, *(f"axis {one.axis}" for one in shift)])
        try:
            self.holds(grounds, *shift)
        except Broken as broken:
            raise LawBroken(self.name, of, broken.said, broken.row) from None
        except Exception as error:
            said = f"it cannot be looked at, for something raises {type(error).__name__}: {error}"
            raise LawBroken(self.name, of, said) from error


@dataclass(frozen=True, repr=False)
class Check:
    """A law with the world, and for a law of shifts the Shift, that it is tested on; a call tests it, as `LabLaw`."""

    law: LabLaw
    grounds: Grounds
    shifts: tuple[Shift, ...] = ()

    def __call__(self) -> None:
        __tracebackhide__ = True
        self.law(self.grounds, *self.shifts)

    def __repr__(self) -> str:
        return ": ".join([*(shift.axis for shift in self.shifts), self.law.name])


def anything(_: Any) -> bool:
    return True


def stated(
    book: list[LabLaw],
    name: str,
    worlds: Callable[[Task], bool] = anything,
    axes: Callable[[str], bool] | Collection[str] = anything,
) -> Callable[[Holds], Holds]:
    """Returns a decorator that adds a function to a list of laws, under this name."""

    def written(holds: Holds) -> Holds:
        book.append(LabLaw(name, holds, worlds, axes if callable(axes) else axes.__contains__))
        return holds

    return written
