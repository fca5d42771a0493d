"""Subword tokens, the setting tokens=pieces: symbols are split into several tokens as by the released byte-pair
tokenizer.

    symbols   A   P   [F1]               <think>
    subwords  A   ĠP  Ġ[  F  1  ]        Ġ<  think  >

A letter has one token with the space before it and one without, for the start of a row. [F1] has four, a marker three,
and the noise token two, a space and itself. So a row of four letters and two rules has 31 tokens instead of 18. Source:
arXiv:2508.01191, its released tokenizer.

Shapes: B rows, T symbols, P subwords of the longest symbol.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.vocabulary import END, PAD, SPECIALS, UNKNOWN, Vocabulary

SPACE = "Ġ"  # how byte-pair vocabularies write a space


@dataclass(frozen=True)
class Tokenizer:
    """Translates rows between the symbols of `vocabulary` and subword tokens. Padding, end and noise token keep their
    ids. The length of a Tokenizer is the number of its subword tokens.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> rows = task.render(task.vocabulary.encode("A B C D")[None], (0, 1))
    >>> rows.tokens.shape, Tokenizer(task.vocabulary).encode(rows).tokens.shape
    ((1, 18), (1, 31))
    """

    vocabulary: Vocabulary

    def spelled(self, symbol: str, first: bool) -> tuple[str, ...]:
        """The subwords of one symbol, at the start of a row (`first`) or after a space."""
        space = "" if first else SPACE
        if symbol in SPECIALS[:UNKNOWN]:
            return (symbol,)
        if symbol == SPECIALS[UNKNOWN]:
            return (*([space] if space else []), symbol)
        if symbol in SPECIALS:
            return (f"{space}<", symbol[1:-1], ">")
        if symbol in self.vocabulary.rules:
            return (space + symbol[0], *symbol[1:])
        return (space + symbol,)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each subword."""
        pieces = dict.fromkeys(SPECIALS[: UNKNOWN + 1])
        for first in (True, False):
            for symbol in self.vocabulary.symbols:
                pieces |= dict.fromkeys(self.spelled(symbol, first))
        return {piece: i for i, piece in enumerate(pieces)}

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def table(self) -> NDArray[np.int16]:
        """The subword ids of each symbol (2, V, P), padded: index 0 is for symbols after a space, 1 for the start of a
        row.
        """
        words = [[self.spelled(symbol, first) for symbol in self.vocabulary.symbols] for first in (False, True)]
        longest = max(len(word) for word in words[0])
        table = np.full((2, len(self.vocabulary), longest), PAD, dtype=np.int16)
        for first, row in enumerate(words):
            for symbol, word in enumerate(row):
                table[first, symbol, : len(word)] = [self.ids[piece] for piece in word]
        return table

    def encode(self, batch: Batch) -> Batch:
        """The same rows in subword tokens; each has the role and step of its symbol."""
        B, T = batch.tokens.shape
        pieces = self.table[0][batch.tokens]
        pieces[:, 0] = self.table[1][batch.tokens[:, 0]]
        P = pieces.shape[2]
        keep = (pieces != PAD).reshape(B, T * P)
        role, step = (np.repeat(array, P, axis=1) for array in (batch.role, batch.step))
        return Batch(
            left_justify(pieces.reshape(B, T * P), keep),
            left_justify(role - np.int8(Role.PAD), keep) + np.int8(Role.PAD),
            left_justify(step + np.int8(1), keep) - np.int8(1),
        )

    def decode(self, completion: NDArray[np.int16]) -> NDArray[np.int16]:
        """The symbols (B, T) of completions in subword tokens (B, C), padded. A subword that is part of no symbol
        becomes the noise token.
        """
        words = {tuple(row[row != PAD].tolist()): symbol for symbol, row in enumerate(self.table[0]) if symbol > END}
        longest = max(map(len, words))
        unique, which = np.unique(completion, axis=0, return_inverse=True)
        rows = []
        for pieces in unique:
            rest, symbols = pieces[pieces != PAD].tolist(), []
            while rest:
                sizes = [n for n in range(longest, 0, -1) if tuple(rest[:n]) in words]
                size = sizes[0] if sizes else 1
                symbols.append(words.get(tuple(rest[:size]), UNKNOWN))
                rest = rest[size:]
            rows.append(symbols)
        table = np.full((len(rows), max(map(len, rows), default=0)), PAD, dtype=np.int16)
        for row, symbols in zip(table, rows, strict=True):
            row[: len(symbols)] = symbols
        return table[which.ravel()]
