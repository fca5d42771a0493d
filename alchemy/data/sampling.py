"""Rows of a Distribution: problems are drawn, kept to one side of the split, and written as rows."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, interleave
from alchemy.data.layouts import open_rows, padded
from alchemy.data.noise import perturb
from alchemy.data.task import (
    SIXTEENTHS,
    Composition,
    Distribution,
    Side,
    Task,
    terse,
)
from alchemy.data.tokenizer import Tokenizer
from alchemy.data.vocabulary import PAD, Vocabulary


def choose(where: Distribution, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices into `where.compositions` (count,), drawn by `where.shares`, or uniformly if there are no shares.

    >>> choose(Distribution(((0,), (1,)), 4, shares=(0.0, 1.0)), 3, np.random.default_rng(0))
    array([1, 1, 1])
    """
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
    """The rows of problems of `where`, given their elements (B, l) and the indices of their compositions, `which` (B,).

    A task that can answer with and without a chain (`Terse`) writes a chain in the rows that `chained` (B,) marks, in
    all if it is None. Any other task ignores `chained`.
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
    """`count` rows of `where` from all sides of the split, without noise."""
    elements, which = task.problems(where, count, rng)
    return render(task, where, elements, which, written(where, which, rng))


def written(where: Distribution, which: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """Whether each problem is written with a chain, as booleans (B,) drawn by `where.chains`; None if that is empty."""
    return rng.random(len(which)) < np.array(where.chains)[which] if where.chains else None


def span(task: Task, where: Distribution, tokenizer: Tokenizer | None = None) -> tuple[int, int]:
    """The number of tokens of the longest prompt of `where`, without noise, and of its longest completion, with the end
    symbol. Tokens are those of `tokenizer`, if there is one.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> span(task, task.train)
    (7, 11)
    """
    if where.also:
        prompts, completions = zip(*(span(task, part, tokenizer) for part in where.parts()), strict=True)
        return max(prompts), max(completions)
    number = len(where.compositions)
    elements = np.full((number, where.length), task.vocabulary.first_atom, dtype=np.int16)
    rows = render(task, where, elements, np.arange(number))
    rows = tokenizer.encode(rows) if tokenizer else rows
    whole = np.count_nonzero(rows.role != Role.PAD, axis=1)
    return int(rows.prompt_length.max()), int((whole - rows.prompt_length).max())


def draw_parts(
    task: Task,
    parts: Sequence[Distribution],
    count: int,
    choosing: np.random.Generator,
    rng: np.random.Generator,
    side: Side,
) -> Batch:
    """`count` rows, each of one of the Distributions `parts`, which are as likely. The stream `choosing` decides which
    one it is, and the rows come from `rng`.
    """
    which = choosing.integers(0, len(parts), count)
    drawn = [(part, some) for number, part in enumerate(parts) if len(some := np.flatnonzero(which == number))]
    return interleave([draw(task, part, len(some), rng, side) for part, some in drawn], [some for _, some in drawn])


def problems_of(
    clean: Batch, vocabulary: Vocabulary
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int16], Composition]]:
    """Yields the problems of a batch without noise, those of one composition and element length together: the numbers
    of their rows (b,), their elements (b, l), and their composition.
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
    """Whether each problem of `where` belongs to `side` of the split, as booleans (B,). Problems are elements (B, l)
    with the indices of their compositions, `which` (B,).

    The side is a hash of the text of element and rules, and of nothing else; of the element alone where `where.split`
    says so. The instruction does not count, so a problem is on one side with and without a chain of thought.
    """
    mixed = np.zeros(len(elements), dtype=np.uint64)
    for column in elements.T:  # padding of shorter elements is not hashed
        stirred = stir(mixed, vocabulary.keys[column])
        mixed = np.where(column == PAD, mixed, stirred) if (column == PAD).any() else stirred
    for place in range(max(map(len, where.compositions)) if where.split == "problem" else 0):
        asks = np.array([place < len(rules) for rules in where.compositions])
        rules = np.array([(rules + (0,) * place)[place] for rules in where.compositions]) + vocabulary.first_rule
        stirred = stir(mixed, vocabulary.keys[rules][which])
        mixed = stirred if asks.all() else np.where(asks[which], stirred, mixed)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    sixteenth = (mixed ^ (mixed >> np.uint64(32))) & np.uint64(15)
    shares = SIXTEENTHS[side]
    return (sixteenth >= shares.start) & (sixteenth < shares.stop)


def stir(mixed: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hash of each text (B,) after one more symbol, which is given by its key (B,), or by one key for all."""
    step = (mixed ^ keys) * np.uint64(0x9E3779B97F4A7C15)
    return step ^ (step >> np.uint64(29))


def draw(task: Task, where: Distribution, count: int, rng: np.random.Generator, side: Side = "test") -> Batch:
    """`count` rows of `where` whose problems belong to `side` of the split, with the noise of `where` on their prompts.

    Problems and noise come from two streams of `rng`, so every noise level has the same problems. Raises ValueError if
    100 tries do not give enough problems of that side.

    >>> from alchemy import compose
    >>> task = compose("task=cipher", "task.training=[F1F2]").task
    >>> rows = draw(task, task.train, 100, np.random.default_rng(0), "train")
    >>> len(rows), task.vocabulary.decode(rows.tokens[0, 4:7])
    (100, '[F1] [F2] <think>')
    """
    problems, noise = rng.spawn(2)
    if where.also:
        return draw_parts(task, where.parts(), count, problems, noise, side)
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
