"""Batches of rows as integer arrays: for each token its id, its role, and the step of the chain that it belongs to.

Shapes: B rows, T tokens.

    tokens       A B C D [F1] [F2] <think>  N O P Q [F2]  <answer> O P Q N </s>  <pad>
    role         E E E E  T    T    I       C C C C  C     A       A A A A  A     P
    step         ------------------------   0 0 0 0  0     ----------------------------
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from alchemy.data.vocabulary import END, PAD


class Role(IntEnum):
    """The part that a token plays, numbered in the order of a row. Roles up to INSTRUCTION make the prompt; CHAIN and
    ANSWER make the completion.
    """

    ELEMENT = 0
    TRANSFORMATION = 1
    INSTRUCTION = 2
    CHAIN = 3
    ANSWER = 4  # includes the marker before the answer and the end symbol after it
    PAD = 5


@dataclass(frozen=True)
class Batch:
    """Rows of tokens. `tokens` (B, T) are ids, `role` (B, T) are values of Role, and `step` (B, T) is the number of the
    chain step that a token belongs to, counted from 0, and -1 outside the chain.

    A slice, a boolean mask or an array of row numbers selects rows: `batch[:2]` is the Batch of the first two.
    """

    tokens: NDArray[np.int16]
    role: NDArray[np.int8]
    step: NDArray[np.int8]

    def __post_init__(self) -> None:
        assert self.tokens.shape == self.role.shape == self.step.shape, "tokens, role and step differ in shape"

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> "Batch":
        return Batch(self.tokens[rows], self.role[rows], self.step[rows])

    @property
    def prompt_length(self) -> NDArray[np.intp]:
        """The number of tokens in each prompt (B,), noise included."""
        return np.count_nonzero(self.role <= Role.INSTRUCTION, axis=1)

    def prompt(self) -> NDArray[np.int16]:
        """The tokens of each row's prompt (B, T), with padding in place of all other tokens."""
        return np.where(self.role <= Role.INSTRUCTION, self.tokens, self.tokens.dtype.type(PAD))

    def completion(self) -> NDArray[np.int16]:
        """The gold completion of each row (B, C), without its end symbol, padded on the right."""
        gold = (self.role >= Role.CHAIN) & (self.tokens != END) & (self.role != Role.PAD)
        return left_justify(self.tokens, gold)


def left_justify(tokens: NDArray[np.int16], keep: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The tokens of each row that `keep` (B, T) marks, moved to the left in their order and padded on the right. The
    width is that of the longest row.
    """
    order = np.argsort(~keep, axis=1, kind="stable")
    width = int(keep.sum(axis=1).max(initial=0))
    moved = np.take_along_axis(np.where(keep, tokens, tokens.dtype.type(PAD)), order, axis=1)
    return moved[:, :width]


def interleave(blocks: Sequence[Batch], rows: Sequence[NDArray[np.intp]]) -> Batch:
    """One batch of the rows of all `blocks`, padded on the right to the longest row. `rows` gives, for each block, the
    number that each of its rows has in the result.
    """
    return Batch(
        interleaved([block.tokens for block in blocks], rows, PAD),
        interleaved([block.role for block in blocks], rows, Role.PAD),
        interleaved([block.step for block in blocks], rows, -1),
    )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """One batch of the rows of all `batches`, one after another, padded on the right to the longest row."""
    return interleave(batches, np.split(np.arange(sum(map(len, batches))), np.cumsum([len(b) for b in batches])[:-1]))


def interleaved(blocks: Sequence[NDArray], rows: Sequence[NDArray[np.intp]], fill: int) -> NDArray:
    """One array (B, T) of the rows of all `blocks` (b, t), each at its number in `rows` (b,) and filled up with `fill`.
    Blocks that all repeat the same one row by broadcasting give a broadcast view of that row.
    """
    shape = sum(map(len, blocks)), max(block.shape[1] for block in blocks)
    if all(block.strides[0] == 0 and np.array_equal(block[:1], blocks[0][:1]) for block in blocks):
        return np.broadcast_to(blocks[0][:1], shape)  # all rows are the same one
    whole = np.full(shape, fill, dtype=blocks[0].dtype)
    for block, numbers in zip(blocks, rows, strict=True):
        whole[numbers, : block.shape[1]] = block
    return whole
