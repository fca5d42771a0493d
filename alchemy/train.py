"""Training a model from scratch on a task's own rows, fresh ones at every step."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, isfinite, pi
from time import perf_counter
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from alchemy.batch import Batch, Role
from alchemy.evaluate import follows_gold, to_tensor
from alchemy.model import Transformer
from alchemy.seeds import stream
from alchemy.task import Task, draw

IGNORED = -100  # cross_entropy's own mark for a target that does not count


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW under a cosine schedule of `steps` with `warmup` steps, gradients clipped at `clip`.

    Every `check_every` steps the share of `check_problems` held-out problems that are completed without a fault is
    measured; training stops once it reaches `mark` (None: never early). `loss` counts the completion's tokens, or
    all of them.
    """

    steps: int
    batch: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float
    warmup: int
    clip: float
    loss: Literal["completion", "all"]
    mark: float | None
    check_every: int
    check_problems: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        for name in ("steps", "batch", "check_every", "check_problems"):
            if getattr(self, name) < 1:
                raise ValueError(f"train.{name}={getattr(self, name)} is too small: set it to 1 or more")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"train.{name}={getattr(self, name)} must be above 0, such as 0.004")
        for name in ("warmup", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"train.{name}={getattr(self, name)} is negative: set it to 0 or more")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(
                f"train.betas={list(self.betas)} must be two numbers from 0 to below 1, such as [0.9,0.95]"
            )
        if self.mark is not None and not 0 < self.mark <= 1:
            raise ValueError(f"train.mark={self.mark} must be above 0 and at most 1, or null to train all steps")
        if self.loss not in ("completion", "all"):
            raise ValueError(f"train.loss={self.loss} is unknown: use completion or all")

    def rate(self, step: int) -> float:
        """The learning rate at `step`, counted from 0: linear warm-up, then half a cosine down to 0."""
        cosine = 0.5 * (1 + cos(pi * min(step / self.steps, 1)))
        return self.learning_rate * min((step + 1) / (self.warmup + 1), cosine)


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a check: `exact_match` is on held-out problems, `loss` in nats a token."""

    step: int
    rows: int
    loss: float
    exact_match: float
    seconds: float


def targets(batch: Batch, loss: str) -> np.ndarray:
    """(B, T - 1) the next token at each place, IGNORED where the loss does not look."""
    following, role = batch.tokens[:, 1:], batch.role[:, 1:]
    counted = (role != Role.PAD) & (role >= (Role.CHAIN if loss == "completion" else Role.ELEMENT))
    return np.where(counted, following, IGNORED)


def loss_of(model: Transformer, tokens: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy, in nats, of the targets (B, T - 1) that count, after tokens (B, T - 1)."""
    first = int((wanted != IGNORED).any(dim=0).int().argmax())  # no logits before the first place that counts
    logits = model.logits(model.hidden(tokens)[:, first:])
    return functional.cross_entropy(logits.flatten(0, 1), wanted[:, first:].flatten(), ignore_index=IGNORED)


def fit(
    task: Task, model: Transformer, recipe: Recipe, seed: int, report: Callable[[Progress], None]
) -> list[Progress]:
    """Trains `model` in place until `recipe.mark` or the last step; returns every check, each reported as it comes.

    The rows are a pure function of task, recipe and seed, and one thread gives one result, bit for bit.
    """
    held_out = draw(task, task.train, recipe.check_problems, stream(seed, "valid"), "valid")
    rng = stream(seed, "train")
    settings = {"lr": recipe.learning_rate, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **settings)  # type: ignore[arg-type]
    checks: list[Progress] = []
    begun = perf_counter()
    done = 0
    while done < recipe.steps:
        steps = min(recipe.check_every, recipe.steps - done)
        rows = draw(task, task.train, steps * recipe.batch, rng, "train")
        tokens = to_tensor(rows.tokens[:, :-1], model).split(recipe.batch)
        wanted = to_tensor(targets(rows, recipe.loss), model).split(recipe.batch)
        total = 0.0
        for one, its in zip(tokens, wanted, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(done)
            loss = loss_of(model, one, its)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
            done += 1
        if not isfinite(total):
            raise ValueError(f"the loss is {total} at step {done}: lower train.learning_rate={recipe.learning_rate}")
        right = float(follows_gold(model, held_out).mean())
        checks.append(Progress(done, done * recipe.batch, total / steps, right, perf_counter() - begun))
        report(checks[-1])
        if recipe.mark is not None and right >= recipe.mark:
            break
    return checks
