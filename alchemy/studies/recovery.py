"""Recovery: how many rows of a shifted distribution fine-tuning needs until the model is right there as well.

Source: arXiv:2508.01191, section 5.1 (the share lambda of all data) and 5.2 (the share x of unseen elements).
"""

import logging
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial

import numpy as np
from torch import Tensor

from alchemy.data.batch import Batch, concatenate
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution, Task
from alchemy.measures.bench import Bench, Level
from alchemy.measures.cell import measure
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell
from alchemy.results.records import Record
from alchemy.training.fit import Recipe, fit_model, next_token

NEEDS_TRAINING = True  # it goes on with it

log = logging.getLogger(__name__)


def check(
    task: Task,  # noqa: ARG001
    training: Recipe | None,  # noqa: ARG001
    *,
    rows: Sequence[int],
    shares: Sequence[float],
    **_: object,
) -> None:
    """Raises ValueError for amounts that nothing can be fine-tuned on."""
    if bool(rows) == bool(shares):
        raise ValueError("study=recovery needs study.rows or study.shares, and not both: empty one of them, []")
    if wrong := [number for number in rows if number < 0]:
        raise ValueError(f"study.rows names {wrong[0]}: each must be a number of rows, 0 or more")
    if beyond := [share for share in shares if not 0 <= share <= 1]:
        raise ValueError(f"study.shares names {beyond[0]}: each must be a share of all problems, from 0 to 1")


def run(
    bench: Bench, *, count: int, rows: tuple[int, ...], shares: tuple[float, ...], recipe: Recipe
) -> Iterator[Record]:
    """Records per shift, level and number of `rows` fine-tuned on (or share of all problems there), on held-out ones.

    The rows are different ones of the training side, the first of one order for each seed, so more rows contain
    fewer. Fine-tuning starts from a copy of the model each time, by `recipe`.
    """
    parts = [(place, amount) for place in bench.levels() for amount in (rows or shares)]
    for done, (place, amount) in enumerate(parts, 1):
        number = int(amount if rows else amount * bench.task.size(place.where))
        at = {"rows": number} | ({"share": amount} if shares else {})
        name = f"{place}, {number} rows"
        try:
            found = partial(taught, bench, place, number, recipe, count)
            yield from bench.under(rows=number).cell(place, found, count, **at)
        except TooFew as error:
            name = f"{number} rows of {place}, which has {error}"
            log.warning("left out: %s; lower study.rows or study.shares", name)
        bench.report(done, len(parts), name)


class TooFew(ValueError):
    """A Distribution has fewer different rows than are asked for: so many."""


def taught(bench: Bench, place: Level, number: int, recipe: Recipe, count: int) -> Cell:
    """What a copy of the model, fine-tuned on so many rows of a place, scores there. Raises TooFew."""
    model = bench.model
    if number:
        lesson = different(bench.task, place.where, number, bench.seed)
        if len(lesson) < number:
            raise TooFew(len(lesson))
        model = tuned(bench.task, model, place.where, lesson, recipe, bench.seed)
    return measure(bench.task, model, place.where, count, bench.seed)


def tuned(task: Task, model: Transformer, where: Distribution, lesson: Batch, recipe: Recipe, seed: int) -> Transformer:
    """A copy of `model`, fine-tuned on the rows of `lesson`, which are from `where`."""
    model = deepcopy(model)
    order = stream(seed, "order")
    held_out = draw(task, where, recipe.check_problems, stream(seed, "valid"), "valid")

    def source(count: int) -> Batch:
        epochs = [order.permutation(len(lesson)) for _ in range(-(-count // len(lesson)))]
        return lesson[np.concatenate(epochs)[:count]]

    def objective(model: Transformer, steps: int) -> Iterator[Tensor]:
        return next_token(model, recipe, source, steps)

    fit_model(task, model, recipe, seed, lambda _: None, objective=objective, held_out=held_out)
    return model


def different(task: Task, where: Distribution, number: int, seed: int) -> Batch:
    """`number` rows of `where` from the training side, no two alike; all there are, if there are fewer."""
    rng = stream(seed, "fine-tuning")
    found = draw(task, where, number, rng, "train")
    for _ in range(20):
        found = first_of_each(found)[:number]
        if len(found) == number:
            return found
        found = concatenate([found, draw(task, where, number, rng, "train")])
    return first_of_each(found)[:number]


def first_of_each(rows: Batch) -> Batch:
    """The rows in their order, without those that stood before."""
    _, first = np.unique(rows.tokens, axis=0, return_index=True)
    return rows[np.sort(first)]
