"""What is said of completions once they are diagnosed: of each row its kind, and what became of each line.

Shapes: B rows, K lines written (the answer is the last), R rules.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alchemy.data.task import Composition

KINDS = ("right", "replayed", "wrong_answer", "wrong_step", "malformed")
RIGHT, REPLAYED, WRONG_ANSWER, WRONG_STEP, MALFORMED = range(len(KINDS))


@dataclass(frozen=True)
class Diagnosis:
    """Of B rows: `kind` is one of KINDS:

    right         token for token gold
    replayed      token for token the gold completion of another composition
    wrong_answer  every line of the chain is right, the answer is not
    wrong_step    laid out as chain and answer, but some line is wrong
    malformed     laid out as no chain and answer at all

    `lines` (B,) written, 0 if malformed, and `missing` (B,) lines fewer than asked for. `valid` (B, K): 1 if a line
    follows by the rule named for it, 0 if not, -1 if there is no such line; `rules` (B, K, R) which rules lead to it;
    `ends` (B, K) how many tokens the completion has up to its end, with what names the next rule. `follows` (B,): the
    answer follows from the completion's own last line by the rule that it names. `compositions` (B,) how many different
    compositions of known rules lead from element to answer: 1 names one, more are a tie; and `executes` (B,) the first
    of them, as its place in `maps`, or -1.
    """

    kind: NDArray[np.int8]
    lines: NDArray[np.int8]
    missing: NDArray[np.int8]
    valid: NDArray[np.int8]
    rules: NDArray[np.bool_]
    ends: NDArray[np.int16]
    follows: NDArray[np.bool_]
    compositions: NDArray[np.int16]
    executes: NDArray[np.int16]
    maps: tuple[Composition, ...]

    def flags(self) -> dict[str, NDArray[np.bool_]]:
        """Which rows (B,) are of each kind, every row of one, and which are

        fluent        laid out as a chain and an answer
        inconsistent  fluent, but the answer does not follow from its own last line by the rule named there
        """
        fluent = self.lines > 1
        kinds = {kind: self.kind == number for number, kind in enumerate(KINDS)}
        return kinds | {"fluent": fluent, "inconsistent": fluent & ~self.follows}

    def executed(self) -> dict[Composition | None, NDArray[np.bool_]]:
        """Which rows (B,) end in what one composition alone makes of their element, by composition, the most frequent
        first; under None, those in which several tie.
        """
        alone = self.compositions == 1
        counts = np.bincount(self.executes[alone], minlength=len(self.maps))
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        found: dict[Composition | None, NDArray[np.bool_]] = {None: self.compositions > 1}
        return found | {self.maps[i]: alone & (self.executes == i) for i in order}

    def shares(self) -> dict[str, float]:
        """The share of rows of which each flag holds; those of the kinds add up to 1."""
        return {name: float(rows.mean()) for name, rows in self.flags().items()}

    @classmethod
    def blank(cls, rows: int, lines: int, rules: int) -> "Diagnosis":
        """Of so many rows, none of which is laid out as anything."""
        return cls(
            kind=np.full(rows, MALFORMED, dtype=np.int8),
            lines=np.zeros(rows, dtype=np.int8),
            missing=np.zeros(rows, dtype=np.int8),
            valid=np.full((rows, lines), -1, dtype=np.int8),
            rules=np.zeros((rows, lines, rules), dtype=bool),
            ends=np.zeros((rows, lines), dtype=np.int16),
            follows=np.zeros(rows, dtype=bool),
            compositions=np.zeros(rows, dtype=np.int16),
            executes=np.full(rows, -1, dtype=np.int16),
            maps=(),
        )
