"""What a world is to the lab: a Task that draws rows from a Distribution, and the rule that sets a problem's side."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alchemy.batch import Batch, Role
from alchemy.vocabulary import Vocabulary

Composition = tuple[int, ...]  # rule ids, in the order of application
Side = Literal["train", "valid", "test"]

SIXTEENTHS: dict[Side, range] = {"train": range(0, 12), "valid": range(12, 13), "test": range(13, 16)}
"""Each side's share of all problems, in sixteenths: learnt from, watched to stop the training, measured on."""


@dataclass(frozen=True)
class Holdout:
    """What training never asks about: elements with these atoms, or with an atom at the one place in `places` that
    it is kept from (0: none). A rule may still write a held-out atom; the picture says if one does.
    """

    atoms: tuple[str, ...] = ()
    places: int = 0


NOISE_KINDS = ("insert", "delete", "modify", "hybrid")
NOISE_DOMAINS = ("element", "transformation", "instruction", "all")


@dataclass(frozen=True)
class Noise:
    """Each prompt token of `domain` is hit with probability `rate`; `kind` says what a hit does."""

    kind: Literal["insert", "delete", "modify", "hybrid"]
    domain: Literal["element", "transformation", "instruction", "all"]
    rate: float

    def __post_init__(self) -> None:
        for name, allowed in (("kind", NOISE_KINDS), ("domain", NOISE_DOMAINS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"shift.{name}={getattr(self, name)} is unknown: use one of {', '.join(allowed)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"a noise rate of {self.rate} is no share of the tokens: use 0 to 1")


@dataclass(frozen=True)
class Distribution:
    """A point to sample at: which problems are in support, all equally likely but for the noise on their prompts.

    A problem draws its composition uniformly from `compositions` and its element uniformly from those of `length`
    atoms of which exactly `novel_places` stand where training never puts them and exactly `novel_atoms` are never
    in training at all (`held_out` says which). Source: after arXiv:2508.01191, section 4.1, and its T(C).
    """

    compositions: tuple[Composition, ...]
    length: int
    held_out: Holdout = Holdout()
    novel_places: int = 0
    novel_atoms: int = 0
    noise: Noise | None = None


class Task(Protocol):
    """A world. Satisfied by a frozen dataclass in tasks/; conf/task/ gives it its numbers."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def train(self) -> Distribution:
        """The training distribution: level 0 of every axis."""

    def sample(self, where: Distribution, count: int, rng: np.random.Generator) -> Batch:
        """`count` rows without noise, from both sides. Raises ValueError where the world has no such problem."""

    def span(self, where: Distribution) -> tuple[int, int]:
        """Tokens of the longest prompt (without noise) and of the longest completion (with its end symbol)."""

    def verify(self, batch: Batch, completion: NDArray[np.int16]) -> NDArray[np.bool_]:
        """(B,) whether each completion (B, C) ends in the right answer to its noiseless prompt, computed afresh."""

    def spell(self, composition: Composition) -> str:
        """The composition as people write it, such as F1F2."""


def in_side(batch: Batch, vocabulary: Vocabulary, side: Side) -> NDArray[np.bool_]:
    """(B,) whether each problem belongs to `side`: a pure function of its element and rules, by their text.

    The instruction does not count, so a problem is on one side with and without a chain of thought.
    """
    problem = batch.role <= Role.TRANSFORMATION
    tokens = batch.tokens[:, : int(problem.any(axis=0).sum())]
    mixed = np.zeros(len(batch), dtype=np.uint64)
    for place, column in enumerate(tokens.T):
        step = (mixed ^ vocabulary.keys[column]) * np.uint64(0x9E3779B97F4A7C15)
        step ^= step >> np.uint64(29)
        mixed = np.where(problem[:, place], step, mixed)
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    sixteenth = (mixed ^ (mixed >> np.uint64(32))) & np.uint64(15)
    shares = SIXTEENTHS[side]
    return (sixteenth >= shares.start) & (sixteenth < shares.stop)
