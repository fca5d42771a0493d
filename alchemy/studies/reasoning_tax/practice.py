"""Practice: half of the facts is taught again, and the other half shows what comes back of a loss, and what it costs.

Source: the split of the loss after arXiv:2501.13453; practice of two strengths and several lengths is the lab's own.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from math import gcd

import numpy as np

from alchemy.data.batch import Batch
from alchemy.data.seeds import stream
from alchemy.data.task import Terse
from alchemy.errors import settings_at
from alchemy.measures.knowledge import asked, halves, questions
from alchemy.models.transformer import Transformer
from alchemy.studies.reasoning_tax.coordinates import Part
from alchemy.studies.reasoning_tax.evaluation import EvaluationSet, Found, loss, loss_in_bits, untaught_bits
from alchemy.training.fit import Progress, Recipe, Source, fit_model
from alchemy.training.objectives import supervised

USUAL = "usual"  # the practice by which the loss is split into parts
WARMUP = 2  # steps
MOST = 10**7  # rows of a batch


class Steady(Recipe):
    """A recipe whose learning rate stays the same after the warm-up, so that the first steps of a long practice are a
    short one.
    """

    def rate(self, step: int) -> float:
        return self.learning_rate * min((step + 1) / (self.warmup + 1), 1.0)


@dataclass(frozen=True)
class Practice:
    """How half of the facts is taught again: `batch` rows a step, at a `learning_rate` that stays the same.

    Raises ValueError for a number out of range.

    >>> Practice(learning_rate=1e-4, batch=512).recipe((5, 20)).check_every
    5
    """

    learning_rate: float
    batch: int

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0, such as 1e-4")
        if not 0 < self.batch <= MOST:
            raise ValueError(f"batch={self.batch} must be from 1 to {MOST}: rows a step")

    def recipe(self, doses: Sequence[int]) -> Recipe:
        """Recipe of a practice that stops at each of `doses`, in steps."""
        return Steady(
            steps=max(doses),
            batch=self.batch,
            learning_rate=self.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            warmup=WARMUP,
            clip=1.0,
            loss="completion",
            mark=None,
            check_every=gcd(*doses),
            check_problems=1,
            padding="none",
            snapshots=0,
        )


@dataclass(frozen=True)
class Practising:
    """What is practised at a match: each of `practices`, by name, for so many steps as `doses` has, in ascending order.

    The loss is split into all its parts after `split_at` steps of the usual practice. Raises ValueError for doses that
    do not ascend from 1 or more, a split at none of them, and no usual practice.
    """

    practices: Mapping[str, Practice]
    doses: tuple[int, ...]
    split_at: int

    def __post_init__(self) -> None:
        if not self.doses or self.doses[0] < 1 or any(one >= later for one, later in pairwise(self.doses)):
            raise ValueError(f"study.doses={list(self.doses)} must be ascending numbers of steps, such as [5,10,20]")
        if self.split_at not in self.doses:
            raise ValueError(f"study.split_at={self.split_at} is none of study.doses={list(self.doses)}: use one")
        if USUAL not in self.practices:
            raise ValueError(f"study.practice lacks {USUAL}, by which the loss is split into parts: add it")


def first_half(task: Terse, rng: np.random.Generator) -> Source:
    """Source of facts of training, without a chain, about the first half of all entities."""
    recalled, _ = asked(task)

    def facts(count: int) -> Batch:
        rows = questions(task, recalled, 3 * count + 16, rng, "train", 0.0)
        return rows[halves(task, rows)][:count]

    return facts


def practised(
    task: Terse, model: Transformer, name: str, practice: Practice, doses: Sequence[int], seed: int
) -> dict[int, Transformer]:
    """Copies of `model` after each of `doses` of a practice, in one course. All its weights are taught."""
    again = deepcopy(model).requires_grad_(True)
    facts, recipe = first_half(task, stream(seed, "relearning")), practice.recipe(doses)
    found: dict[int, Transformer] = {}

    def keep(at: Progress) -> None:
        if at.step in doses:
            found[at.step] = deepcopy(again)

    with settings_at(f"study.practice.{name}", vars(recipe)):
        fit_model(task, again, recipe, seed, keep, objective=supervised(recipe, facts), held_out=facts(1))
    return found


def recovery(
    evaluation: EvaluationSet, matched: Mapping[str, Transformer], practising: Practising, seed: int
) -> dict[str, Found]:
    """What practice brings back of the loss of each model of `matched`, by match.

    The part practice has the loss in bits, by practice and dose. The part split has the loss in all its parts.
    """
    found: dict[str, Found] = {match: {} for match in matched}
    before = untaught_bits(evaluation, evaluation.base)
    for name, practice in practising.practices.items() if matched else ():
        controls = practised(evaluation.task, evaluation.base, name, practice, practising.doses, seed)
        costs = {dose: untaught_bits(evaluation, one) for dose, one in controls.items()}
        for match, model in matched.items():
            after = untaught_bits(evaluation, model)
            for dose, again in practised(evaluation.task, model, name, practice, practising.doses, seed).items():
                bits = loss_in_bits(before, after, untaught_bits(evaluation, again), costs[dose])
                found[match][Part("practice", match, practice=name, dose=dose)] = bits
                if (name, dose) == (USUAL, practising.split_at):
                    found[match][Part("split", match)] = loss(evaluation, model, again, controls[dose])
    return found
