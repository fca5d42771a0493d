"""What a world is to the lab: a Task that draws rows from a Distribution, and the rule that sets a problem's side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alchemy.batch import Batch, Role, concatenate
from alchemy.noise import Noise, perturb
from alchemy.tokenizer import Tokenizer
from alchemy.vocabulary import Vocabulary

Composition = tuple[int, ...]  # rule ids, in the order of application
Side = Literal["train", "valid", "test"]

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
    `novel_atoms` are never in training at all (`held_out` says which). Source: after arXiv:2508.01191, section 4.1,
    and its T(C).
    """

    compositions: tuple[Composition, ...]
    length: int
    held_out: Holdout = Holdout()
    novel_places: int = 0
    novel_atoms: int = 0
    noise: Noise | None = None
    shares: tuple[float, ...] = ()


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


def choose(where: Distribution, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(B,) places of compositions of `where`, drawn by their shares."""
    number = len(where.compositions)
    if number == 1:
        return np.zeros(count, dtype=np.intp)
    return rng.choice(number, count, p=where.shares) if where.shares else rng.integers(0, number, count)


def sample(task: Task, where: Distribution, count: int, rng: np.random.Generator) -> Batch:
    """`count` rows of `where` from all sides, without noise."""
    elements, which = task.problems(where, count, rng)
    if len(where.compositions) == 1:
        return task.render(elements, where.compositions[0])
    rows = np.argsort(which, kind="stable")
    blocks = np.split(elements[rows], np.cumsum(np.bincount(which, minlength=len(where.compositions)))[:-1])
    batch = concatenate([task.render(block, c) for block, c in zip(blocks, where.compositions, strict=True)])
    back = np.empty_like(rows)
    back[rows] = np.arange(count)
    return batch[back]


def span(task: Task, where: Distribution, tokenizer: Tokenizer | None = None) -> tuple[int, int]:
    """Tokens of the longest prompt (without noise) and of the longest completion (with its end symbol)."""
    element = np.full((1, where.length), task.vocabulary.first_atom, dtype=np.int16)
    rows = [task.render(element, composition) for composition in where.compositions]
    rows = [tokenizer.encode(row) for row in rows] if tokenizer else rows
    prompts = [int(row.prompt_length[0]) for row in rows]
    return max(prompts), max(row.tokens.shape[1] - prompt for row, prompt in zip(rows, prompts, strict=True))


def problems_of(
    clean: Batch, vocabulary: Vocabulary
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int16], Composition]]:
    """The problems of a batch without noise, those of one composition and element length together: the numbers of
    their rows (b,), their elements (b, l), and the composition.
    """
    atoms = (clean.role == Role.ELEMENT).sum(axis=1)
    rules = np.where(clean.role == Role.TRANSFORMATION, clean.tokens, 0)
    _, first, which = np.unique(np.column_stack([atoms, rules]), axis=0, return_index=True, return_inverse=True)
    for number, row in enumerate(first):
        rows = np.flatnonzero(which.ravel() == number)
        asked = rules[row][rules[row] > 0] - vocabulary.first_rule
        yield rows, clean.tokens[rows, : atoms[row]], tuple(asked.tolist())


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


def draw(task: Task, where: Distribution, count: int, rng: np.random.Generator, side: Side = "test") -> Batch:
    """`count` rows of `where` whose problems belong to `side`, with the noise of `where` on their prompts.

    Problems and noise come from two streams of `rng`, so every noise level sees the same problems. Raises ValueError
    where `where` holds no problem of that side.
    """
    problems, noise = rng.spawn(2)
    share = len(SIXTEENTHS[side]) / 16
    found: list[Batch] = []
    missing, tries = count, 0
    while missing > 0:
        tries += 1
        if tries > 100:
            raise ValueError(f"{where} has no problem on the {side} side: widen it (a larger task.length, more rules)")
        batch = sample(task, where, int(missing / share * 1.02) + 64, problems)
        batch = batch[in_side(batch, task.vocabulary, side)][:missing]
        found.append(batch)
        missing -= len(batch)
    batch = found[0] if len(found) == 1 else concatenate(found)
    return perturb(batch, where.noise, noise) if where.noise else batch
