"""A batch of rows as integer arrays: what each token is, which part it plays, which step it belongs to.

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
    """The part a token plays, in the order in which parts stand in a row; up to INSTRUCTION is the prompt."""

    ELEMENT = 0
    TRANSFORMATION = 1
    INSTRUCTION = 2
    CHAIN = 3
    ANSWER = 4  # with the marker before the answer and the end symbol after it
    PAD = 5


@dataclass(frozen=True)
class Batch:
    """`tokens` (B, T) ids; `role` (B, T) of Role; `step` (B, T), the chain step a token belongs to, -1 elsewhere."""

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
        """(B,) tokens of each row's prompt, noise included."""
        return np.count_nonzero(self.role <= Role.INSTRUCTION, axis=1)

    def prompt(self) -> NDArray[np.int16]:
        """(B, T) the tokens of each row's prompt, padding in place of all others."""
        return np.where(self.role <= Role.INSTRUCTION, self.tokens, self.tokens.dtype.type(PAD))

    def completion(self) -> NDArray[np.int16]:
        """(B, C) the gold completion of each row without its end symbol, padded on the right."""
        gold = (self.role >= Role.CHAIN) & (self.tokens != END) & (self.role != Role.PAD)
        return left_justify(self.tokens, gold)


def left_justify(tokens: NDArray[np.int16], keep: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The kept tokens of each row moved to its start, in order; the rest is padding, cut to the longest row."""
    order = np.argsort(~keep, axis=1, kind="stable")
    width = int(keep.sum(axis=1).max(initial=0))
    moved = np.take_along_axis(np.where(keep, tokens, tokens.dtype.type(PAD)), order, axis=1)
    return moved[:, :width]


def interleave(blocks: Sequence[Batch], rows: Sequence[NDArray[np.intp]]) -> Batch:
    """One batch in which the rows of each block have these numbers, padded on the right to the longest."""
    return Batch(
        interleaved([block.tokens for block in blocks], rows, PAD),
        interleaved([block.role for block in blocks], rows, Role.PAD),
        interleaved([block.step for block in blocks], rows, -1),
    )


def concatenate(batches: Sequence[Batch]) -> Batch:
    """The rows of all batches in one, padded on the right to the longest."""
    return interleave(batches, np.split(np.arange(sum(map(len, batches))), np.cumsum([len(b) for b in batches])[:-1]))


def interleaved(blocks: Sequence[NDArray], rows: Sequence[NDArray[np.intp]], fill: int) -> NDArray:
    """The rows of each block (b, t) at their numbers (b,) among all of them (B, T)."""
    shape = sum(map(len, blocks)), max(block.shape[1] for block in blocks)
    if all(block.strides[0] == 0 and np.array_equal(block[:1], blocks[0][:1]) for block in blocks):
        return np.broadcast_to(blocks[0][:1], shape)  # one row, seen as many
    whole = np.full(shape, fill, dtype=blocks[0].dtype)
    for block, numbers in zip(blocks, rows, strict=True):
        whole[numbers, : block.shape[1]] = block
    return whole
