"""Training of many models of one form as one stack, each with its own task, seed, rows, schedule, clip norm, early stop
and checks.

The stack has a fixed number of slots. A model that is done leaves its slot to the next one of the queue, as requests do
in a server with continuous batching. A model's bits depend on its own settings and on the number of slots, and not on
what else is trained, nor on its slot; nor on whether it was stopped and went on.

Shapes: N slots, B rows a step, T tokens, S steps between two checks, P weights of a model.
"""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import chain
from math import isfinite, prod
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from alchemy.data.batch import Batch
from alchemy.data.sampling import render, span
from alchemy.data.task import Staged, Task, terse
from alchemy.data.vocabulary import PAD
from alchemy.models.captured import captured
from alchemy.models.decoding import GREEDY, own_tokens
from alchemy.models.stack import Stack, form_of
from alchemy.models.transformer import Transformer
from alchemy.training.fit import (
    Checkpointer,
    Progress,
    Recipe,
    Source,
    begin,
    diverged,
    fresh,
    taken_up,
    watched,
)
from alchemy.training.packing import IGNORED, counted, targets

CHECKED = 256  # rows of each slot that a check reads at a time
EPSILON = 1e-8  # of AdamW
APART = "these trainings cannot share a stack: train those of one form together, and others apart"
STILL = (0.0, 1.0, 1.0, 1.0)  # what `Seat.rates` are where nothing moves


@dataclass(frozen=True)
class Form:
    """Everything that the trainings of one stack must share.

    `model` is that of `form_of`, and `longest` the number of tokens that each row is padded to. Targets begin at the
    token numbered `first`.
    """

    model: tuple[object, ...]
    longest: int
    first: int
    batch: int
    check_every: int
    check_problems: int
    betas: tuple[float, float]


def form(task: Task, model: Transformer, recipe: Recipe) -> Form | None:
    """What a training must share with others to be trained in one stack; None for one that must be trained apart: with
    rows in groups, or with weights that stay as they are.
    """
    if recipe.padding == "group" or not all(weight.requires_grad for weight in model.parameters()):
        return None
    longest, first = model.context, 1
    plain = not (model.tokenizer or task.train.also or task.train.noise or isinstance(task, Staged))
    if recipe.padding == "none" and plain:
        longest = sum(span(task, task.train))
        whole = recipe.loss == "all" or terse(task)  # whose elements, and so prompts, may be shorter
        first = 1 if whole else shortest_prompt(task)
    return Form(form_of(model), longest, first, recipe.batch, recipe.check_every, recipe.check_problems, recipe.betas)


def shortest_prompt(task: Task) -> int:
    """The number of tokens of the shortest prompt of training, and at least one."""
    number = len(task.train.compositions)
    elements = np.full((number, task.train.length), task.vocabulary.first_atom, dtype=np.int16)
    return max(int(render(task, task.train, elements, np.arange(number)).prompt_length.min()), 1)


@dataclass
class Member:
    """One training of a population. `model` is untrained, and has the trained weights once it is done; each check goes
    to `report`.
    """

    task: Task
    model: Transformer
    recipe: Recipe
    seed: int
    report: Callable[[Progress], None] = field(default=lambda _: None, repr=False)
    checkpointer: Checkpointer | None = field(default=None, repr=False)


class Seat:
    """A member in a slot: its rows, the problems of its checks, and its checks so far."""

    def __init__(self, member: Member, form: Form) -> None:
        self.member, self.form = member, form
        self.checks: list[Progress] = []
        self.begun = perf_counter()
        self.before = 0.0
        self.source: Source | None = None

    def held_out(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """The problems of the checks: tokens to read (check_problems, T - 1), and the gold token after each, IGNORED
        where it is not part of a completion.
        """
        its = self.member
        rows = own_tokens(its.model, watched(its.task, self.form.check_problems, its.seed))
        tokens, wanted = self.laid_out(rows, counted(rows, "completion"))
        wanted[rows.prompt_length == 0] = -1  # nothing is asked, so nothing is right
        return tokens, wanted

    def rows(self, steps: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """The tokens of the next steps (S B, T - 1), and the targets after the last of them (S B, t)."""
        its = self.member
        if self.source is None:
            size = its.recipe.check_every * its.recipe.batch
            self.source = fresh(its.task, its.seed, len(self.checks), size)
        rows = own_tokens(its.model, self.source(steps * its.recipe.batch))
        tokens, wanted = self.laid_out(rows, counted(rows, its.recipe.loss))
        return tokens, wanted[:, self.form.first - 1 :]

    def laid_out(self, rows: Batch, looked_at: NDArray[np.bool_]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        tokens, wanted = rows.tokens[:, :-1], targets(rows.tokens, looked_at)
        assert (wanted[:, : self.form.first - 1] == IGNORED).all(), "a prompt is shorter than those of training"
        more = ((0, 0), (0, self.form.longest - 1 - tokens.shape[1]))
        return np.pad(tokens, more, constant_values=PAD), np.pad(wanted, more, constant_values=IGNORED)

    def done(self) -> int:
        """The steps that the member has been trained."""
        return self.checks[-1].step if self.checks else 0

    def steps(self) -> int:
        """The steps up to the next check."""
        return min(self.form.check_every, self.member.recipe.steps - self.done())

    def rates(self, steps: int) -> NDArray[np.float64]:
        """What AdamW's formula takes from the schedule at each of the next steps (S, 4): the size of a step over the
        correction of the mean gradient, the root of the correction of the mean square, the share of each weight that
        decay leaves, and the clip norm. After the last step of the recipe nothing moves.
        """
        recipe, (b1, b2) = self.member.recipe, self.form.betas
        found = np.tile(STILL, (steps, 1))
        found[:, 3] = recipe.clip
        for step in range(self.steps()):
            taken = self.done() + step + 1
            rate = recipe.rate(taken - 1)
            found[step, :3] = rate / (1 - b1**taken), (1 - b2**taken) ** 0.5, 1 - rate * recipe.weight_decay
        return found


class Stacked:
    """The weights of a stack in training, and AdamW's memory for them. On a GPU a step is one CUDA graph."""

    def __init__(self, model: Transformer, form: Form, slots: int) -> None:
        self.stack, self.form = Stack(model, slots), form
        self.mean, self.square = torch.zeros_like(self.stack.weights), torch.zeros_like(self.stack.weights)
        self.device = self.stack.weights.device
        wide = form.longest - 1
        self.asked = torch.zeros(slots, form.check_problems, wide, dtype=torch.int16, device=self.device)
        self.gold = torch.full_like(self.asked, IGNORED)
        shape = slots, form.batch
        self.tokens = torch.zeros(*shape, wide, dtype=torch.int64, device=self.device)
        self.wanted = torch.full((*shape, form.longest - form.first), IGNORED, device=self.device)
        self.rates = torch.tensor(STILL, device=self.device)[:, None, None].repeat(1, slots, 1)
        self.lost = torch.zeros(slots, device=self.device)
        on_gpu = self.device.type == "cuda"
        self.losses = joined(losses) if on_gpu and find_spec("triton") else losses
        self.run = captured(self.step, self.device)  # moves no weight, since all slots are empty
        self.mean.zero_()
        self.square.zero_()

    def step(self) -> None:
        """One step of all slots, on `tokens` and `wanted`, at `rates`; their losses are in `lost` then."""
        lost = self.losses(self.stack.model, self.tokens, self.wanted)
        gradients = self.stack.gradients(lost.sum())  # a sum: no member's gradient depends on how many there are
        self.lost.copy_(lost.detach())
        with torch.no_grad():
            adamw(self.stack.weights, gradients, self.mean, self.square, self.rates, self.form.betas)

    def advance(self, rows: list[tuple[NDArray[np.int16], NDArray[np.int16]] | None], rates: Tensor) -> Tensor:
        """Trains all slots for the steps of `rates` (S, 4, N, 1), and returns the losses of each step (S, N). `rows`
        are those of each slot, None where it is empty.
        """
        S, B = len(rates), self.form.batch
        shape = self.stack.slots, S * B
        tokens = self.asked.new_full((*shape, self.tokens.shape[-1]), PAD)
        wanted = self.asked.new_full((*shape, self.wanted.shape[-1]), IGNORED)
        for slot, its in enumerate(rows):
            if its:
                for into, given in zip((tokens, wanted), its, strict=True):
                    into[slot, : len(given)] = torch.from_numpy(given).to(self.device)
        found = []
        for step in range(S):
            some = slice(step * B, step * B + B)
            self.tokens.copy_(tokens[:, some])
            self.wanted.copy_(wanted[:, some])
            self.rates.copy_(rates[step])
            self.run()
            found.append(self.lost.clone())
        return torch.stack(found)

    @torch.inference_mode()
    def right(self) -> NDArray[np.float64]:
        """The share of the held-out problems of each slot whose greedy completion is gold (N,)."""
        count, right = self.form.check_problems, []
        for start in range(0, count, CHECKED):
            some = slice(start, start + CHECKED)
            best = GREEDY(self.stack.model(self.asked[:, some].long()))
            gold = self.gold[:, some]
            right.append(((best == gold) | (gold == IGNORED)).all(dim=-1).sum(dim=1))
        return torch.stack(right).sum(dim=0).cpu().numpy() / count

    def admit(self, slot: int, seat: Seat) -> None:
        """Puts a member into a slot: with fresh weights, or with the state that its checkpointer has. Raises Unusable
        if that is the state of another training.
        """
        its = seat.member
        begin(its.model, its.seed)
        self.mean[slot] = self.square[slot] = 0.0
        if its.checkpointer and (found := its.checkpointer.resume()):
            memory = torch.optim.AdamW(its.model.parameters(), lr=its.recipe.learning_rate, betas=self.form.betas)
            seat.checks = taken_up(its.model, memory, *found)
            seat.before = seat.checks[-1].seconds
            for weight, (_, mean), (_, square) in zip(
                its.model.parameters(),
                self.stack.named(self.mean[slot]),
                self.stack.named(self.square[slot]),
                strict=True,
            ):
                mean.copy_(memory.state[weight]["exp_avg"])
                square.copy_(memory.state[weight]["exp_avg_sq"])
        self.stack.put(slot, its.model)
        for into, given in zip((self.asked, self.gold), seat.held_out(), strict=True):
            into[slot] = torch.from_numpy(given).to(self.device)

    def state(self, slot: int, step: int) -> dict[str, Tensor]:
        """Everything that decides the next step of a slot, by name, as `alchemy.training.fit.state_of` has it."""
        state = {f"model.{name}": weight for name, weight in self.stack.named(self.stack.weights[slot])}
        for name, memory in (("exp_avg", self.mean), ("exp_avg_sq", self.square)):
            for number, (_, weight) in enumerate(self.stack.named(memory[slot])):
                state[f"optimizer.{number}.{name}"] = weight
                state[f"optimizer.{number}.step"] = torch.tensor(float(step))
        return state


def losses(model: Transformer, tokens: Tensor, wanted: Tensor) -> Tensor:
    """The mean cross-entropy of each slot (N,), in nats, over its targets (N, B, t) that are not IGNORED, by a stacked
    model. They come after the last t of the tokens (N, B, T). A slot without any has 0.
    """
    logits = model.logits(model.hidden(tokens)[..., -wanted.shape[-1] :, :])
    each = functional.cross_entropy(logits.flatten(0, -2), wanted.flatten(), ignore_index=IGNORED, reduction="none")
    number = (wanted != IGNORED).flatten(1).sum(dim=1).clamp(min=1)
    return each.view(len(wanted), -1).sum(dim=1) / number


def adamw(
    weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, rates: Tensor, betas: tuple[float, float]
) -> None:
    """One step of AdamW in place, of all slots at once, each by its own `rates` (4, N, 1), which `Seat.rates` explains.
    All else is (N, P). Gradients are clipped to the norm of each slot's own. Source: arXiv:1711.05101.
    """
    size, root, kept, clip = rates
    norm = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    gradients *= (clip / (norm + 1e-6)).clamp(max=1.0)
    mean.lerp_(gradients, 1 - betas[0])
    square.mul_(betas[1]).addcmul_(gradients, gradients, value=1 - betas[1])
    weights.mul_(kept).sub_(size * mean / (square.sqrt() / root + EPSILON))


def fit_population(members: Iterable[Member], slots: int) -> Iterator[tuple[Member, list[Progress] | ValueError]]:
    """Trains all members in one stack of `slots`, and yields each when it is done, with all its checks; or with an
    error, which costs no other member: Unusable for a saved state of another training, and ValueError, with a message
    that begins with the setting to change, for a loss that is not finite. A member is asked for when a slot is free.

    A member ends as alchemy.training.fit.fit_model would end it, but the bits are those of a stack of so many slots.
    Raises ValueError for members that cannot share a stack.
    """
    queue = iter(members)
    if not (first := next(queue, None)):
        return
    queue = chain([first], queue)
    shared = form(first.task, first.model, first.recipe)
    if shared is None:
        raise ValueError(APART)
    stacked = Stacked(first.model, shared, slots)
    seats: list[Seat | None] = [None] * slots
    while True:
        for slot in range(slots):
            while seats[slot] is None and (member := next(queue, None)):
                if form(member.task, member.model, member.recipe) != shared:
                    raise ValueError(APART)
                seat = Seat(member, shared)
                try:
                    stacked.admit(slot, seat)
                except ValueError as error:
                    yield seat.member, error
                    continue
                if seat.checks and seat.member.recipe.ends(seat.checks[-1]):
                    yield seat.member, seat.checks
                    continue
                seats[slot] = seat
        if not any(seats):
            return
        for slot, wrong in advance(stacked, seats):
            left, seats[slot] = seats[slot], None
            assert left
            stacked.stack.take(slot, left.member.model)
            stacked.stack.clear(slot)
            yield left.member, wrong or left.checks


def fit_among(member: Member, slots: int) -> list[Progress]:
    """Trains one member in a stack of `slots` that is otherwise empty, and returns all checks: as
    alchemy.training.fit.fit_model, but with the bits of that stack. Raises what `fit_population` yields.
    """
    ((_, checks),) = fit_population([member], slots)
    if isinstance(checks, ValueError):
        raise checks
    return checks


def advance(stacked: Stacked, seats: list[Seat | None]) -> list[tuple[int, ValueError | None]]:
    """Trains all seats up to their next checks and makes these. Returns the slots that are done, with what is wrong."""
    steps = max(seat.steps() for seat in seats if seat)
    still = np.tile(STILL, (steps, 1))
    rates = np.stack([seat.rates(steps) if seat else still for seat in seats], axis=-1)[..., None]  # (S, 4, N, 1)
    rows = [seat.rows(seat.steps()) if seat else None for seat in seats]
    lost = stacked.advance(rows, torch.from_numpy(rates).float().to(stacked.device)).cpu()
    right = stacked.right()
    done: list[tuple[int, ValueError | None]] = []
    for slot, seat in enumerate(seats):
        if not seat:
            continue
        its, mine = seat.member, seat.steps()
        step, mean = seat.done() + mine, float(lost[:mine, slot].mean())
        if not isfinite(mean):
            done.append((slot, diverged(its.recipe, mean, step)))
            continue
        seconds = seat.before + perf_counter() - seat.begun
        seat.checks.append(Progress(step, step * its.recipe.batch, mean, float(right[slot]), seconds))
        if its.checkpointer:
            if its.recipe.keeps(step):
                weights = dict(stacked.stack.named(stacked.stack.weights[slot]))
                its.checkpointer.snapshot(seat.checks[-1].rows, weights)
            its.checkpointer.save(stacked.state(slot, step), [asdict(check) for check in seat.checks])
        its.report(seat.checks[-1])
        if its.recipe.ends(seat.checks[-1]):
            done.append((slot, None))
    return done


def joined(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function compiled anew, for the shapes of its first call, and so that the same call has the same bits."""
    from torch._inductor import config

    torch._dynamo.reset()  # code for other shapes would make this one for any shape
    config.deterministic = True
    return torch.compile(function, dynamic=False, fullgraph=True)


def memory(model: Transformer, form: Form, slots: int) -> int:
    """The bytes that a stack of `slots` needs: weights, gradients, AdamW's memory, what the backward pass reads of the
    forward pass, which is counted on one slot, and the problems of the checks.
    """
    kept: dict[int, int] = {}

    def count(saved: Tensor) -> Any:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    one = Stack(deepcopy(model).to("cpu"), 1)
    tokens = torch.zeros(1, form.batch, form.longest - 1, dtype=torch.int64)
    wanted = torch.zeros(1, form.batch, form.longest - form.first, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        losses(one.model, tokens, wanted)
    read = min(CHECKED, form.check_problems) * form.longest * (len(model.tokens.weight) + 8 * model.width) * 4
    held = form.check_problems * form.longest * 2 * 2
    return slots * (max(sum(kept.values()), read) + held + 4 * prod(one.weights.shape) * one.weights.element_size())
