"""Degradation study: how right a model's chains and answers are at every level of every shift.

The heatmap of where chain of thought breaks is drawn from its records. Source: arXiv:2508.01191.
"""

from collections.abc import Iterator
from functools import partial
from math import inf

from alchemy.data.task import Task
from alchemy.measures.bench import Bench
from alchemy.measures.cell import Remembers, measure
from alchemy.results.records import Record
from alchemy.training.fit import Recipe


def check(task: Task, training: Recipe | None, *, temperature: float, **_: object) -> None:  # noqa: ARG001
    """Raises ValueError for a temperature that cannot be sampled at."""
    if not 0 <= temperature < inf:
        raise ValueError(f"study.temperature={temperature} must be 0 (greedy) or more, such as 1.0")


def run(bench: Bench, *, count: int, temperature: float) -> Iterator[Record]:
    """Records of every level of every shift, each over `count` held-out problems. Completions are greedy at
    `temperature` 0.
    """
    places, model = bench.levels(), Remembers(bench.model)
    for done, place in enumerate(places, 1):
        found = partial(measure, bench.task, model, place.where, count, bench.seed, temperature)
        yield from bench.cell(place, found, count)
        bench.report(done, len(places), str(place))
