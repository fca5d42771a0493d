"""Training of a model on fresh rows of a task at every step. A training that was stopped goes on with the same result,
bit for bit.
"""

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
    """How to train: AdamW on `batch` rows a step, under a cosine schedule of `steps` with `warmup` steps, and gradients
    clipped at `clip`.

    Every `check_every` steps, the share of `check_problems` held-out problems that are completed without a fault is
    measured, and training stops once it is at least `mark` (None: never early). `loss` is over the tokens of the
    completion, or all tokens. `padding` leaves rows as they are (none), fills each up to the model's context (context),
    or joins them and cuts the result into segments of the context (group). `snapshots` copies of the weights are kept,
    at numbers of rows that grow by a constant factor. Raises ValueError for a number out of range.
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

    def ends(self, check: "Progress") -> bool:
        """Whether the training ends with a check."""
        return check.step >= self.steps or (self.mark is not None and check.exact_match >= self.mark)

    def keeps(self, step: int) -> bool:
        """Whether a snapshot is kept after the check that ends at `step`. One is kept after the first check at or past
        each of `snapshots` numbers of steps, which grow by a constant factor.
        """
        if not self.snapshots:
            return False
        first = min(self.check_every, self.steps)
        wanted = np.geomspace(first, self.steps, self.snapshots).round()
        checks = np.minimum(np.ceil(wanted / self.check_every) * self.check_every, self.steps)
        return step in checks


@dataclass(frozen=True)
class Progress:
    """The state of a training after a check: steps and rows so far, the mean `loss` since the last check in nats a
    token, the share of held-out problems with an `exact_match`, and seconds of training.
    """

    step: int
    rows: int
    loss: float
    exact_match: float
    seconds: float


class Checkpointer(Protocol):
    """What saves the state of a training, so that it can go on, and its snapshots; `alchemy.results.store.Partial` is
    one.
    """

    def resume(self) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]] | None:
        """What was last saved: the state of model and optimiser, and the checks so far; None if nothing was."""

    def save(self, state: dict[str, torch.Tensor], checks: list[dict[str, Any]]) -> None: ...

    def snapshot(self, rows: int, weights: dict[str, torch.Tensor]) -> None: ...


Source = Callable[[int], Batch]  # from a number of rows to the next so many rows to train on
# from a model and a number of steps to the loss of each step, computed when the iterator reaches it
Objective = Callable[[Transformer, int], Iterator[torch.Tensor]]


def fresh(task: Task, seed: int, done: int, size: int) -> Source:
    """A source of rows of the training distribution, all from the train side of the split. It begins after `done`
    chunks of `size` rows, which were drawn before. A task whose training begins with another distribution
    (`alchemy.data.task.Staged`) has rows of that one first.

    >>> from alchemy import compose
    >>> source = fresh(compose("task=cipher").task, seed=0, done=0, size=100)
    >>> len(source(100))
    100
    """
    rng = stream(seed, "train")
    rng.spawn(2 * done)  # each draw spawns two streams
    drawn = done * size

    def rows(count: int) -> Batch:
        nonlocal drawn
        where = task.after(drawn) if isinstance(task, Staged) else task.train
        drawn += count
        return draw(task, where, count, rng, "train")

    return rows


def next_token(model: Transformer, recipe: Recipe, source: Source, steps: int) -> Iterator[torch.Tensor]:
    """Yields the next-token loss of each of `steps` steps, on the next rows of `source`. Each is computed when the
    iterator reaches it, by the model as it then is.
    """
    rows = own_tokens(model, source(steps * recipe.batch))
    for pieces in lay_out(rows, recipe.loss, recipe.padding, steps, model):
        yield loss_of(model, pieces)


class Unusable(ValueError):
    """What was saved is not the state of this training."""


def begin(model: Transformer, seed: int) -> None:
    """Sets the weights with which the training of this seed begins, in place."""
    initialise(model, stream(seed, "weights"))


def watched(task: Task, count: int, seed: int) -> Batch:
    """`count` problems of the training distribution on which the checks of a training are made."""
    return draw(task, task.train, count, stream(seed, "valid"), "valid")


def diverged(recipe: Recipe, loss: float, step: int) -> ValueError:
    """What is wrong with a training whose loss is not finite."""
    return ValueError(f"learning_rate={recipe.learning_rate} makes the loss {loss} at step {step}: lower it")


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
    """Trains `model` in place until `recipe.mark` is reached or the steps are done, and returns all checks. Each check
    also goes to `report` when it is made.

    The rows are a pure function of task, recipe and seed. With one thread the result is the same bit for bit, also for
    a training that was stopped and goes on from what `checkpointer` holds. Fine-tuning gives an `objective` in place of
    the next-token loss, and `held_out` problems for the checks. Weights that require no gradient stay as they are.
    Raises ValueError, with a message that begins with the setting to change, if the loss is not finite.
    """
    if held_out is None:
        held_out = watched(task, recipe.check_problems, seed)
    settings = {"lr": recipe.learning_rate, "betas": recipe.betas, "weight_decay": recipe.weight_decay}
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, fused=True, **settings)  # type: ignore[arg-type]
    checks: list[Progress] = []
    if checkpointer and (found := checkpointer.resume()):
        checks = taken_up(model, optimizer, *found)
    source = fresh(task, seed, len(checks), recipe.check_every * recipe.batch)
    before = checks[-1].seconds if checks else 0.0
    begun = perf_counter()
    while not checks or not recipe.ends(checks[-1]):
        done = checks[-1].step if checks else 0
        steps = min(recipe.check_every, recipe.steps - done)
        losses: list[torch.Tensor] = []  # read once, at the end: every reading makes a GPU wait
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
            raise diverged(recipe, mean, done)
        right = float(follows_gold(model, held_out).mean())
        seconds = before + perf_counter() - begun
        checks.append(Progress(done, done * recipe.batch, mean, right, seconds))
        if checkpointer and recipe.keeps(done):
            checkpointer.snapshot(done * recipe.batch, model.state_dict())
        if checkpointer:
            checkpointer.save(state_of(model, optimizer), [asdict(check) for check in checks])
        report(checks[-1])
    return checks


def state_of(model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Everything that decides the next step, by name: the weights, and the state of the optimiser for each of them."""
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    for number, memory in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{number}.{name}": value for name, value in memory.items()}
    return state


def taken_up(
    model: Transformer, optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor], told: list[dict[str, Any]]
) -> list[Progress]:
    """Puts the saved `state` of a training back, and returns its checks so far, saved as `told`. Raises Unusable if
    they are those of another training.
    """
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
    """Puts the result of `state_of` back into model and optimiser."""
    model.load_state_dict({name[6:]: value for name, value in state.items() if name.startswith("model.")})
    memory: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            memory.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
