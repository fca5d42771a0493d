"""The two layouts of rows, that of the paper and the open one: how prompt, chain and answer follow one another."""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, interleave
from alchemy.data.vocabulary import ANSWER, END, PAD, THINK


def layout(states: Sequence[NDArray[np.int16]], rules: Sequence[int], chain: bool) -> Batch:
    """Rows in the layout of the published data set. `states` are the element before the first rule and after each rule
    (k + 1 arrays (B, l)), and `rules` are the k tokens that the prompt names.

    Every line of the chain is the element so far and the rules still to apply. Without `chain`, or for a single rule,
    there is no chain, and the prompt ends in the answer marker.

    >>> from alchemy import compose
    >>> vocabulary = compose("task=cipher").task.vocabulary
    >>> states = [vocabulary.encode(text)[None] for text in ("A B", "N O", "O N")]
    >>> vocabulary.decode(layout(states, vocabulary.encode("[F1] [F2]").tolist(), chain=True).tokens[0])
    'A B [F1] [F2] <think> N O [F2] <answer> O N </s>'
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
    """Rows in the open layout, whose prompts do not say whether to answer with a chain. `states` are the element before
    the first rule and after each rule (k + 1 arrays (B, l), whose l may differ). `rules` are the k tokens that all rows
    name, or those of each row (B, k).

    A chain writes each rule and what it makes, and then the answer; a direct completion is the answer alone:

        1 2 3 4 [a] [b]   [a] 2 3 4 5 [b] 4 6 8 0 <answer> 4 6 8 0 </s>
        1 2 3 4 [a] [b]   4 6 8 0 </s>
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
    """The rule ids of each composition (N, k), with -1 after the last rule of shorter ones."""
    return np.array([*zip_longest(*compositions, fillvalue=-1)], dtype=np.intp).T


def apply_each(apply: Apply, rules: NDArray[np.intp], elements: NDArray[np.int16]) -> NDArray[np.int16]:
    """The elements (B, l) after one rule each. `rules` (B,) are rule ids; an element whose id is below 0 stays as it
    is.
    """
    made = elements.copy()
    for rule in np.flatnonzero(np.bincount(rules[rules >= 0])).tolist():
        rows = np.flatnonzero(rules == rule)
        made[rows] = apply(rule, elements[rows])
    return made


def open_rows(
    apply: Apply, first_rule: int, rules: NDArray[np.intp], elements: NDArray[np.int16], chained: NDArray[np.bool_]
) -> Batch:
    """Rows in the open layout for problems of different forms. `rules` (B, k) are the rule ids of each row, -1 after
    the last; `elements` (B, l) are padded; and rows marked by `chained` (B,) have a chain.

    Rows with equally many rules and atoms, and alike in having a chain, are written together.
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
    """Rows in the open layout for one composition on elements (B, l), which are padded alike in all rows. Without
    `chain`, the completion is the answer alone. With `executed`, rows name the rules of `composition` but apply those
    of `executed`.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> rows = open_problems(task.apply, task.vocabulary.first_rule, task.vocabulary.encode("A B C D")[None], (0, 1))
    >>> task.vocabulary.decode(rows.tokens[0])
    'A B C D [F1] [F2] [F1] N O P Q [F2] O P Q N <answer> O P Q N </s>'
    """
    states = [elements[:, (elements != PAD).any(axis=0)]]
    for rule in executed or composition:
        states.append(apply(rule, states[-1]))
    return open_layout(states, [first_rule + rule for rule in composition], chain)
