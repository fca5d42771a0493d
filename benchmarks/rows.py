"""What every contender works on: the default world and model, and the rows of each kind of work, from one seed."""

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

SEED = 10  # not one of those that the gallery reports, nor of those that the recipe was searched on
LEARNT = {f"default model to 0.999, seed {seed}": seed for seed in range(SEED, SEED + 5)}
BATCH = 1024
KINDS = {"in distribution": ("task", 0), "new composition": ("task", 1), "noised prompts": ("format", 3)}
STEPS = {"training step, 18 tokens": "symbols", "training step, 31 tokens": "pieces"}
COMPLETIONS = {f"greedy completion, {kind}": (kind, "symbols") for kind in KINDS} | {
    f"greedy completion in pieces, context 256, {kind}": (kind, "pieces") for kind in KINDS
}
SCORED = 10_000  # rows
MARK, MOST, EVERY = 0.999, 102_400, 3_200  # of held-out problems right; rows, and rows between two looks
TAKEN = 8  # steps


def default(tokens: str = "symbols", seed: int = SEED, words: tuple[str, ...] = ()) -> Plan:
    """The default job, its model untrained; in the released code's pieces if asked for."""
    own = [f"seed={seed}", f"tokens={tokens}", "shift.axis=task", "shift.levels=[0]"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return plan(compose("config", [*own, *words]))


def learn(todo: Plan) -> Progress:
    """Where a model stands, from fresh weights, when it first has MARK of held-out problems right, looked at every
    EVERY rows; after MOST rows, if it never has.
    """
    seed, batch = todo.settings["seed"], todo.recipe.batch
    recipe = replace(todo.recipe, mark=MARK, steps=MOST // batch, check_every=EVERY // batch)
    initialise(todo.model, stream(seed, "weights"))
    return fit_model(todo.task, todo.model, recipe, seed, report=lambda _: None)[-1]


def steps(todo: Plan, batch: int) -> Callable[[], int]:
    """The trainer itself, for TAKEN steps of `batch` fresh rows and one held-out problem; returns the rows."""
    recipe = replace(todo.recipe, steps=TAKEN, batch=batch, check_every=TAKEN, check_problems=1, mark=None)
    return lambda: fit_model(todo.task, todo.model, recipe, SEED, report=lambda _: None)[-1].rows


@cache
def world() -> Task:
    return default().task


@cache
def mixture() -> Task:
    """The world of facts and arithmetic, whose chains have typed steps."""
    return default(words=("task=mixture",)).task


def tested(kind: str, count: int) -> Batch:
    """`count` prompts of one kind, from the test side."""
    axis, level = KINDS[kind]
    return draw(world(), AXES[axis](world(), level), count, stream(SEED, "test"))


@cache
def trained(tokens: str = "symbols") -> Transformer:
    """The default model trained to its mark, from the store once it is there; in pieces with the paper's context."""
    todo = default(tokens, words=("model.context=256",) if tokens == "pieces" else ())
    run.trained(todo, Path("outputs/models"), "benchmark", 0, lambda _: None)
    model: Transformer = todo.model
    return model


def written(kind: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the trained model writes for prompts of one kind, and gold."""
    batch = tested(kind, count)
    return complete(trained(), batch), batch.completion()
