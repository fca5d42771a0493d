"""What every study works at: a world and a trained model, places to look at, and the cells measured so far."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from alchemy.data.shift import Shift
from alchemy.data.task import Distribution
from alchemy.measures.cell import records
from alchemy.results.cells import Cell, Known
from alchemy.results.records import Record
from alchemy.results.store import Trained


@dataclass(frozen=True)
class Level:
    """One level of one shift, and the Distribution there."""

    shift: Shift
    level: int
    where: Distribution

    def __str__(self) -> str:
        return f"{self.shift.axis} {self.level}"


@dataclass(frozen=True)
class Bench:
    """What a study is given: the `task`, the `trained` model with its snapshots, the `seed`, the `shifts` to look at,
    the `cells` measured so far (see alchemy.results.cells), and `report`, which is told how many parts of the study are
    done, of how many, and the last one's name.
    """

    task: Any  # a Task, and a Terse where the study has asked for one
    trained: Trained
    seed: int
    shifts: tuple[Shift, ...]
    cells: Known
    report: Callable[[int, int, str], None]

    @property
    def model(self) -> Any:
        """The trained model itself."""
        return self.trained.model

    def levels(self) -> list[Level]:
        """Every level of every shift, in their order."""
        return [
            Level(shift, level, shift.at(self.task, level)) for shift in self.shifts for level in shift.levels
        ]  # fmt: skip

    def under(self, **circumstances: object) -> "Bench":
        """The same bench, whose cells are those under circumstances of the study's own, such as rows=45: a cell is kept
        for each.
        """
        return replace(self, cells=self.cells.under(**circumstances))

    def measured(self, where: Distribution, measure: Callable[[], Cell]) -> Cell:
        """The cell at `where`: as it was measured before, or else as `measure` finds it now, which is kept."""
        if where not in self.cells:
            self.cells[where] = measure()
        return self.cells[where]

    def cell(self, place: Level, measure: Callable[[], Cell], count: int, **at: str | int | float) -> Iterator[Record]:
        """The records of the cell at `place`, each over `count` problems, with coordinates `at` of the study's own. See
        `measured`.
        """
        values = self.measured(place.where, measure).values
        yield from records(self.task, place.shift, place.level, values, count, {"seed": self.seed, **at})
