"""What the laws test: a world, the levels of its axes, and rows with how they were drawn; and the error LawBroken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alchemy.data.batch import Batch, Role
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, Move, Shift, moving
from alchemy.data.task import Distribution, Side, Task
from alchemy.data.vocabulary import PAD, Vocabulary

LEVELS = range(-3, 7)  # that the laws test, as far as the world has them
LEARNT, WATCHED = 20_000, 5_000  # rows drawn from training, and from its validation side
Problem = tuple[int, ...]  # the tokens of its element and its rules


@dataclass(frozen=True)
class Row:
    """One row as text, and how to draw it again: the `number`-th of those drawn from `seed`, as `drawn` says."""

    prompt: str
    gold: str
    number: int
    seed: int
    drawn: str

    def __str__(self) -> str:
        where = f"row {self.number} of seed {self.seed}, {self.drawn}"
        return f"  prompt  {self.prompt}\n  gold    {self.gold}\n  {where}"


class Broken(Exception):
    """Raised by the function of a law: what is wrong, and on which row. `LabLaw` turns it into LawBroken."""

    def __init__(self, said: str, row: Row | None = None) -> None:
        super().__init__(said)
        self.said, self.row = said, row


class LawBroken(AssertionError):
    """Raised where a world, or a shift in a world, breaks a law of the lab.

    `law` is the name of the law, `of` the world, with the axis if it is a law of shifts, `said` what is wrong, and
    `row` the first row that shows it (None where no row does).

    >>> print(LawBroken("level 0 is training", "Adding, axis narrow", "its length is not that of training"))
    Adding, axis narrow breaks a law of the lab: level 0 is training
      its length is not that of training
    """

    def __init__(self, law: str, of: str, said: str, row: Row | None = None) -> None:
        super().__init__("\n".join([f"{of} breaks a law of the lab: {law}", f"  {said}", *([str(row)] if row else [])]))
        self.law, self.of, self.said, self.row = law, of, said, row

    def __reduce__(self) -> Any:
        return type(self), (self.law, self.of, self.said, self.row)


def text(vocabulary: Vocabulary, tokens: ArrayLike) -> str:
    """Returns symbols with spaces between them, padding left out; for an id without symbol, ? and the id."""
    names = dict(enumerate(vocabulary.symbols))
    return " ".join(names.get(token, f"?{token}") for token in np.asarray(tokens).tolist() if token != PAD)


@dataclass(frozen=True)
class Rows:
    """A batch with how it was drawn, so that a broken law can show a row of it."""

    task: Task
    batch: Batch
    seed: int
    drawn: str

    def need(self, held: ArrayLike, said: str) -> None:
        """Raises Broken with the first row for which `held` (B,) is false; one truth value stands for all rows."""
        __tracebackhide__ = True
        if not np.all(held):
            wrong = np.flatnonzero(~np.broadcast_to(np.asarray(held, dtype=bool), len(self.batch)))
            raise Broken(said, self.row(int(wrong[0])))

    def row(self, number: int) -> Row:
        role, tokens = self.batch.role[number], self.batch.tokens[number]
        prompt, gold = (role <= Role.INSTRUCTION), (role > Role.INSTRUCTION) & (role != Role.PAD)
        asked, wanted = (text(self.task.vocabulary, tokens[part]) for part in (prompt, gold))
        return Row(asked, wanted, number, self.seed, self.drawn)


@dataclass(frozen=True)
class Grounds:
    """A world to test, with what several laws need of it, which is computed once."""

    task: Task
    name: str
    kept: dict[Any, Any] = field(default_factory=dict)

    def once(self, key: Any, work: Callable[[], Any]) -> Any:
        if key not in self.kept:
            self.kept[key] = work()
        return self.kept[key]

    def reached(self, shift: Shift) -> list[tuple[int, Distribution]]:
        """Returns each level that the axis has and the world has problems at, with its Distribution."""
        return self.levels(shift)[0]

    def refused(self, shift: Shift) -> list[tuple[int, Exception]]:
        """Returns the other levels, each with the error that it raises."""
        return self.levels(shift)[1]

    def levels(self, shift: Shift) -> tuple[list[tuple[int, Distribution]], list[tuple[int, Exception]]]:
        def found() -> Any:
            reached, refused = [], []
            for level in LEVELS:
                try:
                    where = shift.at(self.task, level)
                    draw(self.task, where, 1, stream(0, "reachable"))
                    reached.append((level, where))
                except Exception as error:  # a law checks which error it is
                    refused.append((level, error))
            return reached, refused

        return self.once(("levels", shift), found)

    def draw(
        self,
        where: Distribution,
        count: int,
        seed: int = 0,
        purpose: str = "test",
        side: Side = "test",
        at: str = "training",
    ) -> Rows:
        """Returns `count` rows drawn from `where`, which a broken law calls `at`."""
        batch = draw(self.task, where, count, stream(seed, purpose), side)
        return Rows(self.task, batch, seed, f'purpose "{purpose}", side {side}, {at}')

    def shown(self) -> tuple[set[Problem], set[Problem]]:
        """Returns the problems of rows of training, and those of rows of its validation side."""

        def found() -> tuple[set[Problem], set[Problem]]:
            learnt = self.draw(self.task.train, LEARNT, 0, "train", "train")
            watched = self.draw(self.task.train, WATCHED, 0, "valid", "valid")
            return set(problems(learnt.batch)), set(problems(watched.batch))

        return self.once("shown", found)


def problems(batch: Batch) -> list[Problem]:
    """Returns the problem of each row: the tokens of its element and rules, without padding."""
    content = np.where(batch.role <= Role.TRANSFORMATION, batch.tokens, PAD)
    return [tuple(row[row != PAD].tolist()) for row in content]


def shift_of(axis: str | Move | Shift) -> Shift:
    """Returns a Shift along an axis, given by its name in the lab, its function, or a Shift."""
    if isinstance(axis, Shift):
        return axis
    kind = ("hybrid", "all") if axis == "format" else ("-", "-")
    if isinstance(axis, str):
        return Shift(axis, (), *kind, moving(axis) if axis not in AXES else None)
    return Shift(axis.__name__, (), moves=axis)


def at(shift: Shift, level: int) -> str:
    """Returns axis and level as text."""
    return f"shift.axis={shift.axis}, level {level}"


def padded_alike(some: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns both arrays (B, T), padded with PAD to the same width."""
    width = max(some.shape[1], others.shape[1])
    first, second = (np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (some, others))
    return first, second
