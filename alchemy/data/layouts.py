"""How rows are laid out: a prompt, a chain and an answer, in the layout of the paper and in the open one."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, interleave
from alchemy.data.vocabulary import ANSWER, END, PAD, THINK


def layout(states: Sequence[NDArray[np.int16]], rules: Sequence[int], chain: bool) -> Batch:
    """Rows as the published data set writes them, from the element before and after each rule (k + 1 times (B, l)).

    `rules` are the k tokens that prompt and chain name: every line of the chain is an element and the rules still to
    do. Without `chain`, or for a single rule, the prompt asks for the answer at once.
    """
    element, *lines, answer = states
    B, l = element.shape
    chain = chain and len(rules) > 1
    columns: list[int | NDArray[np.int16]] = [element, *rules, THINK if chain else ANSWER]
    role = [Role.ELEMENT] * l + [Role.TRANSFORMATION] * len(rules) + [Role.INSTRUCTION]
    step = [-1] * len(role)
    for i, line in enumerate(lines if chain else ()):
        block: list[int | NDArray[np.int16]] = [*[THINK][: i > 0], line, *rules[i + 1 :]]
        columns += block
        role += [Role.CHAIN] * (len(block) + l - 1)
        step += [i] * (len(block) + l - 1)
    columns += [*[ANSWER][:chain], answer, END]
    role += [Role.ANSWER] * (chain + l + 1)
    step += [-1] * (chain + l + 1)
    tokens = np.empty((B, len(role)), dtype=np.int16)
    at = 0
    for column in columns:
        width = 1 if isinstance(column, int) else l
        tokens[:, at : at + width] = column
        at += width
    shape = tokens.shape
    return Batch(
        tokens,
        np.broadcast_to(np.array(role, dtype=np.int8), shape),
        np.broadcast_to(np.array(step, dtype=np.int8), shape),
    )


def open_layout(states: Sequence[NDArray[np.int16]], rules: Sequence[int] | NDArray[np.int16], chain: bool) -> Batch:
    """Rows whose prompt does not say how to answer, from the states around each rule (k + 1 arrays (B, l)).

    A chain opens with its first rule, and writes each rule and what it makes; a direct completion is the answer:

        1 2 3 4 [a] [b]   [a] 2 3 4 5 [b] 4 6 8 0 <answer> 4 6 8 0 </s>
        1 2 3 4 [a] [b]   4 6 8 0 </s>

    `rules` are the k tokens that are named, or those of each row (B, k); states may differ in their number of atoms.
    """
    rules = np.atleast_2d(np.asarray(rules, dtype=np.int16)).T[:, :, None]  # (k, 1 or B, 1)
    blocks: list[tuple[Role, int, int | NDArray[np.int16]]] = [(Role.ELEMENT, -1, states[0])]
    blocks += [(Role.TRANSFORMATION, -1, rule) for rule in rules]
    for i, (rule, state) in enumerate(zip(rules, states[1:], strict=True) if chain else ()):
        blocks += [(Role.CHAIN, i, rule), (Role.CHAIN, i, state)]
    blocks += [(Role.ANSWER, -1, ANSWER)] if chain else []
    blocks += [(Role.ANSWER, -1, states[-1]), (Role.ANSWER, -1, END)]
    widths = [1 if isinstance(what, int) else what.shape[1] for _, _, what in blocks]
    tokens = np.empty((len(states[0]), sum(widths)), dtype=np.int16)
    for at, width, (_, _, what) in zip(np.cumsum([0, *widths]), widths, blocks, strict=False):
        tokens[:, at : at + width] = what
    role = np.repeat([role for role, _, _ in blocks], widths).astype(np.int8)
    step = np.repeat([step for _, step, _ in blocks], widths).astype(np.int8)
    return Batch(tokens, np.broadcast_to(role, tokens.shape), np.broadcast_to(step, tokens.shape))


Apply = Callable[[int, NDArray[np.int16]], NDArray[np.int16]]  # a rule, and elements (B, l) before and after it


def padded(compositions: Sequence[Sequence[int]]) -> NDArray[np.intp]:
    """(N, k) the rules of compositions, -1 after the last of shorter ones."""
    return np.array([*zip_longest(*compositions, fillvalue=-1)], dtype=np.intp).T


def apply_each(apply: Apply, rules: NDArray[np.intp], elements: NDArray[np.int16]) -> NDArray[np.int16]:
    """(B, l) elements after one rule each (B,); those below 0 change nothing."""
    made = elements.copy()
    for rule in np.flatnonzero(np.bincount(rules[rules >= 0])).tolist():
        rows = np.flatnonzero(rules == rule)
        made[rows] = apply(rule, elements[rows])
    return made


def open_rows(
    apply: Apply, first_rule: int, rules: NDArray[np.intp], elements: NDArray[np.int16], chained: NDArray[np.bool_]
) -> Batch:
    """The open layout of problems with rules (B, k) of their own, -1 after the last, and padded elements (B, l); those
    `chained` (B,) with a chain. Rows of one form are written together.
    """
    shape = rules.shape[1] + 1, elements.shape[1] + 1, 2
    form = np.ravel_multi_index(((rules >= 0).sum(axis=1), (elements != PAD).sum(axis=1), chained.astype(int)), shape)
    blocks, numbers = [], []
    for number in np.flatnonzero(np.bincount(form)).tolist():
        k, atoms, chain = np.unravel_index(number, shape)
        rows = np.flatnonzero(form == number)
        states = [elements[rows, :atoms]]
        for place in range(k):
            states.append(apply_each(apply, rules[rows, place], states[-1]))
        blocks.append(open_layout(states, (rules[rows, :k] + first_rule).astype(np.int16), bool(chain)))
        numbers.append(rows)
    return interleave(blocks, numbers)


def open_problems(
    apply: Apply,
    first_rule: int,
    elements: NDArray[np.int16],
    composition: Sequence[int],
    executed: Sequence[int] | None = None,
    chain: bool = True,
) -> Batch:
    """The open layout of one composition on elements (B, l), padded alike in all rows; the rules of `composition` are
    named, and those `executed` applied, if others.
    """
    states = [elements[:, (elements != PAD).any(axis=0)]]
    for rule in executed or composition:
        states.append(apply(rule, states[-1]))
    return open_layout(states, [first_rule + rule for rule in composition], chain)
