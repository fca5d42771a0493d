"""Objectives of fine-tuning: supervised losses, policy gradient, and additions that are to preserve knowledge. An
objective takes a model and a number of steps, and yields the loss of each step.

Source: arms after arXiv:2506.02126, 2509.04259 and 2504.20571. Shapes: B rows, T tokens, C of a completion, G prompts,
N samples of each.
"""

from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from alchemy.data.answers import answers
from alchemy.data.task import Terse
from alchemy.models.decoding import complete, to_tensor
from alchemy.models.likelihood import completed, token_divergence
from alchemy.models.transformer import Transformer
from alchemy.training.fit import Objective, Recipe, Source, next_token
from alchemy.training.packing import lay_out, loss_of
from alchemy.training.policy_gradient import (
    Policy,
    advantages,
    log_probabilities,
    policy_gradient_loss,
    reward,
    sampled_logits,
)
from alchemy.training.sources import rows_answered, sampled


def reinforced(
    task: Terse,
    base: Transformer,
    policy: Policy,
    source: Source,
    rng: np.random.Generator,
    tell: Callable[[float], None],
) -> Objective:
    """An objective of policy gradient on the problems of `source`, with `base` as the initial model of the KL term.
    `tell` is called with the mean reward of each rollout.
    """
    reference, sampling, paying = base, *rng.spawn(2)

    def losses(model: Transformer) -> Iterator[Tensor]:
        while True:
            prompts = source(policy.prompts)
            asked = prompts[np.repeat(np.arange(policy.prompts), policy.group)]
            completion = complete(model, asked, policy.temperature, sampling)
            earned = reward(policy.reward, completion, answers(asked.completion()), paying, task.vocabulary.first_atom)
            tell(float(earned.mean()))
            advantage = advantages(torch.from_numpy(earned).view(policy.prompts, policy.group)).flatten()
            rows = rows_answered(asked, completion, model.context)
            tokens, looked_at = to_tensor(rows.tokens, model), torch.from_numpy(completed(rows))
            with torch.no_grad():
                old, before = (
                    log_probabilities(sampled_logits(which(tokens[:, :-1]), policy.temperature), tokens[:, 1:])
                    for which in (model, reference)
                )
            size = len(rows) // policy.updates_per_rollout
            for start in range(0, len(rows), size):
                some = slice(start, start + size)
                logits = sampled_logits(model(tokens[some, :-1]), policy.temperature)
                yield policy_gradient_loss(
                    logits,
                    tokens[some, 1:],
                    looked_at[some].to(tokens.device),
                    old[some],
                    before[some],
                    advantage[some].to(tokens.device),
                    policy,
                )[0]

    return unending(losses)


def unending(losses: Callable[[Transformer], Iterator[Tensor]]) -> Objective:
    """An objective that draws from one and the same iterator of losses at every call, and so goes on where it was."""
    begun: list[Iterator[Tensor]] = []

    def objective(model: Transformer, steps: int) -> Iterator[Tensor]:
        begun.extend([] if begun else [losses(model)])
        return islice(begun[0], steps)

    return objective


def in_turn(first: Objective, number: int, then: Objective) -> Objective:
    """An objective that is `first` for `number` steps, and `then` afterwards."""

    def losses(model: Transformer) -> Iterator[Tensor]:
        yield from first(model, number)
        while True:
            yield from then(model, 1)

    return unending(losses)


def supervised(recipe: Recipe, source: Source) -> Objective:
    """An objective of next-token losses on the rows of `source`. Rows are drawn for one step at a time, so it makes no
    difference how steps are divided into calls.
    """

    def objective(model: Transformer, steps: int) -> Iterator[Tensor]:
        for _ in range(steps):
            yield from next_token(model, recipe, source, 1)

    return objective


def anchored(
    objective: Objective, base: Transformer, prompts: Source, number: int, weight: float, rng: np.random.Generator
) -> Objective:
    """The losses of `objective` plus `weight` times the forward KL from the base, in nats a completion. The KL is a
    mean over `number` completions that the base samples anew, with `rng`, for each step.
    """

    def both(model: Transformer, steps: int) -> Iterator[Tensor]:
        for loss in objective(model, steps):
            written = sampled(base, prompts(number), rng)
            yield loss + weight * token_divergence(base, model, written).sum(dim=1).mean()

    return both


def replayed(objective: Objective, recipe: Recipe, facts: Source, share: float) -> Objective:
    """The losses of `objective` mixed with that of rows of `facts`, which has the weight `share`. A step has as many
    rows of facts as their share of a batch, at least one.
    """
    number = max(round(share * recipe.batch), 1)

    def both(model: Transformer, steps: int) -> Iterator[Tensor]:
        for loss in objective(model, steps):
            (pieces,) = lay_out(facts(number), recipe.loss, recipe.padding, 1, model)
            yield (1 - share) * loss + share * loss_of(model, pieces)

    return both
