"""Measures every held-out composition of a world by itself, and what it shares with training.

A record is over all held-out compositions of a job that share the same facts.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

import numpy as np

from alchemy.data.answers import same
from alchemy.data.batch import Role
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift, number_of
from alchemy.data.task import Task
from alchemy.measures.bench import Bench, Level
from alchemy.measures.cell import Remembers, measure
from alchemy.measures.coverage import Coverage, covered
from alchemy.models.decoding import complete
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell
from alchemy.results.records import Record
from alchemy.stats.rows import share
from alchemy.training.fit import Recipe


def check(task: Task, training: Recipe | None, *, each: int, **_: object) -> None:  # noqa: ARG001
    """Raises ValueError for a world that holds no compositions out, and for too few problems of each."""
    if not task.train.held_out.compositions:
        raise ValueError("study=coverage needs a world that holds compositions out: use task=coverage or task=diverse")
    if each < 1:
        raise ValueError(f"study.each={each} leaves nothing to measure: set it to 1 or more, such as 200")


def run(bench: Bench, *, count: int, each: int, sure: float) -> Iterator[Record]:  # noqa: ARG001 sure is for scores
    """Records of every level of every shift over `count` problems; then the exact match of held-out compositions, over
    `each` problems of each, by what they share with training.
    """
    places, task, model = bench.levels(), bench.task, Remembers(bench.model)
    train, rules = task.train, len(task.vocabulary.rules)
    unseen = train.held_out.compositions
    total = len(places) + len(unseen)
    for done, place in enumerate(places, 1):
        found = partial(measure, task, model, place.where, count, bench.seed)
        yield from bench.cell(place, found, count)
        bench.report(done, total, str(place))
    chains = (draw(task, train, 1, stream(0, "plan"), "valid").role == Role.CHAIN).any()
    groups: dict[Coverage, list[float]] = defaultdict(list)
    alone = bench.under(each=each)  # apart from cells of the axes, which have other numbers of problems
    known = sorted({rule for one in (*train.compositions, *unseen) for rule in one})
    for done, (one, its) in enumerate(zip(unseen, covered(train.compositions, unseen, known), strict=True), 1):
        place = level_of(task, one)
        found = partial(matched, task, bench.model, place, each, bench.seed)
        groups[its].append(alone.measured(place.where, found).values["full"]["exact_match"][0])
        bench.report(len(places) + done, total, task.spell(one))
    for its, values in sorted(groups.items(), key=lambda pair: tuple(vars(pair[0]).values())):
        number, mean = each * len(values), float(np.mean(values))
        at: dict[str, str | int | float] = {"seed": bench.seed, "axis": "task", "kind": "-", "domain": "-", "level": 1}
        at |= {"setting": "held out", "part": "composition", "rules": rules, "compositions": len(train.compositions)}
        at["form"] = "chain" if chains else "direct"
        at |= {name: int(value) for name, value in vars(its).items()}
        error = (mean * (1 - mean) / number) ** 0.5
        yield Record("exact_match", mean, error, number, at, "share")


def level_of(task: Task, composition: tuple[int, ...]) -> Level:
    """The level of the composition axis that is this composition alone."""
    shift = Shift("composition", (number_of(composition, len(task.vocabulary.rules)),))
    (level,) = shift.levels
    return Level(shift, level, shift.at(task, level))


def matched(task: Task, model: Transformer, place: Level, each: int, seed: int) -> Cell:
    """The exact match of `each` whole completions."""
    rows = draw(task, place.where, each, stream(seed, "test"))
    written = complete(model, rows)
    return Cell({"full": {"exact_match": share(same(written, rows.completion()))}})
