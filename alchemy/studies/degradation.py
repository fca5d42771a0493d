"""Degradation: how right a model's chains and answers are at every level of every shift.

Source: arXiv:2508.01191; the heatmap of where chain of thought breaks is drawn from these records.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf

from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.measures.cell import measure, records
from alchemy.results.cells import Known
from alchemy.results.records import Record
from alchemy.results.store import Trained
from alchemy.training.fit import Recipe


def check(task: Task, training: Recipe | None, *, temperature: float, **_: object) -> None:  # noqa: ARG001
    """Raises ValueError for settings that nothing can be measured with."""
    if not 0 <= temperature < inf:
        raise ValueError(f"study.temperature={temperature} must be 0 (greedy) or more, such as 1.0")


def run(
    task: Task,
    trained: Trained,
    seed: int,
    shifts: Sequence[Shift],
    known: Known,
    report: Callable[[int, int, str], None],
    *,
    count: int,
    temperature: float,
) -> Iterator[Record]:
    """Records per shift and level, each over `count` held-out problems; completions are greedy at `temperature` 0.

    Cells in `known` are not measured again, new ones are added to it; `report` is told how many cells are done, of
    how many, and the last one's name.
    """
    cells = [(shift, level) for shift in shifts for level in shift.levels]
    for done, (shift, level) in enumerate(cells, 1):
        where = shift.at(task, level)
        if where not in known:
            known[where] = measure(task, trained.model, where, count, seed, temperature)
        yield from records(task, shift, level, known[where].values, count, {"seed": seed})
        report(done, len(cells), f"{shift.axis} {level}")
