"""Why a completion is wrong, exactly, because the world is known.

A completion is read line by line: the element that each line writes, the rule that is named for it, whether that rule
leads there from the line before, and which rules would. Source: after arXiv:2508.01191, section 5 ("fluent yet
inconsistent"), made a measurement.

Shapes: B rows, C tokens of a completion, K lines written (the answer is the last), R rules, l atoms.
"""

from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from alchemy.batch import Batch, Role
from alchemy.maps import GROUP, follow, group
from alchemy.task import Composition, Task, problems_of
from alchemy.vocabulary import ANSWER, PAD, Vocabulary

KINDS = ("right", "replayed", "wrong_answer", "wrong_step", "malformed")
RIGHT, REPLAYED, WRONG_ANSWER, WRONG_STEP, MALFORMED = range(len(KINDS))
LONGER = 2  # lines and atoms more than asked for that are still read as lines and atoms


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


@dataclass(frozen=True)
class Form:
    """How completions of so many lines are laid out: the columns of each line's atoms, and of each one's rules."""

    atoms: tuple[tuple[int, ...], ...]
    rules: tuple[tuple[int, ...], ...]

    @property
    def ends(self) -> list[int]:
        return [max(atoms + rules) + 1 for atoms, rules in zip(self.atoms, self.rules, strict=True)]


def classes(vocabulary: Vocabulary, completion: NDArray[np.int16]) -> NDArray[np.uint8]:
    """(B, C) what kind of symbol each token is: 0 padding, 1 atom, 2 rule, and each special its own."""
    table = np.ones(len(vocabulary), dtype=np.uint8)
    table[vocabulary.first_rule : vocabulary.first_atom] = 2
    table[: vocabulary.first_rule] = np.arange(vocabulary.first_rule) + 2
    table[PAD] = 0
    return table[completion]


def forms(task: Task, k: int, l: int) -> dict[bytes, Form]:
    """The layouts of completions near those of k rules and l atoms, by their classes; the asked one first."""
    found: dict[bytes, Form] = {}
    sizes = sorted(product(range(1, k + LONGER + 1), range(1, l + LONGER + 1)), key=lambda size: size != (k, l))
    for lines, atoms in sizes:
        row = task.render(np.full((1, atoms), task.vocabulary.first_atom, dtype=np.int16), (0,) * lines)
        gold = row.completion()
        start = int(row.prompt_length[0])
        step = row.step[0, start : start + gold.shape[1]]
        kinds = classes(task.vocabulary, gold)[0]
        numbers = [*range(int(step.max(initial=-1)) + 1), -1]  # the answer's is -1
        columns = [tuple(tuple(np.flatnonzero((step == n) & (kinds == c)).tolist()) for n in numbers) for c in (1, 2)]
        form = Form(columns[0], columns[1])
        found.setdefault(kinds.tobytes(), form)
    return found


def verify(task: Task, clean: Batch, completion: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(B,) whether each completion (B, C) ends in the right answer to its noiseless prompt, computed afresh."""
    right = np.zeros(len(clean), dtype=bool)
    completion = np.pad(completion, ((0, 0), (0, 1)))  # none may write a thing
    width = completion.shape[1]
    last = width - np.argmax(completion[:, ::-1] == ANSWER, axis=1)  # after the last marker
    start = np.where((completion == ANSWER).any(axis=1), last, 0)
    for rows, elements, composition in problems_of(clean, task.vocabulary):
        l = elements.shape[1]
        padded = np.pad(completion[rows], ((0, 0), (0, l + 1)))
        answers = np.take_along_axis(padded, start[rows, None] + np.arange(l + 1), axis=1)
        right[rows] = (answers[:, :l] == follow(task, elements, composition)).all(axis=1) & (answers[:, l] == PAD)
    return right


def diagnose(task: Task, clean: Batch, completion: NDArray[np.int16]) -> Diagnosis:
    """What is right and wrong in completions (B, C) of prompts whose problems, without noise, are those of `clean`."""
    B, R = len(clean), len(task.vocabulary.rules)
    K = LONGER + int((clean.role == Role.TRANSFORMATION).sum(axis=1).max(initial=0))
    told = Diagnosis(
        kind=np.full(B, MALFORMED, dtype=np.int8),
        lines=np.zeros(B, dtype=np.int8),
        missing=np.zeros(B, dtype=np.int8),
        valid=np.full((B, K), -1, dtype=np.int8),
        rules=np.zeros((B, K, R), dtype=bool),
        ends=np.zeros((B, K), dtype=np.int16),
        follows=np.zeros(B, dtype=bool),
        compositions=np.zeros(B, dtype=np.int16),
        executes=np.full(B, -1, dtype=np.int16),
        maps=(),
    )
    maps: dict[Composition, int] = {}
    for rows, elements, asked in problems_of(clean, task.vocabulary):
        known = forms(task, len(asked), elements.shape[1])
        gold = task.render(elements, asked).completion()
        wanted = classes(task.vocabulary, gold[:1])[0].tobytes()
        kinds = classes(task.vocabulary, completion[rows])
        texts = np.array([row.tobytes().rstrip(b"\0") for row in kinds], dtype=object)
        for text in set(texts) & set(known):
            laid = texts == text
            some, written = rows[laid], completion[rows[laid], : len(text)]
            form, number = known[text], len(known[text].atoms)
            states = [elements[laid], *(written[:, columns] for columns in form.atoms)]
            named, agree = names(task.vocabulary, form, written, asked)
            led = np.stack([leads(task, before, after) for before, after in pairwise(states)], axis=1)  # (b, lines, R)
            valid = np.take_along_axis(led, np.maximum(named, 0)[:, :, None], axis=2)[:, :, 0] & (named >= 0)
            replayed = agree & led[:, 0].any(axis=1) & valid[:, 1:].all(axis=1)
            whole = states[-1].shape == states[0].shape
            if whole and number == 1 and len(known[wanted].atoms) == 1:  # the answer was all that was asked for
                answer = states[-1]
                valid = (answer == follow(task, states[0], asked)).all(axis=1, keepdims=True)
                others = product(range(R), repeat=len(asked)) if R ** len(asked) <= GROUP else ()
                replayed = np.any([(answer == follow(task, states[0], c)).all(axis=1) for c in others], axis=0)
            chain = np.zeros(len(some), dtype=bool)
            if text == wanted:
                before = [i for i in range(len(text)) if i not in form.atoms[-1]]
                chain = (written[:, before] == gold[laid][:, before]).all(axis=1)
            right = chain & (states[-1] == gold[laid][:, form.atoms[-1]]).all(axis=1) if text == wanted else chain
            told.kind[some] = np.select([right, replayed, chain], [RIGHT, REPLAYED, WRONG_ANSWER], WRONG_STEP)
            told.lines[some], told.missing[some] = number, len(known[wanted].atoms) - number
            told.valid[some, :number], told.rules[some, :number], told.ends[some, :number] = valid, led, form.ends
            told.follows[some] = valid[:, -1]
            if whole:
                near = group(task, elements.shape[1])
                led_to = np.stack([(states[-1] == follow(task, states[0], c)).all(axis=1) for c in near])
                numbers = np.array([maps.setdefault(c, len(maps)) for c in near])
                told.compositions[some] = led_to.sum(axis=0)
                told.executes[some] = np.where(led_to.any(axis=0), numbers[led_to.argmax(axis=0)], -1)
    return replace(told, maps=tuple(maps))


def names(
    vocabulary: Vocabulary, form: Form, written: NDArray[np.int16], asked: Composition
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The rule named for each line (B, lines), -1 where none is; and whether lines agree on what is to do (B,)."""
    named = np.full((len(written), len(form.atoms)), -1)
    named[:, 0] = asked[0]
    agree = np.ones(len(written), dtype=bool)
    for line in range(1, len(form.atoms)):
        to_do = form.rules[line - 1]
        if to_do:
            named[:, line] = written[:, to_do[0]] - vocabulary.first_rule
        elif line < len(asked):
            named[:, line] = asked[line]
        if line > 1:
            agree &= (written[:, form.rules[line - 2][1:]] == written[:, to_do]).all(axis=1)
    return named, agree


def leads(task: Task, before: NDArray[np.int16], after: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(B, R) which rules lead from one element to another."""
    R = len(task.vocabulary.rules)
    if before.shape != after.shape:
        return np.zeros((len(before), R), dtype=bool)
    return np.stack([(task.apply(rule, before) == after).all(axis=1) for rule in range(R)], axis=1)
