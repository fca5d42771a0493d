"""Information in a chain: how much likelier its steps make the gold answer, and which of them are true.

A fixed evaluator gives the log-probability of the gold answer after the prompt and the steps 1..i. It is the base,
never the model that wrote the chain:

    i = 0   1 2 3 [a] [b]                                   4 6 8
    i = 1   1 2 3 [a] [b]  [a] 2 3 4            <answer>    4 6 8
    i = t   1 2 3 [a] [b]  [a] 2 3 4 [b] 4 6 8  <answer>    4 6 8

The base was trained on both ends in this form. Answers follow a bare prompt at once, without a marker; they follow the
last step of a chain with the marker between, since an atom alone would be read as more of the state. All probabilities
are given that an answer comes (see alchemy.models.likelihood.answered), so it does not count how seldom a model opens
with one. After the last step, the base copies the state, right or wrong. Between the ends, a marker comes sooner than
in training, and the base is sure of another answer. Single steps therefore give no number
that could be interpreted: only their sum is reported, or the sum divided by their number.

Source: InfoGain and the knowledge index, arXiv:2506.02126, by the paper's formulas and not its released code.

Shapes: B rows, T tokens, C tokens of a completion, K steps.
"""

from math import log

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.task import Terse
from alchemy.data.vocabulary import ANSWER, PAD
from alchemy.measures.trace import Trace, trace_steps
from alchemy.models.likelihood import answered
from alchemy.models.transformer import Transformer

Array = NDArray[np.float64]


def chain(
    task: Terse, evaluator: Transformer, problems: Batch, completion: NDArray[np.int16], before: Array
) -> dict[str, Array]:
    """Measures of chains by name, each with one number for every row that has a step.

    `completion` (B, C) holds completions of `problems`, and `before` (B,) is what `unaided` returns for the same
    problems. The measures are those of `gains`; `infogain_bounded`, InfoGain if no answer were less likely than a
    guess; and `ki`, the knowledge index. Rows without a chain are left out, and so is a measure that no row has.
    """
    first = task.vocabulary.first_atom
    steps = trace_steps(task, problems, completion)
    heard = steps.ends * audible(evaluator, problems, steps.ends, first)
    behind = after(evaluator, problems, completion, heard.max(axis=1, initial=0), first)
    number, gold = np.count_nonzero(heard, axis=1), is_answer(problems, first)
    atoms = gold.sum(axis=1)
    guess = -atoms * log(len(np.unique(problems.tokens[gold])))  # among the atoms that answers have
    bounded = gains(np.maximum(before, guess), np.maximum(behind, guess), number, atoms)
    found = gains(before, behind, number, atoms) | {"infogain_bounded": bounded["infogain"]}
    found |= {"ki": knowledge_index(steps)}
    known = {name: rows[~np.isnan(rows)] for name, rows in found.items()}
    return {name: rows for name, rows in known.items() if len(rows)}


def gains(before: Array, behind: Array, steps: NDArray[np.intp], atoms: NDArray[np.intp]) -> dict[str, Array]:
    """Measures (B,) from the log-probabilities of answers before the first step and after the last; NaN without a step.

    - infogain: as published, (PPL_0 - PPL_t) / t of the perplexity per atom. It has no bound, so a few chains that make
      the evaluator sure of a wrong answer dominate its mean.
    - nats: log-probability that all steps together add
    - nats_step: the same, divided by the number of steps
    - steps: the number of steps, t

    `before` and `behind` (B,) are log-probabilities in nats, `steps` (B,) numbers of steps, and `atoms` (B,) numbers of
    atoms of the answers.
    """
    number = np.where(steps > 0, steps, np.nan)
    told = np.where(steps > 0, behind - before, np.nan)
    published = (np.exp(-before / atoms) - np.exp(-behind / atoms)) / number
    return {"infogain": published, "nats": told, "nats_step": told / number, "steps": number}


def information(
    evaluator: Transformer, clean: Batch, completion: NDArray[np.int16], ends: NDArray[np.int16], first_atom: int
) -> Array:
    """(B, K + 1) log-probability, in nats, of the gold answer after 0..K steps of a completion; NaN past the last step.

    The steps of completions (B, C) end after `ends` (B, K) tokens, as in their trace.
    """
    heard = audible(evaluator, clean, ends, first_atom)
    found = np.full((len(clean), ends.shape[1] + 1), np.nan)
    found[:, 0] = unaided(evaluator, clean, first_atom)
    for step in range(ends.shape[1]):
        rows = np.flatnonzero(heard[:, step])
        found[rows, step + 1] = after(evaluator, clean[rows], completion[rows], ends[rows, step], first_atom)
    return found


def unaided(evaluator: Transformer, clean: Batch, first_atom: int) -> Array:
    """(B,) log-probability, in nats, of the gold answer after the bare prompt."""
    none = np.zeros((len(clean), 0), dtype=np.int16)
    return after(evaluator, clean, none, np.zeros(len(clean), dtype=np.int16), first_atom)


def after(
    evaluator: Transformer, clean: Batch, completion: NDArray[np.int16], ends: NDArray[np.int16], first_atom: int
) -> Array:
    """(B,) log-probability, in nats, of the gold answer after the first `ends` (B,) tokens of completions (B, C)."""
    return answered(evaluator, told(clean, completion, ends, first_atom), first_atom)


def told(clean: Batch, completion: NDArray[np.int16], ends: NDArray[np.int16], first_atom: int) -> Batch:
    """Rows for the evaluator to read.

    The prompt is that of `clean`, then the first `ends` (B,) tokens of completions (B, C) and, if there are any, the
    marker. The completion is the gold answer, without its end symbol.
    """
    steps = np.where(np.arange(completion.shape[1]) < ends[:, None], completion, PAD)
    marker = np.where(ends[:, None] > 0, ANSWER, PAD)
    gold = np.where(is_answer(clean, first_atom), clean.tokens, PAD)
    prompt = np.concatenate([clean.prompt(), steps, marker], axis=1)
    role = np.concatenate([np.full(prompt.shape, Role.INSTRUCTION), np.full(gold.shape, Role.ANSWER)], axis=1)
    tokens = np.concatenate([prompt, gold], axis=1).astype(np.int16)
    there = tokens != PAD
    tokens, role = left_justify(tokens, there), left_justify((role - Role.PAD).astype(np.int16), there) + Role.PAD
    return Batch(tokens, role.astype(np.int8), np.full(tokens.shape, -1, dtype=np.int8))


def is_answer(clean: Batch, first_atom: int) -> NDArray[np.bool_]:
    """(B, T) whether each token is an atom of the gold answer."""
    return (clean.role == Role.ANSWER) & (clean.tokens >= first_atom)


def audible(evaluator: Transformer, clean: Batch, ends: NDArray[np.int16], first_atom: int) -> NDArray[np.bool_]:
    """(B, K) whether each step exists and leaves the evaluator room for the marker and the answer.

    Of a chain that goes on to the end of the context, the first steps count as far as there is room.
    """
    rest = clean.prompt_length + is_answer(clean, first_atom).sum(axis=1) + 1
    return (ends > 0) & (rest[:, None] + ends <= evaluator.context)


def knowledge_index(steps: Trace, kind: int | None = None) -> Array:
    """(B,) knowledge index: the share of each chain's steps that are true by the world, given the state before as
    written.

    With `kind`, RECALL or COMPUTE of alchemy.measures.trace, only steps of that kind count. NaN for a chain without
    such a step. Steps that were asked for and not written do not count.

    >>> import alchemy as al
    >>> task = al.compose("task=mixture").task
    >>> rows = al.draw(task, task.train, 50, al.stream(0, "look"))
    >>> float(np.nanmin(knowledge_index(trace_steps(task, rows, rows.completion()))))
    1.0
    """
    judged = (steps.truth >= 0) & (True if kind is None else steps.kind == kind)
    number = judged.sum(axis=1)
    return (judged & (steps.truth == 1)).sum(axis=1) / np.where(number > 0, number, np.nan)
