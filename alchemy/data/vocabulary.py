"""Symbols and their ids: special symbols first, then rules, then atoms, so that ids do not depend on data."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPECIALS = ("<pad>", "</s>", "<unk>", "<think>", "<answer>")
PAD, END, UNKNOWN, THINK, ANSWER = range(len(SPECIALS))


@dataclass(frozen=True)
class Vocabulary:
    """All symbols of a task: the special ones, `rules` and `atoms`. Each symbol is one token. Raises ValueError for a
    symbol that occurs twice, and for more symbols than 16-bit ids allow.

    >>> vocabulary = Vocabulary(rules=("[F1]",), atoms=("A", "B"))
    >>> vocabulary.encode("A B [F1]")
    array([6, 7, 5], dtype=int16)
    >>> vocabulary.decode([6, 7, 0])
    'A B'
    """

    rules: tuple[str, ...]
    atoms: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self) > np.iinfo(np.int16).max:
            raise ValueError(f"the vocabulary has {len(self)} symbols, and ids are 16-bit: use fewer than 32,768")
        if len(self.ids) < len(self):
            raise ValueError(f"the vocabulary holds a symbol twice: {' '.join(self.symbols)}; give each its own name")

    def __len__(self) -> int:
        return len(self.symbols)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        return SPECIALS + self.rules + self.atoms

    @cached_property
    def ids(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    @property
    def first_rule(self) -> int:
        return len(SPECIALS)

    @property
    def first_atom(self) -> int:
        return len(SPECIALS) + len(self.rules)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """A 64-bit hash of each symbol's text (V,), from which the side of a problem is computed."""
        digests = [hashlib.blake2b(symbol.encode(), digest_size=8).digest() for symbol in self.symbols]
        return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)

    def encode(self, text: str) -> NDArray[np.int16]:
        """The ids (n,) of symbols written with spaces between them. Raises ValueError for a symbol that is not in the
        vocabulary.
        """
        words = text.split()
        if unknown := [word for word in words if word not in self.ids]:
            raise ValueError(f"{unknown[0]!r} is not in the vocabulary: use {' '.join(self.symbols)}")
        return np.array([self.ids[word] for word in words], dtype=np.int16)

    def decode(self, ids: ArrayLike) -> str:
        """The symbols of `ids` with single spaces between them, without padding."""
        return " ".join(self.symbols[i] for i in np.asarray(ids).tolist() if i != PAD)

    def decode_rows(self, rows: NDArray[np.int16]) -> list[str]:
        """The text of each row (B, C), as from `decode`, in one pass over all of them."""
        ended = np.concatenate([rows, np.full((len(rows), 1), len(self), dtype=np.int16)], axis=1)
        names = [*self.symbols, "\n"]
        text = " ".join([names[i] for i in ended[ended != PAD].tolist()])
        return [line.strip() for line in text.split("\n")[:-1]]
