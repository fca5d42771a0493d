"""Policy gradient on verifiable rewards: the reward of a completion, its advantage in its group, and the loss.

A rollout samples `group` completions of each of `prompts` prompts. Advantages compare a completion with its group
alone. The loss is a clipped surrogate with a KL term to the initial model and an entropy term, averaged over tokens.
Source: GRPO (arXiv:2402.03300) as in one-shot RLVR (arXiv:2504.20571) and its released code.

Shapes: G prompts, N samples of each, B rows, T tokens, C of a completion, l of an answer, V symbols.
"""

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.data.answers import answers, same
from alchemy.data.vocabulary import PAD

Reward = Literal["exact", "format", "random", "wrong"]
NEVER = -1e4  # a logit that exp takes to exactly 0, without the infinities that make gradients NaN
FARTHEST = 10.0  # nats: the most that the KL term counts of a difference between policy and initial model


@dataclass(frozen=True)
class Policy:
    """How to train by policy gradient: each rollout has `group` samples of each of `prompts` prompts, at `temperature`.

    Its rows are cut into `updates_per_rollout` parts, one update each. From the second on, the ratio to the policy that
    sampled is not 1, and is clipped to 1 ± `clip`. `kl` is the weight of the KL to the initial model, `entropy` that of
    the entropy of a token, both in nats. `reward` is the kind of reward, as of the function `reward`. Raises ValueError
    for a value out of range.
    """

    group: int
    prompts: int
    temperature: float
    clip: float
    kl: float
    entropy: float
    updates_per_rollout: int
    reward: Reward

    def __post_init__(self) -> None:
        if self.group < 2:
            raise ValueError(f"group={self.group} has nothing to compare a sample with: set it to 2 or more")
        for name in ("prompts", "updates_per_rollout"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is too small: set it to 1 or more")
        if not 0 < self.temperature < inf:
            raise ValueError(f"temperature={self.temperature} must be above 0, such as 1")
        if not 0 < self.clip < 1:
            raise ValueError(f"clip={self.clip} must be above 0 and below 1, such as 0.2")
        for name in ("kl", "entropy"):
            if not 0 <= getattr(self, name) < inf:
                raise ValueError(f"{name}={getattr(self, name)} must be 0 or more, such as 0.001")
        if (rows := self.group * self.prompts) % self.updates_per_rollout:
            raise ValueError(
                f"updates_per_rollout={self.updates_per_rollout} does not divide the {rows} rows of a step, "
                f"group={self.group} times prompts={self.prompts}: set it to a divisor of {rows}"
            )
        if self.reward not in get_args(Reward):
            raise ValueError(f"reward={self.reward} is unknown: use {', '.join(get_args(Reward))}")


@dataclass(frozen=True)
class Facts:
    """Means over the tokens of one update, as 0-d tensors without gradient: the share whose gradient the clip stopped,
    the KL to the initial model, and the entropy, both in nats.
    """

    clip_share: Tensor
    kl: Tensor
    entropy: Tensor


def advantages(rewards: Tensor) -> Tensor:
    """The advantage of each reward (G, N): the reward less the mean of its group, divided by the group's unbiased
    standard deviation + 1e-6; 0 where all rewards of a group are equal.

    >>> advantages(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    tensor([[ 0.7071, -0.7071],
            [ 0.0000,  0.0000]])
    """
    assert rewards.shape[1] > 1, "a group of one has no deviation"
    differ = rewards.amax(dim=1, keepdim=True) > rewards.amin(dim=1, keepdim=True)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    return torch.where(differ, centred / (rewards.std(dim=1, keepdim=True) + 1e-6), 0.0)


def sampled_logits(logits: Tensor, temperature: float) -> Tensor:
    """The logits (…, V) of the distribution that decoding (`models.decoding.Choice`) samples from at `temperature`, in
    which padding has no probability.
    """
    return torch.cat([torch.full_like(logits[..., : PAD + 1], NEVER), logits[..., PAD + 1 :] / temperature], dim=-1)


def log_probabilities(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability, in nats, of each token (…) under its logits (…, V)."""
    return logits.log_softmax(dim=-1).gather(-1, tokens[..., None])[..., 0]


def token_entropy(logits: Tensor) -> Tensor:
    """The entropy, in nats, of the next token (…) under logits (…, V)."""
    log_shares = logits.log_softmax(dim=-1)
    return -(log_shares.exp() * log_shares).sum(dim=-1)


def policy_gradient_loss(
    logits: Tensor,
    tokens: Tensor,
    looked_at: Tensor,
    old: Tensor,
    reference: Tensor,
    advantage: Tensor,
    policy: Policy,
) -> tuple[Tensor, Facts]:
    """The loss, and its `Facts`. The loss is the mean over the tokens that `looked_at` (B, T) marks of kl k3 - min(r A,
    clip(r) A) - entropy H, where A is the advantage of the row, (B,).

    `logits` (B, T, V) are from `sampled_logits`, as are the logits of the log-probabilities of `tokens` (B, T): `old`,
    when they were sampled, and `reference`, under the initial model. k3 = exp(x) - x - 1, with x = log reference - log
    policy within ±10 (the released code bounds k3 itself; both only guard against overflow). Source: arXiv:2504.20571;
    k3: Schulman, 2020.
    """
    assert looked_at.any(), "no token to learn from"
    logits, tokens, old, reference = logits[looked_at], tokens[looked_at], old[looked_at], reference[looked_at]
    gain = advantage[:, None].expand(looked_at.shape)[looked_at]
    log_policy = log_probabilities(logits, tokens)
    ratio = (log_policy - old.detach()).exp()
    free, clipped = ratio * gain, ratio.clamp(1 - policy.clip, 1 + policy.clip) * gain
    x = (reference.detach() - log_policy).clamp(-FARTHEST, FARTHEST)
    k3 = x.exp() - x - 1
    entropy = token_entropy(logits)
    loss = (policy.kl * k3 - torch.minimum(free, clipped) - policy.entropy * entropy).mean()
    bound = (clipped < free).float()
    return loss, Facts(bound.mean(), k3.detach().mean(), entropy.detach().mean())


def reward(
    kind: Reward,
    completion: NDArray[np.int16],
    gold_answer: NDArray[np.int16],
    rng: np.random.Generator,
    first_atom: int,
    rate: float = 0.5,
) -> NDArray[np.float32]:
    """The reward of each completion (B, C), 1 or 0, as (B,). What counts is the answer after its last answer marker
    (all of it, if there is none), compared with the gold answer (B, l). Both are padded on the right, without end
    symbol.

    exact: the answer is the gold one. format: it is as many atoms (ids from `first_atom`) as the gold answer has.
    wrong: it is `wrong_answer`. random: 1 with probability `rate`, from `rng` alone; the other kinds draw nothing.

    >>> completion, gold = np.array([[4, 31, 32]], dtype=np.int16), np.array([[31, 32]], dtype=np.int16)
    >>> reward("exact", completion, gold, np.random.default_rng(0), first_atom=8)  # 4 is the answer marker
    array([1.], dtype=float32)
    """
    assert len(completion) == len(gold_answer), "one gold answer a completion"
    if kind == "random":
        return (rng.random(len(completion)) < rate).astype(np.float32)
    given = answers(completion)
    if kind == "format":
        atoms = ((given >= first_atom) | (given == PAD)).all(axis=1)
        told = atoms & ((given != PAD).sum(axis=1) == (gold_answer != PAD).sum(axis=1))
    else:
        told = same(given, wrong_answer(gold_answer, first_atom) if kind == "wrong" else gold_answer)
    return told.astype(np.float32)


def wrong_answer(gold_answer: NDArray[np.int16], first_atom: int) -> NDArray[np.int16]:
    """A fixed wrong answer for each gold one (B, l): its last atom is replaced by the atom before it in the vocabulary,
    or the very first atom by the second. In any task of two atoms or more, a model can learn this rule from its
    problems.
    """
    wrong = gold_answer.copy()
    rows, last = np.arange(len(wrong)), (gold_answer != PAD).sum(axis=1) - 1
    assert (last >= 0).all(), "an empty answer has no wrong form"
    atom = wrong[rows, last]
    wrong[rows, last] = np.where(atom > first_atom, atom - 1, atom + 1)
    return wrong
