"""Rows as a step of training reads them, laid out as the recipe says, and their loss. A step with rows of very
different lengths is read in several parts, of type `Piece`, so that short rows need little padding.

Shapes: B rows, T tokens.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from alchemy.data.batch import Batch, Role
from alchemy.data.vocabulary import PAD
from alchemy.models.decoding import to_tensor
from alchemy.models.transformer import Transformer

IGNORED = -100  # PyTorch's cross_entropy skips targets of this value
Piece = tuple[torch.Tensor, torch.Tensor]  # tokens to read (b, t), targets after the last t' (b, t')


def counted(batch: Batch, loss: str) -> NDArray[np.bool_]:
    """Whether the loss counts each token, as booleans (B, T)."""
    return (batch.role != Role.PAD) & (batch.role >= (Role.CHAIN if loss == "completion" else Role.ELEMENT))


def targets(tokens: NDArray[np.int16], looked_at: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The next token at each place (B, T - 1), and IGNORED where the loss does not count it."""
    return np.where(looked_at[:, 1:], tokens[:, 1:], np.int16(IGNORED))


def lay_out(rows: Batch, loss: str, padding: str, steps: int, model: Transformer) -> Iterator[list[Piece]]:
    """Yields for each step its parts: the tokens to read (b, t), and the targets (b, t') after the last t' of them.
    Targets begin at the first place that counts in any row, and are IGNORED at places that do not count.

    Every row is in one step. With the padding none, rows of a step that are at most half as long as its longest row are
    a part of their own.
    """
    tokens, looked_at = rows.tokens, counted(rows, loss)
    if padding == "context":
        more = ((0, 0), (0, model.context - tokens.shape[1]))
        tokens, looked_at = np.pad(tokens, more, constant_values=PAD), np.pad(looked_at, more)
    if padding == "group":
        real = rows.role != Role.PAD
        whole = max(int(real.sum()) // model.context, 1) * model.context
        short = max(whole - int(real.sum()), 0)  # less than one segment: filled up
        tokens = np.pad(tokens[real], (0, short), constant_values=PAD)[:whole].reshape(-1, model.context)
        looked_at = np.pad(looked_at[real], (0, short))[:whole].reshape(-1, model.context)
    wanted = targets(tokens, looked_at)
    size = -(-len(tokens) // steps)
    for start in range(0, len(tokens), size):
        some = slice(start, start + size)
        if padding == "none":
            yield [piece_of(tokens[some][kept], wanted[some][kept], model) for kept in alike(tokens[some])]
        else:
            first = int((wanted != IGNORED).any(axis=0).argmax())
            yield [(to_tensor(tokens[some, :-1], model), to_tensor(wanted[some, first:], model))]


def alike(tokens: NDArray[np.int16]) -> Iterator[NDArray[np.bool_] | slice]:
    """Yields which rows (B,) of a step make a part: those with more than half the tokens of the longest, then those of
    the rest likewise. If all rows are one part, it is a slice.
    """
    length = np.count_nonzero(tokens != PAD, axis=1)
    left = length > 0
    while left.any():
        kept = left & (2 * length > length[left].max())
        yield slice(None) if kept.all() else kept
        left &= ~kept


def piece_of(tokens: NDArray[np.int16], wanted: NDArray[np.int16], model: Transformer) -> Piece:
    """One part of a step: the tokens to read and the targets, without the places at the end where
    all rows are padding.
    """
    end = int((tokens != PAD).any(axis=0).sum())
    first = int((wanted != IGNORED).any(axis=0).argmax())
    return to_tensor(tokens[:, : end - 1], model), to_tensor(wanted[:, first : end - 1], model)


def loss_of(model: Transformer, pieces: Sequence[Piece]) -> torch.Tensor:
    """The mean cross-entropy, in nats, over all targets (B, t) of the parts that are not IGNORED. The targets come
    after the last t of the tokens (B, T).
    """
    losses, number = [], 0
    for tokens, wanted in pieces:
        logits = model.logits(model.hidden(tokens)[:, -wanted.shape[1] :])
        how = "mean" if len(pieces) == 1 else "sum"
        losses.append(
            functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction=how)
        )
        number += int((wanted != IGNORED).sum()) if len(pieces) > 1 else 1
    return torch.stack(losses).sum() / number if len(pieces) > 1 else losses[0]
