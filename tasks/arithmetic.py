"""Arithmetic: operations modulo p on every digit of a vector, composed up to a depth of k.

A prompt says what to compute, not how to answer. A chain writes each operation and its result, and then the answer; a
direct completion is the answer alone:

    3 0 7 1 [x+4] [2x]   [x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10 </s>        (p = 11)
    3 0 7 1 [x+4] [2x]   3 8 0 10 </s>

Shapes: B rows, l digits of an element, k operations of a composition, R operations, V symbols.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.layouts import open_problems
from alchemy.data.sampling import choose
from alchemy.data.task import Composition, Distribution, Holdout, Kind, Split
from alchemy.data.vocabulary import Vocabulary

MOST = 1 << 18  # the most compositions of one depth
OPERATION = re.compile(r"(\d*)x(?:\*\*(\d+))?(?:\+(\d+))?")


@dataclass(frozen=True)
class Arithmetic:
    """`operations` are written such as x+4, 2x, x**3 or 2x**3+1, and act modulo the prime `modulus` on each of `length`
    digits. Training has, for each of `depths`, so many compositions of that depth as `compositions` says (0: all), the
    share of problems in `shares`, and the share of rows with a chain in `chains`. `held_out` compositions of the
    largest depth are kept out of training. The seed `draw` decides which compositions these are. Operations occur
    equally often (`often` empty), or in the ratios of `often`. `split` is that of the Distribution: by problem, or by
    element, so that no test problem's chain begins one of training. Raises ValueError for numbers that do not fit.
    """

    modulus: int
    operations: tuple[str, ...]
    length: int
    depths: tuple[int, ...]
    compositions: tuple[int, ...]
    shares: tuple[float, ...]
    chains: tuple[float, ...]
    held_out: int
    often: tuple[float, ...]
    draw: int
    split: Split = "problem"

    def __post_init__(self) -> None:
        for name in ("operations", "depths", "compositions", "shares", "chains", "often"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        p = self.modulus
        if p < 2 or any(p % n == 0 for n in range(2, int(p**0.5) + 1)):
            raise ValueError(f"modulus={p} is no prime number: use one such as 11")
        if not self.operations:
            raise ValueError("operations is empty: name at least one, such as [x+4]")
        if len(set(self.operations)) < len(self.operations):
            raise ValueError(f"operations={list(self.operations)} names one twice: name each once")
        for operation in self.operations:
            if not OPERATION.fullmatch(operation):
                raise ValueError(f"operations names {operation!r}: write it such as x+4, 2x, x**3 or 2x**3+1")
            if len(set(self.table(operation).tolist())) < p:
                raise ValueError(
                    f"operations names {operation}, which maps two digits modulo {p} onto one: use another"
                )
        if self.length < 1:
            raise ValueError(f"length={self.length} leaves no digits: set it to 1 or more")
        for name in ("held_out", "draw"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} is negative: set it to 0 or more")
        if self.split not in get_args(Split):
            raise ValueError(f"split={self.split} is unknown: use one of {', '.join(get_args(Split))}")
        if self.often and (len(self.often) != len(self.operations) or min(self.often) <= 0):
            raise ValueError(
                f"often={list(self.often)} must have a number above 0 for each of the {len(self.operations)} "
                "operations, or be empty, []"
            )
        self.check_depths()

    def check_depths(self) -> None:
        """Raises ValueError for depths, compositions, shares, chains or held-out compositions that do not fit one
        another.
        """
        sizes = {name: len(getattr(self, name)) for name in ("depths", "compositions", "shares", "chains")}
        if not self.depths or min(self.depths) < 1 or len(set(self.depths)) < len(self.depths):
            raise ValueError(
                f"depths={list(self.depths)} must be different numbers from 1 up, at least one, such as [1,2]"
            )
        if wrong := [name for name, size in sizes.items() if size != len(self.depths)]:
            raise ValueError(
                f"{wrong[0]}={list(getattr(self, wrong[0]))} must have one number for each of "
                f"depths={list(self.depths)}"
            )
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError(f"shares={list(self.shares)} must be 0 or more, and not all 0")
        if not all(0 <= share <= 1 for share in self.chains):
            raise ValueError(f"chains={list(self.chains)} must be shares from 0 to 1")
        whole = [len(self.operations) ** depth for depth in self.depths]
        for depth, all_there_are, number in zip(self.depths, whole, self.compositions, strict=True):
            if all_there_are > MOST:
                raise ValueError(
                    f"depths={list(self.depths)}: {all_there_are} compositions of {depth} are too many: lower it"
                )
            kept = self.held_out if depth == max(self.depths) else 0
            if number < 0 or number + kept > all_there_are or (not number and kept == all_there_are):
                raise ValueError(
                    f"compositions={list(self.compositions)} and held_out={self.held_out} do not fit into "
                    f"the {all_there_are} compositions of {depth} operations: lower one (0 compositions: all)"
                )

    def table(self, operation: str) -> NDArray[np.int64]:
        """The result of an operation for each digit (p,)."""
        factor, power, more = OPERATION.fullmatch(operation).groups()  # type: ignore[union-attr]
        digits = [pow(digit, int(power or 1), self.modulus) for digit in range(self.modulus)]
        return (int(factor or 1) * np.array(digits) + int(more or 0)) % self.modulus

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(f"[{name}]" for name in self.operations), tuple(map(str, range(self.modulus))))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple("compute" for _ in self.operations)

    @cached_property
    def tables(self) -> NDArray[np.int16]:
        """The token id that each operation makes of each token id (R, V). Symbols other than digits stay the same."""
        first = self.vocabulary.first_atom
        tables = np.tile(np.arange(len(self.vocabulary), dtype=np.int16), (len(self.operations), 1))
        for rule, operation in enumerate(self.operations):
            tables[rule, first:] = first + self.table(operation)
        return tables

    @cached_property
    def train(self) -> Distribution:
        asked: list[Composition] = []
        shares: list[float] = []
        chains: list[float] = []
        unseen: tuple[Composition, ...] = ()
        rng = np.random.default_rng([self.draw, 1])
        for depth, number, share, chain in zip(self.depths, self.compositions, self.shares, self.chains, strict=True):
            every = list(product(range(len(self.operations)), repeat=depth))
            order = [every[i] for i in rng.permutation(len(every))]
            if depth == max(self.depths) and self.held_out:
                order, unseen = order[: -self.held_out], tuple(order[-self.held_out :])
            some = sorted(order[:number] if number else order)
            if share:
                asked += some
                weights = [
                    prod(self.often[rule] for rule in composition) if self.often else 1.0 for composition in some
                ]
                shares += [share / sum(self.shares) * weight / sum(weights) for weight in weights]
                chains += [chain] * len(some)
        return Distribution(
            tuple(asked),
            self.length,
            Holdout(compositions=unseen),
            shares=tuple(shares),
            chains=tuple(chains),
            split=self.split,
        )

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        digits = rng.integers(0, self.modulus, (count, where.length)) + self.vocabulary.first_atom
        return digits.astype(np.int16), choose(where, count, rng)

    def size(self, where: Distribution) -> int:
        return len(where.compositions) * self.modulus**where.length

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        return self.tables[rule][elements]

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, executed)

    def direct(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, chain=False)

    def spell(self, composition: Composition) -> str:
        return ":".join(self.operations[rule] for rule in composition)
