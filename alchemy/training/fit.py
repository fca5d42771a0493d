"""Training a model on a task's own rows, fresh ones at every step; it goes on where it was stopped, bit for bit."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import cos, isfinite, pi
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np
import torch

from alchemy.data.batch import Batch
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import Staged, Task
from alchemy.models.decoding import follows_gold, own_tokens
from alchemy.models.transformer import Transformer, initialise
from alchemy.training.packing import lay_out, loss_of


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW under a cosine schedule of `steps` with `warmup` steps, gradients clipped at `clip`.

    Every `check_every` steps the share of `check_problems` held-out problems that are completed without a fault is
    measured; training stops once it reaches `mark` (None: never early). `loss` counts the completion's tokens, or
    all of them. `padding` lays rows out as they are (none), each filled up to the model's context (context), or one
    after another, cut to segments of the context (group). `snapshots` copies of the weights are kept, at numbers of
    rows that grow by a constant factor.
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
    padding: Literal["none", "context", "group"]
    snapshots: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        for name in ("steps", "batch", "check_every", "check_problems"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too small: set it to 1 or more")
        for name in ("learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0, such as 0.004")
        for name in ("warmup", "weight_decay", "snapshots"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} is negative: set it to 0 or more")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas={list(self.betas)} must be two numbers from 0 to below 1, such as [0.9,0.95]")
        if self.mark is not None and not 0 < self.mark <= 1:
            raise ValueError(f"mark={self.mark} must be above 0 and at most 1, or null to train all steps")
        if self.loss not in ("completion", "all"):
            raise ValueError(f"loss={self.loss} is unknown: use completion or all")
        if self.padding not in ("none", "context", "group"):
            raise ValueError(f"padding={self.padding} is unknown: use none, context or group")

    def rate(self, step: int) -> float:
        """The learning rate at `step`, counted from 0: linear warm-up, then half a cosine down to 0."""
        cosine = 0.5 * (1 + cos(pi * min(step / self.steps, 1)))
        return self.learning_rate * min((step + 1) / (self.warmup + 1), cosine)

    def keeps(self, step: int) -> bool:
        """Whether the check that ends at `step` is the first at or past a snapshot's number of steps."""
        if not self.snapshots:
            return False
        first = min(self.check_every, self.steps)
        wanted = np.geomspace(first, self.steps, self.snapshots).round()
        checks = np.minimum(np.ceil(wanted / self.check_every) * self.check_every, self.steps)
        return step in checks


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a check: `exact_match` is on held-out problems, `loss` in nats a token."""

    step: int
    rows: int
    loss: float
    exact_match: float
    seconds: float


class Checkpointer(Protocol):
    """Where a training saves what it needs to go on, and its snapshots; `alchemy.results.store.Partial` is one."""

    def resume(self) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]] | None:
        """What was last saved: the state of model and optimiser, and the checks so far."""

    def save(self, state: dict[str, torch.Tensor], checks: list[dict[str, Any]]) -> None: ...

    def snapshot(self, rows: int, weights: dict[str, torch.Tensor]) -> None: ...


Source = Callable[[int], Batch]  # so many rows to train on, the next ones
Objective = Callable[
    [Transformer, int], Iterator[torch.Tensor]
]  # the losses of so many steps, each when it is asked for


def fresh(task: Task, seed: int, done: int, size: int) -> Source:
    """Rows of the training distribution, never from the test side; `done` chunks of `size` rows were drawn before. A
    world that begins with another distribution (see `alchemy.data.task.Staged`) has that one first.
    """
    rng = stream(seed, "train")
    rng.spawn(2 * done)  # what each draw takes from the stream
    drawn = done * size

    def rows(count: int) -> Batch:
        nonlocal drawn
        where = task.after(drawn) if isinstance(task, Staged) else task.train
        drawn += count
        return draw(task, where, count, rng, "train")

    return rows


def next_token(model: Transformer, recipe: Recipe, source: Source, steps: int) -> Iterator[torch.Tensor]:
    """The losses of so many steps on the next rows of `source`, each by the model as it is when it is asked for."""
    rows = own_tokens(model, source(steps * recipe.batch))
    for pieces in lay_out(rows, recipe.loss, recipe.padding, steps, model):
        yield loss_of(model, pieces)


class Unusable(ValueError):
    """What was saved is not the state of this training."""


def begin(model: Transformer, seed: int) -> None:
    """Gives a model the weights that the training of this seed begins with."""
    initialise(model, stream(seed, "weights"))


def fit_model(
    task: Task,
    model: Transformer,
    recipe: Recipe,
    seed: int,
    report: Callable[[Progress], None],
    checkpointer: Checkpointer | None = None,
    objective: Objective | None = None,
    held_out: Batch | None = None,
) -> list[Progress]:
    """Trains `model` in place until `recipe.mark` or the last step; returns every check, each reported as it comes.

    The rows are a pure function of task, recipe and seed, and one thread gives one result, bit for bit, also when it
    was stopped and goes on from what its `checkpointer` has. Fine-tuning gives its own `objective`, the losses of so
    many steps, and `held_out` problems to check on. Weights that ask for no gradient stay as they are. Raises
    ValueError, which begins with the setting of the recipe to change, for a loss that is no number.
    """
    if held_out is None:
        held_out = draw(task, task.train, recipe.check_problems, stream(seed, "valid"), "valid")
    settings = {"lr": recipe.learning_rate, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, fused=True, **settings)  # type: ignore[arg-type]
    checks: list[Progress] = []
    if checkpointer and (found := checkpointer.resume()):
        checks = taken_up(model, optimizer, *found)
    source = fresh(task, seed, len(checks), recipe.check_every * recipe.batch)
    before = checks[-1].seconds if checks else 0.0
    begun = perf_counter()
    while not checks or not ended(recipe, checks[-1]):
        done = checks[-1].step if checks else 0
        steps = min(recipe.check_every, recipe.steps - done)
        losses: list[torch.Tensor] = []  # read once, at the end: each reading would hold a GPU up
        asked = objective(model, steps) if objective else next_token(model, recipe, source, steps)
        for step, loss in enumerate(asked, done):
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, recipe.clip)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        done += steps
        mean = float(torch.stack(losses).mean())
        if not isfinite(mean):
            raise ValueError(f"learning_rate={recipe.learning_rate} makes the loss {mean} at step {done}: lower it")
        right = float(follows_gold(model, held_out).mean())
        seconds = before + perf_counter() - begun
        checks.append(Progress(done, done * recipe.batch, mean, right, seconds))
        if checkpointer and recipe.keeps(done):
            checkpointer.snapshot(done * recipe.batch, model.state_dict())
        if checkpointer:
            checkpointer.save(state_of(model, optimizer), [asdict(check) for check in checks])
        report(checks[-1])
    return checks


def ended(recipe: Recipe, last: Progress) -> bool:
    return last.step >= recipe.steps or (recipe.mark is not None and last.exact_match >= recipe.mark)


def state_of(model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """All that decides the next step, flat: weights, and what the optimiser remembers of each."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, memory in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{number}.{name}": value for name, value in memory.items()}
    return state


def taken_up(
    model: Transformer, optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor], told: list[dict[str, Any]]
) -> list[Progress]:
    """The checks so far of a training that goes on, with its state put back. Raises Unusable if it is another's."""
    expected = {f"model.{name}": value for name, value in model.state_dict().items()}
    given = {name: value for name, value in state.items() if name.startswith("model.")}
    try:
        checks = [Progress(**check) for check in told]
        steps = {int(value) for name, value in state.items() if name.endswith(".step")}
        forms = [{name: (its.shape, its.dtype) for name, its in some.items()} for some in (given, expected)]
        if forms[0] != forms[1] or steps != {checks[-1].step}:
            raise Unusable("a training that was saved is not this one")
        load_state(model, optimizer, state)
    except (RuntimeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise error if isinstance(error, Unusable) else Unusable(f"a training cannot go on ({error})") from error
    return checks


def load_state(model: Transformer, optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor]) -> None:
    """Puts back what `state_of` gave."""
    model.load_state_dict({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    memory: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            memory.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
