"""Trajectory study: how right a model is after so many training rows, at every level of every shift.

It measures the snapshots that training kept (train.snapshots) as the degradation study measures the trained model.
"""

from collections.abc import Iterator
from functools import partial

from alchemy.data.task import Task
from alchemy.measures.bench import Bench
from alchemy.measures.cell import Remembers, measure
from alchemy.results.records import Record
from alchemy.training.fit import Recipe

NEEDS_TRAINING = True  # it measures snapshots of the training


def check(task: Task, training: Recipe | None, **_: object) -> None:  # noqa: ARG001
    """Raises ValueError for a training that keeps no snapshots."""
    if training is not None and not training.snapshots:
        raise ValueError("study=trajectory needs snapshots of the training: set train.snapshots, such as 24")


def run(bench: Bench, *, count: int) -> Iterator[Record]:
    """Records of every snapshot at every level of every shift. The coordinate `rows` is the number of training rows
    seen.
    """
    snapshots, places = bench.trained.snapshots(), bench.levels()
    for number, (rows, path) in enumerate(snapshots.items()):
        model, here = Remembers(bench.trained.at(path)), bench.under(rows=rows)
        for done, place in enumerate(places, 1):
            found = partial(measure, bench.task, model, place.where, count, bench.seed)
            yield from here.cell(place, found, count, rows=rows)
            bench.report(number * len(places) + done, len(snapshots) * len(places), f"{rows:,} rows, {place}")
