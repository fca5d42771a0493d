"""Recovery study: how many rows of a shifted distribution fine-tuning needs until the model is right there as well.

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
from alchemy.errors import settings_at
from alchemy.measures.bench import Bench, Level
from alchemy.measures.cell import measure
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell
from alchemy.results.records import Record
from alchemy.training.fit import Recipe, fit_model, next_token

NEEDS_TRAINING = True  # it continues the training

log = logging.getLogger(__name__)


def check(
    task: Task,  # noqa: ARG001
    training: Recipe | None,  # noqa: ARG001
    *,
    rows: Sequence[int],
    shares: Sequence[float],
    **_: object,
) -> None:
    """Raises ValueError for numbers of rows, or shares, that the model cannot be fine-tuned on."""
    if bool(rows) == bool(shares):
        raise ValueError("study=recovery needs study.rows or study.shares, and not both: empty one of them, []")
    if wrong := [number for number in rows if number < 0]:
        raise ValueError(f"study.rows names {wrong[0]}: each must be a number of rows, 0 or more")
    if beyond := [share for share in shares if not 0 <= share <= 1]:
        raise ValueError(f"study.shares names {beyond[0]}: each must be a share of all problems, from 0 to 1")


def run(
    bench: Bench, *, count: int, rows: tuple[int, ...], shares: tuple[float, ...], recipe: Recipe
) -> Iterator[Record]:
    """Records of every level of every shift, after fine-tuning on each number of `rows`, or on each of `shares`.

    A share is one of all problems at that level. Records are over `count` held-out problems of the same level. The rows
    are different ones of the training side, the first of one order for each seed, so a larger number contains the
    smaller ones. Each fine-tuning starts from a copy of the model, by `recipe`. An amount that the level has too few
    rows for is left out, with a warning.
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
    """Error for a Distribution with fewer different rows than are needed; its text is the number that it has."""


def taught(bench: Bench, place: Level, number: int, recipe: Recipe, count: int) -> Cell:
    """Cell at `place`, measured on a copy of the model that was fine-tuned on `number` rows of that place.

    Raises TooFew if there are not so many different rows.
    """
    model = bench.model
    if number:
        lesson = different(bench.task, place.where, number, bench.seed)
        if len(lesson) < number:
            raise TooFew(len(lesson))
        model = tuned(bench.task, model, place.where, lesson, recipe, bench.seed)
    return measure(bench.task, model, place.where, count, bench.seed)


def tuned(task: Task, model: Transformer, where: Distribution, lesson: Batch, recipe: Recipe, seed: int) -> Transformer:
    """Copy of `model`, fine-tuned on the rows `lesson`, which are from `where`."""
    model = deepcopy(model)
    order = stream(seed, "order")
    held_out = draw(task, where, recipe.check_problems, stream(seed, "valid"), "valid")

    def source(count: int) -> Batch:
        epochs = [order.permutation(len(lesson)) for _ in range(-(-count // len(lesson)))]
        return lesson[np.concatenate(epochs)[:count]]

    def objective(model: Transformer, steps: int) -> Iterator[Tensor]:
        return next_token(model, recipe, source, steps)

    with settings_at("train", vars(recipe)):
        fit_model(task, model, recipe, seed, lambda _: None, objective=objective, held_out=held_out)
    return model


def different(task: Task, where: Distribution, number: int, seed: int) -> Batch:
    """Different rows of `where` from the training side: `number` of them, or all that were found if there are fewer."""
    rng = stream(seed, "fine-tuning")
    found = draw(task, where, number, rng, "train")
    for _ in range(20):
        found = first_of_each(found)[:number]
        if len(found) == number:
            return found
        found = concatenate([found, draw(task, where, number, rng, "train")])
    return first_of_each(found)[:number]


def first_of_each(rows: Batch) -> Batch:
    """Rows in their order, without those that are the same as one before."""
    _, first = np.unique(rows.tokens, axis=0, return_index=True)
    return rows[np.sort(first)]
