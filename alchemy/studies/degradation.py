"""Degradation: how right a model's chains and answers are at every level of every shift.

Source: arXiv:2508.01191; the heatmap of where chain of thought breaks is drawn from these records.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from alchemy.batch import Role
from alchemy.evaluate import complete
from alchemy.model import Transformer
from alchemy.records import Record
from alchemy.score import METRICS, PARTS, score
from alchemy.seeds import stream
from alchemy.shift import Shift, describe
from alchemy.store import Known, Values
from alchemy.task import Distribution, Task, draw


def run(
    task: Task,
    model: Transformer,
    seed: int,
    shifts: Sequence[Shift],
    known: Known,
    report: Callable[[str], None],
    *,
    count: int,
) -> Iterator[Record]:
    """A record per shift, level, part and metric, each over `count` held-out problems.

    Every cell draws from one stream, so all noise levels see the same problems. Cells in `known` are not measured
    again, new ones are added to it; `report` is told the name of each cell as it is done.
    """
    for shift in shifts:
        for level in shift.levels:
            where = shift.at(task, level)
            if where not in known:
                known[where] = measure(task, model, where, count, seed)
            values = known[where]
            at: dict[str, str | int | float] = {
                "axis": shift.axis,
                "kind": shift.kind,
                "domain": shift.domain,
                "level": level,
            }
            at |= {"setting": describe(task, where), "seed": seed}
            for part, its in values.items():
                for metric, value in its.items():
                    yield Record(metric, value, count, at | {"part": part})
            report(f"{shift.axis} {level}")


def measure(task: Task, model: Transformer, where: Distribution, count: int, seed: int) -> Values:
    """Mean scores of greedy completions of `count` test problems of `where`, by part and metric.

    With them, as metrics of the full text: `untouched`, the share of prompts that noise left as they were, which is
    the exact match of a model that is right on those and on no others; and the number of different `problems`.
    """
    batch = draw(task, where, count, stream(seed, "test"))
    scores = score(task.vocabulary, complete(model, batch), batch.completion())
    values = {part: {metric: scores[part].mean(metric) for metric in METRICS} for part in PARTS}
    clean = draw(task, replace(where, noise=None), count, stream(seed, "test"))
    width = min(batch.tokens.shape[1], clean.tokens.shape[1])
    same = (batch.tokens[:, :width] == clean.tokens[:, :width]).all(axis=1) & (
        batch.prompt_length == clean.prompt_length
    )
    values["full"] |= {"untouched": float(same.mean()), "problems": float(len(np.unique(clean.tokens, axis=0)))}
    if not (batch.role == Role.CHAIN).any():
        del values["chain"]  # gold has none: an empty chain would count as right
    return values
