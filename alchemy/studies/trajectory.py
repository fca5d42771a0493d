"""Trajectory: what a model has learnt after so many rows, at every level of every shift.

It measures the snapshots that training kept (train.snapshots), as the degradation study measures the model at its end.
"""

from collections.abc import Callable, Iterator, Sequence

from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.measures.cell import measure, records
from alchemy.results.cells import Known
from alchemy.results.records import Record
from alchemy.results.store import Trained
from alchemy.training.fit import Recipe


def check(task: Task, training: Recipe | None, **_: object) -> None:  # noqa: ARG001
    """Raises ValueError for a training that keeps no snapshots."""
    if training is not None and not training.snapshots:
        raise ValueError("study=trajectory needs snapshots of the training: set train.snapshots, such as 24")


def run(
    task: Task,
    trained: Trained,
    seed: int,
    shifts: Sequence[Shift],
    known: Known,
    report: Callable[[int, int, str], None],
    *,
    count: int,
) -> Iterator[Record]:
    """Records per snapshot, shift and level, with the coordinate `rows`: training rows seen."""
    snapshots = trained.snapshots()
    cells = [(shift, level) for shift in shifts for level in shift.levels]
    for number, (rows, path) in enumerate(snapshots.items()):
        model = trained.at(path)
        here = known.under(rows=rows)
        for done, (shift, level) in enumerate(cells, 1):
            where = shift.at(task, level)
            if where not in here:
                here[where] = measure(task, model, where, count, seed)
            yield from records(task, shift, level, here[where].values, count, {"seed": seed, "rows": rows})
            report(number * len(cells) + done, len(snapshots) * len(cells), f"{rows:,} rows, {shift.axis} {level}")
