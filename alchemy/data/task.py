"""What a world is to the lab: a Task that draws rows from a Distribution, and the rule that sets a problem's side."""

from dataclasses import dataclass
from typing import Literal, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.noise import Noise
from alchemy.data.vocabulary import Vocabulary

Composition = tuple[int, ...]  # rule ids, in the order of application
Side = Literal["train", "valid", "test"]
Kind = Literal["recall", "compute"]  # of a rule: what it makes can be known from memory alone, or worked out

SIXTEENTHS: dict[Side, range] = {"train": range(0, 12), "valid": range(12, 13), "test": range(13, 16)}
"""Each side's share of all problems, in sixteenths: learnt from, watched to stop the training, measured on."""


@dataclass(frozen=True)
class Holdout:
    """What training never asks about: elements with these atoms; or with an atom at the one place in `places` that it
    is kept from; or with an atom anywhere but at the one place in `only` that it is kept to (0: no such rule). A rule
    may still write a held-out atom; the picture says if one does. `compositions`, if any, are those that stand for
    all new ones of known rules.
    """

    atoms: tuple[str, ...] = ()
    places: int = 0
    only: int = 0
    compositions: tuple[Composition, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """A point to sample at: which problems are in support, and how likely.

    A problem draws its composition from `compositions` by `shares` (empty: all alike), and its element uniformly from
    those of `length` atoms of which exactly `novel_places` stand where training never puts them and exactly
    `novel_atoms` are never in training at all (`held_out` says which). Of each composition's rows the share in `chains`
    is written with a chain, the others as the answer alone (empty: all as the world writes them). Source: after
    arXiv:2508.01191, section 4.1, and its T(C).
    """

    compositions: tuple[Composition, ...]
    length: int
    held_out: Holdout = Holdout()
    novel_places: int = 0
    novel_atoms: int = 0
    noise: Noise | None = None
    shares: tuple[float, ...] = ()
    chains: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for given in (self.shares, self.chains):
            assert not given or len(given) == len(self.compositions), "shares or chains of other compositions"


class Task(Protocol):
    """A world. Satisfied by a frozen dataclass in tasks/; conf/task/ gives it its numbers.

    Shapes: B rows, l atoms of an element.
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def train(self) -> Distribution:
        """The training distribution: level 0 of every axis."""

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        """`count` problems from all sides: elements (B, l) and the place of each one's composition in `where` (B,).

        Raises ValueError where the world has no such problem.
        """

    def size(self, where: Distribution) -> int:
        """How many different problems `where` has, on all sides."""

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        """(B, l) token ids of elements after one rule."""

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        """One row per element (B, l): a prompt that asks for `composition`, and its gold completion.

        With `executed`, chain and answer name the rules of `composition` but apply those.
        """

    def spell(self, composition: Composition) -> str:
        """The composition as people write it, such as F1F2."""


class Terse(Task, Protocol):
    """A world whose problems can also be answered without a chain, by the same prompt, and that says of each rule
    whether it recalls or computes. Its rows are those of `alchemy.data.batch.open_layout`.
    """

    @property
    def kinds(self) -> tuple[Kind, ...]: ...

    def direct(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        """One row per element (B, l): the prompt of `render`, and the answer alone."""


@runtime_checkable
class Exposed(Protocol):
    """A world that asks about some elements more often than about others."""

    def exposure(self, elements: NDArray[np.int16]) -> NDArray[np.float64]:
        """(B,) how often each element (B, l) is asked about in training, against the mean of all."""


@runtime_checkable
class Staged(Protocol):
    """A world whose training begins with another distribution than the one that it is said to have, `train`."""

    def after(self, rows: int) -> Distribution:
        """What is drawn from after so many rows of training."""


def terse(task: Task) -> TypeGuard[Terse]:
    return hasattr(task, "kinds")
