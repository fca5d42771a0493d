"""What a task is: the protocol `Task`, the `Distribution` that it draws rows from, and the sides of the split."""

from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.noise import Noise
from alchemy.data.vocabulary import Vocabulary

Composition = tuple[int, ...]  # rule ids, in the order of application
Side = Literal["train", "valid", "test"]
Split = Literal["problem", "element"]  # what the side of a problem is decided by: all of its text, or its element
Kind = Literal["recall", "compute"]  # of a rule: only memory has its result, or the result can be worked out

SIXTEENTHS: dict[Side, range] = {"train": range(0, 12), "valid": range(12, 13), "test": range(13, 16)}
"""The sixteenths of all problems on each side of the split: trained on, watched to stop training, measured on."""


@dataclass(frozen=True)
class Holdout:
    """What is kept out of training. The elements have none of `atoms`. With `places` n above 0, each atom is kept from
    one place in every n; with `only` n above 0, each atom is kept to one place in every n. Rules may still write a
    held-out atom, and heatmaps say so. `compositions`, if there are any, stand for all new compositions of known rules.
    """

    atoms: tuple[str, ...] = ()
    places: int = 0
    only: int = 0
    compositions: tuple[Composition, ...] = ()


@dataclass(frozen=True)
class Distribution:
    """The problems to draw, and how likely each is.

    A problem's composition is drawn from `compositions` by `shares` (empty: uniformly). Its element is drawn uniformly
    from those of `length` atoms of which exactly `novel_places` stand where training never puts them, and exactly
    `novel_atoms` are never in training; `held_out` defines both. `chains` has, for each composition, the share of its
    rows that is written with a chain, while the others have the answer alone (empty: the task decides). `noise` is put
    on the prompts. With `split` problem, the side of a problem is decided by its element and its rules, so the chain of
    a test problem can begin that of a longer one in training; with element, no element is on two sides, so it cannot.
    With other Distributions in `also`, a problem is of one of these or of this one, each as likely. Source: after
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
    split: Split = "problem"
    also: "tuple[Distribution, ...]" = ()

    def parts(self) -> "tuple[Distribution, ...]":
        """This Distribution without the others, and then these."""
        return (replace(self, also=()), *self.also)

    def clean(self) -> "Distribution":
        """The same without noise, in all parts."""
        return replace(self, noise=None, also=tuple(part.clean() for part in self.also))

    def __post_init__(self) -> None:
        for given in (self.shares, self.chains):
            assert not given or len(given) == len(self.compositions), "shares or chains of other compositions"


class Task(Protocol):
    """A task: its rules and atoms, its training distribution, and how its problems are drawn and written as rows. A
    frozen dataclass in tasks/ satisfies this protocol, and a file in conf/task/ has its settings. Another name for it
    is a world.

    Shapes: B rows, l atoms of an element.
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def train(self) -> Distribution:
        """The training distribution, which is level 0 of every axis."""

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        """`count` problems of `where` from all sides of the split: elements (B, l), and the index of each one's
        composition in `where.compositions` (B,).

        Raises ValueError where the task has no such problem.
        """

    def size(self, where: Distribution) -> int:
        """The number of different problems of `where`, on all sides of the split."""

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        """The token ids of elements (B, l) after one rule."""

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        """One row per element (B, l): a prompt that names the rules of `composition`, and its gold completion.

        With `executed`, prompt and chain name the rules of `composition`, but chain and answer apply those of
        `executed`.
        """

    def spell(self, composition: Composition) -> str:
        """The composition as people write it, such as F1F2."""


class Terse(Task, Protocol):
    """A task that can also answer without a chain, to the same prompt, and that declares of each rule whether its
    result is recalled or computed. Its rows are in the open layout of `alchemy.data.layouts.open_layout`.
    """

    @property
    def kinds(self) -> tuple[Kind, ...]: ...

    def direct(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        """One row per element (B, l): the prompt of `render`, and the answer alone."""


@runtime_checkable
class Exposed(Protocol):
    """A task whose training has some elements more often than others."""

    def exposure(self, elements: NDArray[np.int16]) -> NDArray[np.float64]:
        """How often training has each element (B, l), relative to the mean of all elements, (B,)."""


@runtime_checkable
class Staged(Protocol):
    """A task whose training begins with another distribution than `train`."""

    def after(self, rows: int) -> Distribution:
        """The distribution that training draws from after `rows` rows."""


def terse(task: Task) -> TypeGuard[Terse]:
    """Whether a task can also answer without a chain (`Terse`), which shows in its attribute `kinds`."""
    return hasattr(task, "kinds")
