"""What a law is: a name that can be read, what it is a law of, and a function that looks whether it holds."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.testing.grounds import Broken, Grounds, LawBroken

Holds = Callable[..., None]


@dataclass(frozen=True)
class LabLaw:
    """`holds` is given the grounds, and of a law of shifts the Shift as well; it raises Broken. It is a law of those
    worlds, and of those axes, that `worlds` and `axes` say.
    """

    name: str
    holds: Holds
    worlds: Callable[[Task], bool]
    axes: Callable[[str], bool]

    def __call__(self, grounds: Grounds, *shift: Shift) -> None:
        """Raises LawBroken where the law does not hold, or the world raises something while it is looked at."""
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
    """A law on its grounds, and of a law of shifts with its shift: called, it is looked at, as `LabLaw` says."""

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
    """Writes a function into a book of laws, under this name."""

    def written(holds: Holds) -> Holds:
        book.append(LabLaw(name, holds, worlds, axes if callable(axes) else axes.__contains__))
        return holds

    return written
