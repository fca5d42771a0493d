"""Probabilities under a model: of given completions, of beginning with a chain, and the divergence of two models.

Shapes: B rows, T tokens, V symbols. Padding has no probability, since no model may write it.
"""

from collections.abc import Iterator
from math import log

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.data.batch import Batch, Role
from alchemy.data.vocabulary import PAD
from alchemy.models.decoding import ROWS, to_tensor
from alchemy.models.transformer import Transformer


def same_length(batch: Batch) -> Iterator[NDArray[np.intp]]:
    """Yields the numbers of rows whose prompts have one length, at most ROWS at a time."""
    length = batch.prompt_length
    for size in np.unique(length):
        group = np.flatnonzero(length == size)
        yield from (group[start : start + ROWS] for start in range(0, len(group), ROWS))


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities (…, V) of all symbols, with that of padding minus infinity."""
    logits = logits.clone()
    logits[..., PAD] = -torch.inf
    return logits.log_softmax(dim=-1)


def completed(batch: Batch) -> NDArray[np.bool_]:
    """Whether the next token at each place belongs to the completion, end symbol included, as booleans (B, T - 1)."""
    return (batch.role[:, 1:] >= Role.CHAIN) & (batch.role[:, 1:] != Role.PAD)


@torch.inference_mode()
def log_likelihood(model: Transformer, batch: Batch) -> NDArray[np.float64]:
    """The log-probability, in nats, of each next token of a completion given all tokens before it (B, T - 1); 0
    elsewhere.
    """
    found = np.zeros((len(batch), batch.tokens.shape[1] - 1))
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        tokens = to_tensor(rows.tokens, model)
        picked = log_softmax(model(tokens[:, :-1])).gather(2, tokens[:, 1:, None])[:, :, 0]
        found[start : start + ROWS] = np.where(completed(rows), picked.cpu().numpy(), 0.0)
    return found


@torch.inference_mode()
def opening(model: Transformer, batch: Batch, first_atom: int) -> NDArray[np.float64]:
    """Two probabilities of how each completion begins, at temperature 1 (B, 2): that its first symbol is no atom, but a
    rule or marker, and so begins a chain; and that of the most likely atom, given that the first symbol is an atom and
    so begins an answer.
    """
    found = np.zeros((len(batch), 2))
    for rows in same_length(batch):
        size = int(batch.prompt_length[rows[0]])
        hidden = model.hidden(to_tensor(batch.tokens[rows, :size], model))[:, -1]
        likely = log_softmax(model.logits(hidden).double())
        chain = likely[:, :first_atom].exp().sum(dim=1)
        largest = likely[:, first_atom:].softmax(dim=1).amax(dim=1)
        found[rows] = torch.stack([chain, largest], dim=1).cpu().numpy()
    return found


@torch.inference_mode()
def answered(model: Transformer, batch: Batch, first_atom: int) -> NDArray[np.float64]:
    """The log-probability, in nats, of the atoms of each gold answer (B,), given that the completion begins with an
    atom. `batch` has completions without a chain, which begin with the answer. The condition holds even where an atom
    is so unlikely to begin a completion that the rate of chains rounds to 1.
    """
    found = np.zeros(len(batch))
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        row, place = np.nonzero((rows.role == Role.ANSWER) & (rows.tokens >= first_atom))
        hidden = model.hidden(to_tensor(rows.tokens[:, :-1], model))[row, place - 1]
        logits = model.logits(hidden).double()
        logits[np.flatnonzero(place == rows.prompt_length[row]), :first_atom] = -torch.inf
        likely = log_softmax(logits).gather(1, to_tensor(rows.tokens[row, place], model)[:, None])[:, 0]
        np.add.at(found, start + row, likely.cpu().numpy())
    return found


def threshold(opened: NDArray[np.float64]) -> tuple[float, float]:
    """V_eff and p*, from the result of `opening` (B, 2). V_eff is one over the mean of the second column, the
    probability of the most likely atom among answers. p* = 1 / (1 + V_eff) is the rate of chains above which the most
    likely opening is that of a chain.
    """
    effective = 1 / float(opened[:, 1].mean())
    return effective, 1 / (1 + effective)


@torch.inference_mode()
def divergence(base: Transformer, model: Transformer, batch: Batch) -> NDArray[np.float64]:
    """The forward KL(base || model) of each completion (B,), in nats, summed over its tokens.

    `batch` has completions that `base` wrote. The expectation over each next token is then exact, and the mean over
    rows estimates the one over completions.
    """
    found = np.zeros(len(batch))
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        found[start : start + ROWS] = token_divergence(base, model, rows).sum(dim=1).cpu().numpy()
    return found


def token_divergence(base: Transformer, model: Transformer, batch: Batch) -> Tensor:
    """The forward KL(base || model), in nats, of the next token at each place of a completion (B, T - 1); 0 elsewhere.
    It has a gradient by the weights of `model`, and none by those of `base`.
    """
    tokens = to_tensor(batch.tokens[:, :-1], model)
    with torch.no_grad():
        before = log_softmax(base(tokens))
    after = log_softmax(model(tokens))
    terms = torch.where(before.isneginf(), 0.0, before.exp() * (before - after))
    return terms.sum(dim=2) * torch.from_numpy(completed(batch)).to(terms)


def bits(log_likelihoods: NDArray[np.float64], values: float) -> NDArray[np.float64]:
    """Stored bits of facts (B,): max(0, log2 V + log2 p(attribute)), for attributes with V equally likely `values`.
    `log_likelihoods` are in nats.

    Source: studies of capacity in bits, such as arXiv:2404.05405.
    """
    return np.maximum(log(values) + log_likelihoods, 0.0) / log(2)
