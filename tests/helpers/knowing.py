"""A mixture of a few facts and short arithmetic, and tiny models of it, untrained or trained for seconds."""

from copy import deepcopy
from dataclasses import replace
from functools import cache

import torch

from alchemy.data.batch import Batch
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution
from alchemy.models.transformer import Llama, initialise
from alchemy.training.fit import Recipe, fit_model
from tasks.arithmetic import Arithmetic
from tasks.facts import Facts
from tasks.mixture import Mixture

WORLD = Mixture(
    worlds=(
        Facts(
            entities=32,
            names=8,
            length=2,
            relations=2,
            links=0,
            values=5,
            two_hops=0.0,
            chains=(0.2, 0.0),
            zipf=0.0,
            draw=0,
        ),
        Arithmetic(
            modulus=5,
            operations=("x+1", "2x", "x**3"),
            length=3,
            depths=(1, 2),
            compositions=(0, 0),
            shares=(0.4, 0.6),
            chains=(0.0, 0.3),
            held_out=2,
            often=(),
            draw=0,
        ),
    ),
    tokens=(0.4, 0.6),
    early_rows=0,
    early_chains=0.0,
)
FIRST = WORLD.vocabulary.first_atom
RULE = WORLD.vocabulary.first_rule
CONTEXT = 24  # one operation more than training takes 23
RECIPE = Recipe(
    steps=300,
    batch=64,
    learning_rate=1e-2,
    betas=(0.9, 0.98),
    weight_decay=0.0,
    warmup=10,
    clip=1.0,
    loss="completion",
    mark=None,
    check_every=100,
    check_problems=8,
    padding="none",
    snapshots=0,
)
RECALLED = tuple((rule,) for rule in range(2))
STEPS = tuple(c for c in WORLD.train.compositions if len(c) > 1)


def untrained(seed: int = 0, scale: float = 1.0) -> Llama:
    """A model whose weights are `scale` times as large as a fresh one's, so that it likes some symbols better."""
    model = Llama(len(WORLD.vocabulary), CONTEXT, layers=2, heads=2, width=32, ffn=64, positions="both")
    initialise(model, stream(seed, "weights"))
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim > 1:
                weights.mul_(scale)
    return model


@cache
def _trained() -> Llama:
    model = untrained(scale=5.0)
    fit_model(WORLD, model, RECIPE, 0, lambda at: None)
    return model


def trained() -> Llama:
    """A copy of a model that knows most facts, and opens a chain about as often as the rows of training do."""
    return deepcopy(_trained())


def rows(count: int, purpose: str = "rows", where: Distribution = WORLD.train, chains: float | None = None) -> Batch:
    """Rows of training, of several lengths; with `chains`, that share of each composition's with one."""
    if chains is not None:
        where = replace(where, chains=(chains,) * len(where.compositions))
    return draw(WORLD, where, count, stream(0, purpose), "train")


def certain_of(symbol: int, logit: float) -> Llama:
    """A model that gives one symbol this logit, or nearly, after any text, and others hardly any."""
    model = untrained(scale=3.0)
    with torch.no_grad():
        model.tokens.weight[:, 0] = 100.0  # the first number of the stream outweighs all others: it becomes sqrt(32)
        model.output.weight[:, 0] = 0.0
        model.output.weight[symbol, 0] = logit / 32**0.5
    return model
