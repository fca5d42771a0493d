"""What every contender works on: the default world and model, and the rows of each kind of work, from one seed."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from alchemy.batch import Batch
from alchemy.evaluate import complete
from alchemy.model import Transformer, initialise
from alchemy.plan import CONF
from alchemy.seeds import stream
from alchemy.shift import AXES
from alchemy.task import Task, draw
from alchemy.tokenizer import Tokenizer
from alchemy.train import Recipe, fit

SEED = 10  # not one of those that the gallery reports
BATCH = 1024
KINDS = {"in distribution": ("task", 0), "new composition": ("task", 1), "noised prompts": ("format", 3)}
TRAINED = Path("outputs/bench")


@cache
def world() -> Task:
    task: Task = instantiate(OmegaConf.load(CONF / "task" / "cipher.yaml"), _convert_="all")
    return task


def recipe() -> Recipe:
    made: Recipe = instantiate(OmegaConf.load(CONF / "train" / "adamw.yaml"), _convert_="all")
    return made


def model(tokenizer: Tokenizer | None = None, context: int = 64, seed: int = SEED) -> Transformer:
    """The default model, untrained; in the released code's pieces if it is given their tokenizer."""
    made = Transformer(len(tokenizer or world().vocabulary), context, 4, 4, 32, positions="learned")
    initialise(made, stream(seed, "weights"))
    made.tokenizer = tokenizer
    return made


def to_train_on(count: int = 8 * BATCH) -> Batch:
    return draw(world(), world().train, count, stream(SEED, "train"), "train")


def tested(kind: str, count: int) -> Batch:
    """`count` prompts of one kind, from the test side."""
    axis, level = KINDS[kind]
    return draw(world(), AXES[axis](world(), level), count, stream(SEED, "test"))


@cache
def trained() -> Transformer:
    """The default model trained to its mark, once; its weights are kept for the other contenders."""
    made, file = model(), TRAINED / f"seed_{SEED}.pt"
    if file.exists():
        made.load_state_dict(torch.load(file, weights_only=True))
        return made
    fit(world(), made, recipe(), SEED, report=lambda _: None)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(made.state_dict(), file)
    return made


def written(kind: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the trained model writes for prompts of one kind, and gold."""
    batch = tested(kind, count)
    return complete(trained(), batch), batch.completion()
