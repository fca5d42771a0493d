"""What a world is to the lab: a Task that draws rows from a Distribution, and the rule that sets a problem's side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, interleave, open_rows, padded
from alchemy.data.noise import Noise, perturb
from alchemy.data.tokenizer import Tokenizer
from alchemy.data.vocabulary import PAD, Vocabulary

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


def choose(where: Distribution, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(B,) places of compositions of `where`, drawn by their shares."""
    number = len(where.compositions)
    if number == 1:
        return np.zeros(count, dtype=np.intp)
    return rng.choice(number, count, p=where.shares) if where.shares else rng.integers(0, number, count)


def render(
    task: Task,
    where: Distribution,
    elements: NDArray[np.int16],
    which: NDArray[np.intp],
    chained: NDArray[np.bool_] | None = None,
) -> Batch:
    """Rows of problems of `where`: elements (B, l), and the place of each one's composition (B,). With `chained` (B,),
    the world must be one that can also answer without a chain.
    """
    if terse(task):
        chained = np.ones(len(which), dtype=bool) if chained is None else chained
        return open_rows(task.apply, task.vocabulary.first_rule, padded(where.compositions)[which], elements, chained)
    if len(where.compositions) == 1:
        return task.render(elements, where.compositions[0])
    order = np.argsort(which.astype(np.uint16) if len(where.compositions) < 1 << 15 else which, kind="stable")
    present, starts = np.unique(which[order], return_index=True)
    rows = np.split(order, starts[1:])
    blocks = [
        task.render(elements[some], where.compositions[place])
        for place, some in zip(present.tolist(), rows, strict=True)
    ]
    return interleave(blocks, rows)


def sample(task: Task, where: Distribution, count: int, rng: np.random.Generator) -> Batch:
    """`count` rows of `where` from all sides, without noise."""
    elements, which = task.problems(where, count, rng)
    return render(task, where, elements, which, written(where, which, rng))


def written(where: Distribution, which: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """(B,) which problems are written with a chain; None if that is the world's own affair."""
    return rng.random(len(which)) < np.array(where.chains)[which] if where.chains else None


def span(task: Task, where: Distribution, tokenizer: Tokenizer | None = None) -> tuple[int, int]:
    """Tokens of the longest prompt (without noise) and of the longest completion (with its end symbol)."""
    number = len(where.compositions)
    elements = np.full((number, where.length), task.vocabulary.first_atom, dtype=np.int16)
    rows = render(task, where, elements, np.arange(number))
    rows = tokenizer.encode(rows) if tokenizer else rows
    whole = np.count_nonzero(rows.role != Role.PAD, axis=1)
    return int(rows.prompt_length.max()), int((whole - rows.prompt_length).max())


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


def in_side(
    vocabulary: Vocabulary, where: Distribution, elements: NDArray[np.int16], which: NDArray[np.intp], side: Side
) -> NDArray[np.bool_]:
    """(B,) whether each problem of `where` belongs to `side`: a pure function of its element and rules, by their text.

    The instruction does not count, so a problem is on one side with and without a chain of thought.
    """
    mixed = np.zeros(len(elements), dtype=np.uint64)
    for column in elements.T:  # padding, where elements differ in length, is no text
        stirred = stir(mixed, vocabulary.keys[column])
        mixed = np.where(column == PAD, mixed, stirred) if (column == PAD).any() else stirred
    for place in range(max(map(len, where.compositions))):
        asks = np.array([place < len(rules) for rules in where.compositions])
        rules = np.array([(rules + (0,) * place)[place] for rules in where.compositions]) + vocabulary.first_rule
        stirred = stir(mixed, vocabulary.keys[rules][which])
        mixed = stirred if asks.all() else np.where(asks[which], stirred, mixed)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    sixteenth = (mixed ^ (mixed >> np.uint64(32))) & np.uint64(15)
    shares = SIXTEENTHS[side]
    return (sixteenth >= shares.start) & (sixteenth < shares.stop)


def stir(mixed: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hash of a text that goes on with a symbol of these keys."""
    step = (mixed ^ keys) * np.uint64(0x9E3779B97F4A7C15)
    return step ^ (step >> np.uint64(29))


def draw(task: Task, where: Distribution, count: int, rng: np.random.Generator, side: Side = "test") -> Batch:
    """`count` rows of `where` whose problems belong to `side`, with the noise of `where` on their prompts.

    Problems and noise come from two streams of `rng`, so every noise level sees the same problems. Raises ValueError
    where `where` holds no problem of that side.
    """
    problems, noise = rng.spawn(2)
    share = len(SIXTEENTHS[side]) / 16
    found: list[tuple[NDArray[np.int16], NDArray[np.intp]]] = []
    missing, tries = count, 0
    while missing > 0:
        tries += 1
        if tries > 100:
            what = getattr(task, "source", "") or "the world"
            names = ", ".join(map(task.spell, where.compositions[:3]))
            raise ValueError(
                f"{what} has no problem of {names} with {where.length} atoms on the {side} side: widen it (a larger "
                "task.length, more rules, more rows)"
            )
        elements, which = task.problems(where, int(missing / share * 1.02) + 64, problems)
        kept = np.flatnonzero(in_side(task.vocabulary, where, elements, which, side))[:missing]
        found.append((elements[kept], which[kept]))
        missing -= len(kept)
    elements, which = map(np.concatenate, zip(*found, strict=True))
    batch = render(task, where, elements, which, written(where, which, problems))
    return perturb(batch, where.noise, noise) if where.noise else batch
