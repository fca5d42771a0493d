"""The reasoning tax: what becomes of knowledge when a model that knows facts is taught to reason about computing alone.

A copy of the model is fine-tuned by one `arm`, with or without a way to `keep` its knowledge, and measured along the
way. Source: the question is that of arXiv:2506.02126 and 2507.18178; the design is the lab's own.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import inf, isnan, log2
from typing import Any

import numpy as np

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import SIXTEENTHS, Terse
from alchemy.errors import settings_at
from alchemy.measures.bench import Bench
from alchemy.measures.knowledge import asked, questions, values_of
from alchemy.models.trainable import Which, choose_trainable, merge
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell
from alchemy.results.records import Record
from alchemy.studies.reasoning_tax.coordinates import Part, unit
from alchemy.studies.reasoning_tax.evaluation import (
    EvaluationSet,
    Found,
    distance_moved,
    evaluation_set,
    measure_model,
    restoration,
    start,
)
from alchemy.studies.reasoning_tax.practice import Practice, Practising, first_half, recovery
from alchemy.training.fit import Objective, Progress, Recipe, Source, fit_model
from alchemy.training.objectives import anchored, in_turn, reinforced, replayed, supervised
from alchemy.training.policy_gradient import Policy
from alchemy.training.sources import copies, foreign, one_problem, own_right

TRAINED = len(SIXTEENTHS["train"]) / 16  # the share of all facts that training states
# by way of keeping knowledge, the weights that are trained; the others are frozen
TRAINS: dict[str, Which] = {"lower": "upper", "upper": "lower", "random": "random", "low_rank": "low_rank"}
SUPERVISED = ("gold", "direct", "self", "foreign", "unrelated")
REWARDED = ("rlvr", "gold_rlvr", "one_shot", "random")
KEEPS = ("none", *TRAINS, "anchor", "anchor_facts")  # and replay_1 to replay_99, a share of facts in percent
SHOWN = 0.1  # change of the opening rate that calls for a whole measurement


@dataclass(frozen=True)
class Match:
    """Where arms are compared: at a rate of opening a chain at temperature 1, and at a KL from the base in nats.

    >>> Match(opening=0.5, kl=0.2).kl
    0.2
    """

    opening: float
    kl: float


@dataclass(frozen=True)
class Arm:
    """How a copy of the base is fine-tuned.

    - `name`: the name of the arm
    - `keep`: the way in which knowledge is to be kept
    - `recipe`: the recipe of the fine-tuning
    - `policy`: the policy gradient of arms that are rewarded
    - `anchor`: the weight of the KL to the base, of arms that are anchored
    """

    name: str
    keep: str
    recipe: Recipe
    policy: Policy
    anchor: float


def run(
    bench: Bench,
    *,
    count: int,
    arm: str,
    label: str,
    keep: str,
    match: Match,
    base: dict[str, float] | None,
    recipe: Recipe,
    policy: Policy,
    anchor: float,
    every: int,
    doses: tuple[int, ...],
    split_at: int,
    practice: dict[str, Practice],
) -> Iterator[Record]:
    """Records of one arm: its whole course, and the loss of knowledge in parts at each match.

    The course is measured at least at every `every`-th step, and wherever the opening rate has moved by SHOWN. At the
    first step past each of `match`, half of the facts is taught again by each `practice`, and what comes back of the
    others is measured after so many steps as `doses` has; after `split_at` steps of the usual practice, the loss of
    knowledge is split into all its parts. Past the opening rate, parts of the weights are also restored. The level of
    all records is 0, training: it is the model that changes, not the distribution.
    """
    del base  # the analysis decides which seeds count
    what = Arm(arm, keep, recipe, policy, anchor)
    practising = Practising(practice, tuple(doses), split_at)
    cell = bench.measured(bench.task.train, lambda: measured(bench, what, match, count, every, practising))
    place: dict[str, str | int | float] = {
        "seed": bench.seed,
        "arm": label or arm,
        "keep": keep,
        "load": round(knowledge_load(bench.task, bench.model), 4),
    }
    place |= {"axis": "-", "kind": "-", "domain": "-", "level": 0, "setting": ""}
    for key, metrics in cell.values.items():
        at = json.loads(key)
        for metric, (value, error) in metrics.items():
            if not isnan(value):  # NaN: no row was measured
                yield Record(metric, value, error, count, place | at, unit(at["part"], metric))


def measured(bench: Bench, arm: Arm, match: Match, count: int, every: int, practising: Practising) -> Cell:
    """Cell with everything that is measured of an arm. Its keys are step and part, written as JSON."""
    task, model, seed = bench.task, bench.model, bench.seed
    questions = evaluation_set(task, model, count, seed)
    if arm.keep == "anchor_facts" or replay_share(arm.keep):  # such an arm shows some facts: measure the others
        questions = questions.unshown()
    course = Course(questions, match, every, bench.report, arm.recipe.steps)
    teach(course, arm, seed)
    taught = {step: dict(found) for step, found in course.found.items()}
    back = recovery(questions, course.matched, practising, seed)
    for name, other in course.matched.items():
        taught[course.at[name]] |= back[name]
        if name == "opening":
            taught[course.at[name]] |= restoration(questions, other, seed, name)
    parts = {(step, part): its for step, found in taught.items() for part, its in found.items()}
    return Cell({json.dumps({"step": step, **part._asdict()}): its for (step, part), its in parts.items()})


def check(
    task: Any,
    training: Recipe | None,  # noqa: ARG001
    *,
    arm: str,
    keep: str,
    match: Match,
    anchor: float,
    every: int,
    doses: tuple[int, ...],
    split_at: int,
    practice: dict[str, Practice],
    **_: object,
) -> None:
    """Raises ValueError for settings that the study cannot be run with.

    They are a world without facts or problems, an unknown arm or way to keep knowledge, and impossible numbers.
    """
    Practising(practice, tuple(doses), split_at)
    if not all(asked(task)):
        raise ValueError("study=reasoning_tax needs a world that recalls and computes: use task=mixture")
    if arm not in (*SUPERVISED, *REWARDED):
        raise ValueError(f"study.arm={arm} is unknown: use one of {', '.join((*SUPERVISED, *REWARDED))}")
    if keep not in KEEPS and not replay_share(keep):
        raise ValueError(f"study.keep={keep} is unknown: use one of {', '.join(KEEPS)}, or replay_1 to replay_99")
    if every < 1:
        raise ValueError(f"study.every={every} is too small: set it to 1 or more")
    if not 0 <= anchor < inf:
        raise ValueError(f"study.anchor={anchor} is a weight: set it to 0 or more")
    for name, value in (("match.opening", match.opening), ("match.kl", match.kl)):
        if not 0 < value < inf:
            raise ValueError(f"study.{name}={value} must be above 0")


@dataclass
class Course:
    """Measurements while an arm is fine-tuned.

    - `found`: what was measured, by step
    - `matched`: a copy of the model at the first step past each match
    - `at`: the step of each of these copies
    """

    evaluation: EvaluationSet
    match: Match
    every: int
    report: Callable[[int, int, str], None]
    steps: int
    found: dict[int, Found] = field(default_factory=dict)
    matched: dict[str, Transformer] = field(default_factory=dict)
    at: dict[str, int] = field(default_factory=dict)
    last: float = 0.0  # opening rate at the last whole measurement
    rewards: list[float] = field(default_factory=list)

    def look(self, step: int, model: Transformer) -> None:
        """Measures the model whole, if it is time to or a match is passed, and reports progress in any case."""
        rate, far = distance_moved(self.evaluation, model)
        passed = {name for name, value in (("opening", rate), ("kl", far)) if value >= getattr(self.match, name)}
        fresh = passed - set(self.matched) if step else set()
        if step % self.every == 0 or step == self.steps or fresh or abs(rate - self.last) >= SHOWN:
            values = measure_model(self.evaluation, model)
            if step == 0:
                values |= start(self.evaluation)
            if self.rewards:
                values[Part("update")]["reward"] = (float(np.mean(self.rewards)), 0.0)
            self.found[step], self.last = values, rate
            self.rewards.clear()  # the arm appends to this same list
        for name in sorted(fresh):  # a set has no order of its own
            self.matched[name], self.at[name] = deepcopy(model), step
        self.report(max(step, 1), self.steps, f"opening {rate:.2f}, KL {far:.2f}")


def teach(course: Course, arm: Arm, seed: int) -> None:
    """Fine-tunes a copy of the base by `arm`, and measures it along the way."""
    base = course.evaluation.base
    model = deepcopy(base)
    course.look(0, model)
    choose_trainable(model, TRAINS.get(arm.keep, "all"), stream(seed, "trainable"))
    objective = lesson(course, arm, seed)

    def look(check: Progress) -> None:
        plain = model
        if arm.keep == "low_rank":
            merge(plain := deepcopy(model))
        course.look(check.step, plain)

    with settings_at("study.recipe", vars(arm.recipe)):
        held_out = course.evaluation.problems[:1]
        fit_model(course.evaluation.task, model, arm.recipe, seed, look, objective=objective, held_out=held_out)


def lesson(course: Course, arm: Arm, seed: int) -> Objective:
    """Objective of an arm, with what is added to keep knowledge."""
    task, base, recipe = course.evaluation.task, course.evaluation.base, arm.recipe
    steps = tuple(composition for composition in asked(task)[1] if len(composition) > 1)
    rng = {name: stream(seed, "lesson", name) for name in ("samples", "rewards", "anchor", "replay")}

    def problems(name: str, chains: float) -> Source:
        drawn = stream(seed, "lesson", name)
        return lambda count: questions(task, steps, count, drawn, "train", chains)

    gold, facts = problems("rows", 1.0), first_half(task, rng["replay"])
    sources: dict[str, Source] = {
        "gold": gold,
        "direct": problems("rows", 0.0),
        "self": own_right(task, base, gold, rng["samples"]),
        "foreign": lambda count: foreign(gold(count)),
        "unrelated": lambda count: copies(gold(count)),
    }
    if arm.name in REWARDED:
        rewarded = replace(arm.policy, reward="random") if arm.name == "random" else arm.policy
        paid = one_problem(task, base, gold, rng["samples"]) if arm.name == "one_shot" else gold
        objective = reinforced(task, base, rewarded, paid, rng["rewards"], course.rewards.append)
    else:
        objective = supervised(recipe, sources[arm.name])
    if arm.name == "gold_rlvr":
        objective = in_turn(supervised(recipe, gold), recipe.steps // 4, objective)
    if arm.keep in ("anchor", "anchor_facts"):  # drawn apart, so that the arm sees the same rows as without an anchor
        about = problems("anchored", 1.0) if arm.keep == "anchor" else facts
        objective = anchored(objective, base, about, max(recipe.batch // 4, 1), arm.anchor, rng["anchor"])
    if share := replay_share(arm.keep):
        objective = replayed(objective, recipe, facts, share)
    return objective


def replay_share(keep: str) -> float:
    """Share of facts that `keep` replays, such as 0.05 for replay_5; 0 if it is not one of replay_1 to replay_99."""
    word, _, number = keep.partition("_")
    return int(number) / 100 if word == "replay" and number in map(str, range(1, 100)) else 0.0


def knowledge_load(task: Terse, model: Transformer) -> float:
    """Knowledge load of a model: bits of the facts that training states, over twice the number of weights of its
    layers.

    Twice the weights is about the number of bits that a model can hold. Source: arXiv:2404.05405.
    """
    weights = sum(weight.numel() for name, weight in model.named_parameters() if name.startswith("blocks"))
    return stated_bits(task) / (2 * weights)


def stated_bits(task: Terse) -> float:
    """Bits of all facts that training states."""
    recalled, _ = asked(task)
    where = replace(task.train, compositions=recalled, shares=(), chains=(0.0,) * len(recalled))
    rows = draw(task, where, 512, stream(0, "load"), "train")
    return task.size(where) * TRAINED * log2(values_of(rows, task.vocabulary.first_atom))
