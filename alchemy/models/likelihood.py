"""What a model holds likely: log-probabilities of given completions, of opening a chain, and how far two models differ.

Shapes: B rows, T tokens, V symbols. Probabilities never include padding, which no model may write.
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
    """The numbers of rows of one prompt length, at most ROWS together."""
    length = batch.prompt_length
    for size in np.unique(length):
        group = np.flatnonzero(length == size)
        yield from (group[start : start + ROWS] for start in range(0, len(group), ROWS))


def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities (…, V) of all symbols but padding, which has none."""
    logits = logits.clone()
    logits[..., PAD] = -torch.inf
    return logits.log_softmax(dim=-1)


def completed(batch: Batch) -> NDArray[np.bool_]:
    """(B, T - 1) at which places the next token belongs to the completion, its end symbol included."""
    return (batch.role[:, 1:] >= Role.CHAIN) & (batch.role[:, 1:] != Role.PAD)


@torch.inference_mode()
def log_likelihood(model: Transformer, batch: Batch) -> NDArray[np.float64]:
    """(B, T - 1) log-probability, in nats, of each next token of a completion given what stands before; 0 elsewhere."""
    found = np.zeros((len(batch), batch.tokens.shape[1] - 1))
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        tokens = to_tensor(rows.tokens, model)
        picked = log_softmax(model(tokens[:, :-1])).gather(2, tokens[:, 1:, None])[:, :, 0]
        found[start : start + ROWS] = np.where(completed(rows), picked.cpu().numpy(), 0.0)
    return found


@torch.inference_mode()
def opening(model: Transformer, batch: Batch, first_atom: int) -> NDArray[np.float64]:
    """(B, 2) at temperature 1: the probability that a completion opens with a rule or marker, and so with a chain,
    and the largest probability of any one atom among all openings that are atoms, and so answers.
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
    """(B,) log-probability, in nats, of the atoms of gold answers with which completions open, given that an atom comes
    first, and so an answer; also where that is so seldom that the rate of chains is 1 but for rounding.
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
    """V_eff, one over the mean largest share of an atom among answer openings, and p* = 1 / (1 + V_eff): above that
    rate of chains, the likeliest opening is a chain's. From `opening` (B, 2).
    """
    effective = 1 / float(opened[:, 1].mean())
    return effective, 1 / (1 + effective)


@torch.inference_mode()
def divergence(base: Transformer, model: Transformer, batch: Batch) -> NDArray[np.float64]:
    """(B,) forward KL(base || model), in nats a completion, summed over the tokens of completions that `base` wrote:
    the expectation over the next token is exact, that over completions is their mean.
    """
    found = np.zeros(len(batch))
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        found[start : start + ROWS] = token_divergence(base, model, rows).sum(dim=1).cpu().numpy()
    return found


def token_divergence(base: Transformer, model: Transformer, batch: Batch) -> Tensor:
    """(B, T - 1) forward KL(base || model), in nats, of the next token at each place of a completion; 0 elsewhere. It
    has a gradient by the weights of `model`.
    """
    tokens = to_tensor(batch.tokens[:, :-1], model)
    with torch.no_grad():
        before = log_softmax(base(tokens))
    after = log_softmax(model(tokens))
    terms = torch.where(before.isneginf(), 0.0, before.exp() * (before - after))
    return terms.sum(dim=2) * torch.from_numpy(completed(batch)).to(terms)


def bits(log_likelihoods: NDArray[np.float64], values: float) -> NDArray[np.float64]:
    """(B,) stored bits of facts, max(0, log2 V + log2 p(attribute)), of attributes with V equally likely `values`.

    Source: studies of capacity in bits, such as arXiv:2404.05405.
    """
    return np.maximum(log(values) + log_likelihoods, 0.0) / log(2)
