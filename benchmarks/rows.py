"""Inputs of all contenders: the default world and model, and the rows of each kind of work, from one seed."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir

from alchemy.data.batch import Batch
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES
from alchemy.data.task import Task
from alchemy.models.decoding import complete
from alchemy.models.transformer import Transformer, initialise
from alchemy.runs import job as run
from alchemy.runs.plan import Plan, plan
from alchemy.runs.settings import CONF
from alchemy.training.fit import Progress, fit_model

SEED = 10  # neither reported in the gallery nor used to search for the recipe
LEARNT = {f"default model to 0.999, seed {seed}": seed for seed in range(SEED, SEED + 5)}
BATCH = 1024
KINDS = {"in distribution": ("task", 0), "new composition": ("task", 1), "noised prompts": ("format", 3)}
STEPS = {"training step, 18 tokens": "symbols", "training step, 31 tokens": "pieces"}
COMPLETIONS = {f"greedy completion, {kind}": (kind, "symbols") for kind in KINDS} | {
    f"greedy completion in pieces, context 256, {kind}": (kind, "pieces") for kind in KINDS
}
SCORED = 10_000  # rows
MARK, MOST, EVERY = 0.999, 102_400, 3_200  # share of held-out problems right; rows at most; rows between two checks
TAKEN = 8  # training steps of one work


def default(tokens: str = "symbols", seed: int = SEED, words: tuple[str, ...] = ()) -> Plan:
    """Returns the plan of the default job, changed by `words`, with its model untrained."""
    own = [f"seed={seed}", f"tokens={tokens}", "shift.axis=task", "shift.levels=[0]"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plan(compose("config", [*own, *words]))


def learn(todo: Plan) -> Progress:
    """Trains a model from fresh weights until MARK of held-out problems are right, and returns the last check.

    It is checked every EVERY rows, and stops after MOST rows.
    """
    seed, batch = todo.settings["seed"], todo.recipe.batch
    recipe = replace(todo.recipe, mark=MARK, steps=MOST // batch, check_every=EVERY // batch)
    initialise(todo.model, stream(seed, "weights"))
    return fit_model(todo.task, todo.model, recipe, seed, report=lambda _: None)[-1]


def steps(todo: Plan, batch: int) -> Callable[[], int]:
    """Returns a training of TAKEN steps of `batch` fresh rows, with one held-out problem to check on."""
    recipe = replace(todo.recipe, steps=TAKEN, batch=batch, check_every=TAKEN, check_problems=1, mark=None)
    return lambda: fit_model(todo.task, todo.model, recipe, SEED, report=lambda _: None)[-1].rows


@cache
def world() -> Task:
    return default().task


@cache
def mixture() -> Task:
    """Returns the world of facts and arithmetic, whose chains have typed steps."""
    return default(words=("task=mixture",)).task


def tested(kind: str, count: int) -> Batch:
    """Returns `count` prompts of one kind, from the test side."""
    axis, level = KINDS[kind]
    return draw(world(), AXES[axis](world(), level), count, stream(SEED, "test"))


@cache
def trained(tokens: str = "symbols") -> Transformer:
    """Returns the default model trained to its mark, from the store if it is there; in pieces its context is 256."""
    todo = default(tokens, words=("model.context=256",) if tokens == "pieces" else ())
    run.trained(todo, Path("outputs/models"), "benchmark", 0, lambda _: None)
    model: Transformer = todo.model
    return model


def written(kind: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the trained model's completions of prompts of one kind, and gold."""
    batch = tested(kind, count)
    return complete(trained(), batch), batch.completion()
