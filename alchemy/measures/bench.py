"""Everything a study works with: a world, a trained model, shifts to measure, and the cells measured so far."""

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
    """One level of a shift, and the Distribution `where` at that level."""

    shift: Shift
    level: int
    where: Distribution

    def __str__(self) -> str:
        return f"{self.shift.axis} {self.level}"


@dataclass(frozen=True)
class Bench:
    """Everything that a study is given.

    - `task`: the world; a Terse if the study asks for one
    - `trained`: the model and its snapshots
    - `seed`: the seed of the run
    - `shifts`: the shifts to measure
    - `cells`: the store of cells measured so far (see alchemy.results.cells)
    - `report`: a callback for progress, called with the number of parts done, the number of all parts, and the name of
      the last one
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
        """All levels of all shifts, in their order."""
        return [Level(shift, level, shift.at(self.task, level)) for shift in self.shifts for level in shift.levels]

    def under(self, **circumstances: object) -> "Bench":
        """The same bench with a store of cells for circumstances of the study's own, such as rows=45.

        Cells under different circumstances are kept apart.
        """
        return replace(self, cells=self.cells.under(**circumstances))

    def measured(self, where: Distribution, measure: Callable[[], Cell]) -> Cell:
        """Cell at `where`: the stored one if there is one, or else that of `measure`, which is then stored."""
        if where not in self.cells:
            self.cells[where] = measure()
        return self.cells[where]

    def cell(self, place: Level, measure: Callable[[], Cell], count: int, **at: str | int | float) -> Iterator[Record]:
        """Records of the cell at `place`, which is read from the store or measured (see `measured`).

        Each record is over `count` problems; `at` holds coordinates of the study's own.
        """
        values = self.measured(place.where, measure).values
        yield from records(self.task, place.shift, place.level, values, count, {"seed": self.seed, **at})
