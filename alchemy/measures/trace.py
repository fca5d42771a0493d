"""Typed trace of a chain: what each step does, by the rule that it names, and whether it is true.

A completion of the open layout is read token by token, even if it breaks off or is wrong in part. A step is a rule and
all that is written up to the next rule or marker. The answer is what follows the last marker, or the whole of a
completion that opens with an atom and has no marker.

Shapes: B rows, C tokens of a completion, K steps, k rules asked for, l atoms of an element, S tokens of a state.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import same
from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.layouts import apply_each
from alchemy.data.task import Task, terse
from alchemy.data.vocabulary import ANSWER, PAD, Vocabulary

TYPES = ("recall", "compute")
RECALL, COMPUTE = range(len(TYPES))


@dataclass(frozen=True)
class Written:
    """Contents of completions.

    - `rules` (B, K): the rule of each step; -1 if there is no such step
    - `states` (B, K, S): the tokens that each step writes, padded
    - `ends` (B, K): the tokens of the completion up to the end of each step
    - `answer` (B, A): the answer, padded
    - `direct` (B,): whether the completion is an answer from its first token on
    """

    rules: NDArray[np.intp]
    states: NDArray[np.int16]
    ends: NDArray[np.int16]
    answer: NDArray[np.int16]
    direct: NDArray[np.bool_]


@dataclass(frozen=True)
class Trace:
    """Trace of B completions. By step (B, K):

    - `kind`: RECALL or COMPUTE; -1 if there is no step
    - `truth`: 1 if the state follows from the one before, as written, by the rule named; 0 if not; -1 if there is no
      step
    - `ends`: the tokens of the completion up to the end of the step
    - `faithful`: whether the rule is the one that the prompt names at this place

    By completion (B,):

    - `answer`: whether the answer is the last state written; true of a direct answer
    - `right`: whether the answer is right by the world
    """

    kind: NDArray[np.int8]
    truth: NDArray[np.int8]
    ends: NDArray[np.int16]
    faithful: NDArray[np.bool_]
    answer: NDArray[np.bool_]
    right: NDArray[np.bool_]


def read_completion(vocabulary: Vocabulary, completion: NDArray[np.int16]) -> Written:
    """Steps and answers of completions (B, C), padded on the right."""
    B, C = completion.shape
    places = np.arange(C)
    marked = completion == ANSWER
    last = np.where(marked, places, -1).max(axis=1, initial=-1)
    direct = (last < 0) & (completion[:, :1] >= vocabulary.first_atom).any(axis=1)
    start = np.where(last >= 0, last + 1, np.where(direct, 0, C))[:, None]  # of the answer, by place
    named = (completion >= vocabulary.first_rule) & (completion < vocabulary.first_atom) & (places < start)
    step = named.cumsum(axis=1) - 1
    since = np.maximum.accumulate(np.where(named, places, -1), axis=1)  # place of the last rule
    closed = np.maximum.accumulate(np.where(marked, places, -1), axis=1) > since
    inside = (since >= 0) & ~named & ~closed & (completion != PAD) & (places < start)
    rank = places - since - 1
    K, S = int(step.max(initial=-1)) + 1, int(rank[inside].max(initial=-1)) + 1
    rules = np.full((B, K), -1, dtype=np.intp)
    states, ends = np.full((B, K, S), PAD, dtype=np.int16), np.zeros((B, K), dtype=np.int16)
    row, at = np.nonzero(named)
    rules[row, step[row, at]] = completion[row, at] - vocabulary.first_rule
    ends[row, step[row, at]] = at + 1
    row, at = np.nonzero(inside)
    states[row, step[row, at], rank[row, at]] = completion[row, at]
    np.add.at(ends, (row, step[row, at]), 1)
    answer = left_justify(completion, (completion != PAD) & (places >= start))
    return Written(rules, states, ends, answer, direct)


def rules_asked(clean: Batch, vocabulary: Vocabulary) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
    """Elements (B, l), padded, and rules (B, k), -1 after the last, of prompts without noise."""
    elements = left_justify(clean.tokens, clean.role == Role.ELEMENT)
    rules = left_justify(clean.tokens, clean.role == Role.TRANSFORMATION).astype(np.intp)
    return elements, np.where(rules == PAD, -1, rules - vocabulary.first_rule)


def made(task: Task, rules: NDArray[np.intp], states: NDArray[np.int16]) -> NDArray[np.int16]:
    """(B, S) states after one rule each (B,), from padded states (B, S).

    A row is padding alone if its state is not one of atoms only, or if there is no rule.
    """
    found = np.full_like(states, PAD)
    sizes = (states != PAD).sum(axis=1)
    whole = ((states >= task.vocabulary.first_atom) | (states == PAD)).all(axis=1) & (rules >= 0)
    for size in np.unique(sizes[whole & (sizes > 0)]).tolist():
        rows = np.flatnonzero(whole & (sizes == size))
        found[rows, :size] = apply_each(task.apply, rules[rows], states[rows, :size])
    return found


def equal_and_written(one: NDArray[np.int16], other: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(B,) whether rows are equal and not empty. Both are padded on the right, to any width."""
    return same(one, other) & (one != PAD).any(axis=1)


def applied(task: Task, elements: NDArray[np.int16], rules: NDArray[np.intp]) -> NDArray[np.int16]:
    """(B, l) elements after the rules (B, k) of each row, where -1 stands after the last rule."""
    for place in range(rules.shape[1]):
        elements = np.where(rules[:, place, None] >= 0, made(task, rules[:, place], elements), elements)
    return elements


def trace_steps(task: Task, clean: Batch, completion: NDArray[np.int16]) -> Trace:
    """Typed trace of completions (B, C).

    `clean` holds the same rows, without noise on their prompts. Raises ValueError for a world whose rules have no
    `kinds`.

    >>> import alchemy as al
    >>> task = al.compose("task=mixture").task
    >>> rows = al.draw(task, task.train, 50, al.stream(0, "look"))
    >>> bool(trace_steps(task, rows, rows.completion()).right.all())
    True
    """
    if not terse(task):
        raise ValueError(
            f"the rules of {type(task).__name__} are neither recalled nor computed, so its steps have no types: use a "
            "world with kinds, such as task=facts, task=arithmetic or task=mixture"
        )
    elements, wanted = rules_asked(clean, task.vocabulary)
    written = read_completion(task.vocabulary, completion)
    B, steps = written.rules.shape
    more = ((0, 0), (0, max(wanted.shape[1] - steps, 0)))  # steps that were asked for and not written
    rules = np.pad(written.rules, more, constant_values=-1)
    wanted = np.pad(wanted, ((0, 0), (0, rules.shape[1] - wanted.shape[1])), constant_values=-1)
    truth = np.full(rules.shape, -1, dtype=np.int8)
    before = elements
    for step in range(steps):
        state = written.states[:, step]
        truth[:, step] = np.where(rules[:, step] >= 0, equal_and_written(made(task, rules[:, step], before), state), -1)
        before = state
    kinds = np.array([*(TYPES.index(kind) for kind in task.kinds), -1], dtype=np.int8)
    number = (written.rules >= 0).sum(axis=1)
    last = written.states[np.arange(B), number - 1] if steps else written.answer[:, :0]
    return Trace(
        kind=kinds[rules],
        truth=truth,
        ends=np.pad(written.ends, more),
        faithful=(rules >= 0) & (rules == wanted),
        answer=written.direct | ((number > 0) & equal_and_written(written.answer, last)),
        right=equal_and_written(written.answer, applied(task, elements, wanted)),
    )
