"""Diagnosis of completions: why each is wrong, which is known exactly because the world is known.

A completion is read line by line: the element that each line writes, the rule that is named for it, whether that rule
leads there from the line before, and which rules would. In the open layout the last line, the answer, names no rule and
repeats the line before. There a prompt does not say how to answer, so a completion is compared with gold of its own
form, whatever form the row's gold has: a right answer without a chain is right, and nothing is missing from it.

Source: after arXiv:2508.01191, section 5 ("fluent yet inconsistent"), made a measurement.

Shapes: B rows, C tokens of a completion, K lines written (the answer is the last), R rules, l atoms.
"""

from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role
from alchemy.data.compositions import GROUP, follow, group
from alchemy.data.sampling import problems_of
from alchemy.data.task import Composition, Task, Terse, terse
from alchemy.data.vocabulary import PAD, Vocabulary
from alchemy.measures.trace import Written, applied, equal_and_written, read_completion, rules_asked

KINDS = ("right", "replayed", "wrong_answer", "wrong_step", "malformed")
RIGHT, REPLAYED, WRONG_ANSWER, WRONG_STEP, MALFORMED = range(len(KINDS))
LONGER = 2  # lines and atoms, at most, beyond those asked for: a longer completion is malformed


@dataclass(frozen=True)
class Diagnosis:
    """Kind of mistake of each of B completions, with a verdict on every line. `kind` (B,) is the index in KINDS of one
    of:

    - right: equal to gold, token for token
    - replayed: equal, token for token, to the gold completion of another composition
    - wrong_answer: every line of the chain is right, the answer is not
    - wrong_step: laid out as a chain and an answer, but some line is wrong
    - malformed: not laid out as a chain and an answer at all

    The other fields:

    - `lines` (B,): the number of lines written; 0 if malformed
    - `missing` (B,): how many lines fewer than asked for were written
    - `valid` (B, K): 1 if a line follows by the rule named for it, 0 if not, -1 if there is no such line
    - `rules` (B, K, R): whether each rule leads to the line from the one before
    - `ends` (B, K): the number of tokens up to the end of the line, including those that name the next rule
    - `follows` (B,): whether the answer follows from the completion's own last line by the rule named there
    - `compositions` (B,): how many compositions of known rules lead from element to answer, counting those that are the
      same map once; more than 1 is a tie
    - `executes` (B,): the index in `maps` of the first such composition, or -1
    - `maps`: the compositions that were tried, one for each map
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
        """Rows (B,) of which each flag is true. Flags are the kinds, exactly one for each row, and two more:

        - fluent: laid out as a chain and an answer
        - inconsistent: fluent, but the answer does not follow from its own last line by the rule named there
        """
        fluent = self.lines > 1
        kinds = {kind: self.kind == number for number, kind in enumerate(KINDS)}
        return kinds | {"fluent": fluent, "inconsistent": fluent & ~self.follows}

    def executed(self) -> dict[Composition | None, NDArray[np.bool_]]:
        """Rows (B,) whose answer only one composition leads to, by composition, the most frequent first.

        The entry under None stands before them: rows in which several compositions tie.
        """
        alone = self.compositions == 1
        counts = np.bincount(self.executes[alone], minlength=len(self.maps))
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        found: dict[Composition | None, NDArray[np.bool_]] = {None: self.compositions > 1}
        return found | {self.maps[i]: alone & (self.executes == i) for i in order}

    def shares(self) -> dict[str, float]:
        """Share of rows of which each flag is true; the shares of the kinds add up to 1."""
        return {name: float(rows.mean()) for name, rows in self.flags().items()}

    @classmethod
    def blank(cls, rows: int, lines: int, rules: int) -> "Diagnosis":
        """Diagnosis of so many rows, all malformed, to be filled in."""
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


@dataclass(frozen=True)
class Form:
    """Layout of completions with a certain number of lines.

    - `atoms`: for each line, the columns of its atoms
    - `rules`: for each line, the columns of the rules that it names
    """

    atoms: tuple[tuple[int, ...], ...]
    rules: tuple[tuple[int, ...], ...]

    @property
    def ends(self) -> list[int]:
        """Tokens of the completion up to the end of each line."""
        return [max(atoms + rules) + 1 for atoms, rules in zip(self.atoms, self.rules, strict=True)]


def classes(vocabulary: Vocabulary, completion: NDArray[np.int16]) -> NDArray[np.uint8]:
    """(B, C) class of each token: 0 for padding, 1 for an atom, 2 for a rule, and one of its own for each special
    symbol.
    """
    table = np.ones(len(vocabulary), dtype=np.uint8)
    table[vocabulary.first_rule : vocabulary.first_atom] = 2
    table[: vocabulary.first_rule] = np.arange(vocabulary.first_rule) + 2
    table[PAD] = 0
    return table[completion]


def forms(task: Task, k: int, l: int) -> dict[bytes, Form]:
    """Layouts of completions of about k rules and l atoms, by their token classes; exactly that size is the first."""
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


def diagnose(task: Task, clean: Batch, completion: NDArray[np.int16]) -> Diagnosis:
    """Diagnosis of completions (B, C).

    `clean` holds the same rows, without noise on their prompts.

    >>> import alchemy as al
    >>> task = al.compose("task=cipher").task
    >>> rows = al.draw(task, task.train, 5, al.stream(0, "look"))
    >>> diagnose(task, rows, rows.completion()).shares()["right"]
    1.0
    """
    if terse(task):
        return diagnose_open(task, clean, completion)
    B, R = len(clean), len(task.vocabulary.rules)
    K = LONGER + int((clean.role == Role.TRANSFORMATION).sum(axis=1).max(initial=0))
    told = Diagnosis.blank(B, K, R)
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
            if whole and number == 1 and len(known[wanted].atoms) == 1:  # an answer alone was asked for, and written
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
                execute(task, told, some, states, maps)
                reached = (states[-1] == follow(task, states[0], asked)).all(axis=1)
                unnamed = some[reached & (told.compositions[some] == 0)]  # beyond those that were searched
                told.compositions[unnamed] = 1
                told.executes[unnamed] = maps.setdefault(asked, len(maps)) if len(unnamed) else -1
    return replace(told, maps=tuple(maps))


def execute(
    task: Task, told: Diagnosis, some: NDArray[np.intp], states: list[NDArray[np.int16]], maps: dict[Composition, int]
) -> None:
    """Fills in, for the rows `some`, which compositions lead from the first of their `states` to the last."""
    near = group(task, states[0].shape[1])
    led_to = np.stack([(states[-1] == follow(task, states[0], c)).all(axis=1) for c in near])
    numbers = np.array([maps.setdefault(c, len(maps)) for c in near])
    told.compositions[some] = led_to.sum(axis=0)
    told.executes[some] = np.where(led_to.any(axis=0), numbers[led_to.argmax(axis=0)], -1)


def names(
    vocabulary: Vocabulary, form: Form, written: NDArray[np.int16], asked: Composition
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rule named for each line (B, lines), -1 if none is, and whether lines agree on what is still to do (B,)."""
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
    """(B, R) whether each rule leads from the element `before` to the element `after`."""
    R = len(task.vocabulary.rules)
    if before.shape != after.shape:
        return np.zeros((len(before), R), dtype=bool)
    return np.stack([(task.apply(rule, before) == after).all(axis=1) for rule in range(R)], axis=1)


def diagnose_open(task: Terse, clean: Batch, completion: NDArray[np.int16]) -> Diagnosis:
    """The same as `diagnose`, for rows in the open layout. Rows of one size and form are diagnosed together."""
    elements, asked = rules_asked(clean, task.vocabulary)
    said = read_completion(task.vocabulary, completion)
    told = Diagnosis.blank(len(clean), LONGER + asked.shape[1] + 1, len(task.vocabulary.rules))
    told.lines[:] = lines_of(task.vocabulary, elements, asked, said, completion)
    gold = applied(task, elements, asked)
    sizes = [(rows != PAD).sum(axis=1) for rows in (elements, said.answer)]
    forms = np.column_stack([*sizes, (asked >= 0).sum(axis=1), told.lines])
    for l, a, k, lines in np.unique(forms[told.lines > 0], axis=0).tolist():
        some = np.flatnonzero((forms == (l, a, k, lines)).all(axis=1))
        answer = said.answer[some, :a]
        states = [elements[some, :l], *(said.states[some, i, :a] for i in range(lines - 1)), answer]
        led = np.stack([leads(task, before, after) for before, after in pairwise(states)], axis=1)  # (b, lines, R)
        named = said.rules[some, : lines - 1]
        valid = np.ones((len(some), lines), dtype=bool)
        valid[:, :-1] = np.take_along_axis(led[:, :-1], named[:, :, None], axis=2)[:, :, 0]
        valid[:, -1] = equal_and_written(answer, states[-2] if lines > 1 else gold[some])
        faithful = (named == asked[some, :k]).all(axis=1) if lines == k + 1 else np.full(len(some), lines == 1)
        chain = faithful & valid[:, :-1].all(axis=1) & (a == l)
        replayed = valid.all(axis=1) if lines > 1 else replays(task, states[0], answer, k)
        told.kind[some] = np.select(
            [chain & valid[:, -1], replayed, chain], [RIGHT, REPLAYED, WRONG_ANSWER], WRONG_STEP
        )
        told.missing[some] = k + 1 - lines if lines > 1 else 0
        told.valid[some, :lines], told.rules[some, :lines] = valid, led
        told.ends[some, :lines] = [*((1 + a) * (i + 1) for i in range(lines - 1)), (1 + a) * lines - (lines == 1)]
        told.follows[some] = valid[:, -1]
    maps: dict[Composition, int] = {}
    whole = (told.lines > 0) & (sizes[0] == sizes[1])
    for l in np.unique(sizes[0][whole]):
        some = np.flatnonzero(whole & (sizes[0] == l))
        execute(task, told, some, [elements[some, :l], said.answer[some, :l]], maps)
    unnamed = whole & equal_and_written(said.answer, gold) & (told.compositions == 0)  # deeper than those tried
    told.compositions[unnamed] = 1
    for row in np.flatnonzero(unnamed):
        told.executes[row] = maps.setdefault(tuple(asked[row][asked[row] >= 0].tolist()), len(maps))
    return replace(told, maps=tuple(maps))


def lines_of(
    vocabulary: Vocabulary,
    elements: NDArray[np.int16],
    asked: NDArray[np.intp],
    said: Written,
    completion: NDArray[np.int16],
) -> NDArray[np.intp]:
    """(B,) number of lines that each completion has, counting the answer as one.

    It is 0 for a completion that is laid out neither as a chain and an answer nor as an answer alone.
    """
    steps = (said.rules >= 0).sum(axis=1)
    atoms = (said.answer != PAD).sum(axis=1)
    own = (elements != PAD).sum(axis=1) + LONGER
    plain = ((said.answer == PAD) | (said.answer >= vocabulary.first_atom)).all(axis=1) & (atoms > 0) & (atoms <= own)
    states = (said.states == PAD) | (said.states >= vocabulary.first_atom)
    even = ((said.states != PAD).sum(axis=2) == atoms[:, None]) | (said.rules < 0)
    chain = (
        plain & states.all(axis=(1, 2)) & even.all(axis=1) & (steps > 0) & (steps <= (asked >= 0).sum(axis=1) + LONGER)
    )
    chain &= (completion != PAD).sum(axis=1) == (steps + 1) * (atoms + 1)  # and nothing else
    return np.select([chain, plain & said.direct], [steps + 1, 1], 0)


def replays(task: Task, elements: NDArray[np.int16], answer: NDArray[np.int16], k: int) -> NDArray[np.bool_]:
    """(B,) whether an answer that stands alone is what some composition of k rules makes of the element."""
    R = len(task.vocabulary.rules)
    found = np.zeros(len(elements), dtype=bool)
    for composition in product(range(R), repeat=k) if R**k <= GROUP and answer.shape == elements.shape else ():
        found |= (answer == follow(task, elements, composition)).all(axis=1)
    return found
