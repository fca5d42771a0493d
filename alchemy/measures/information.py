"""What a chain tells: how much likelier its steps make the gold answer, and which of them are true.

A fixed evaluator, the base and never the model that wrote the chain, gives the log-probability of the gold answer after
the prompt and the steps 1..i:

    i = 0   1 2 3 [a] [b]                                   4 6 8
    i = 1   1 2 3 [a] [b]  [a] 2 3 4            <answer>    4 6 8
    i = t   1 2 3 [a] [b]  [a] 2 3 4 [b] 4 6 8  <answer>    4 6 8

The base was taught both ends in this form: answers follow a bare prompt at once, where a marker never stands, and a
chain's last step with the marker between, where an atom alone would be read as more of the state. All is given that an
answer comes, as `answered` says, so that how seldom a model opens with one counts for nothing. Behind the last step it
copies the state, right or wrong. Between the ends a marker comes sooner than it ever saw one, and is sure of an answer
that is neither: single steps tell nothing that could be read, so only their sum is reported, or that by their number.

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
    """What is known of chains, completions (B, C) of problems, a number for each row that has a step: its `gains`, its
    InfoGain were no answer less likely than a guess (infogain_bounded), and its knowledge index (ki). Nothing is known
    of no chain. `before` (B,) is what `unaided` says of the same problems.
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
    """From log-probabilities (B,), in nats, before the first of so many `steps` (B,) and behind the last, of answers of
    so many `atoms` (B,); NaN without a step:

    infogain  as published, (PPL_0 - PPL_t) / t of the perplexity per atom, which has no bound: a few chains that make
              the evaluator sure of a wrong answer rule its mean
    nats      what all steps together tell, nats_step each of them on average; steps, their number t
    """
    number = np.where(steps > 0, steps, np.nan)
    told = np.where(steps > 0, behind - before, np.nan)
    published = (np.exp(-before / atoms) - np.exp(-behind / atoms)) / number
    return {"infogain": published, "nats": told, "nats_step": told / number, "steps": number}


def information(
    evaluator: Transformer, clean: Batch, completion: NDArray[np.int16], ends: NDArray[np.int16], first_atom: int
) -> Array:
    """(B, K + 1) log-probability, in nats, of the gold answer after 0..K steps of completions (B, C), which end where
    `ends` (B, K) of their trace says; NaN past the last step.
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
    """Rows whose prompt is that of `clean`, then the first `ends` (B,) tokens of completions (B, C), and after any such
    the marker; and whose completion is the gold answer, without its end symbol.
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
    """(B, T) which tokens are the atoms of gold answers."""
    return (clean.role == Role.ANSWER) & (clean.tokens >= first_atom)


def audible(evaluator: Transformer, clean: Batch, ends: NDArray[np.int16], first_atom: int) -> NDArray[np.bool_]:
    """(B, K) which steps are there and leave the evaluator room for marker and answer: a chain that goes on to the end
    of the context is heard as far as that.
    """
    rest = clean.prompt_length + is_answer(clean, first_atom).sum(axis=1) + 1
    return (ends > 0) & (rest[:, None] + ends <= evaluator.context)


def knowledge_index(steps: Trace, kind: int | None = None) -> Array:
    """(B,) the share of each chain's steps, or of those of a kind, that are true by the world, given the state before
    as it is written; NaN without such a step. Steps that were asked for and not written count for nothing.
    """
    judged = (steps.truth >= 0) & (True if kind is None else steps.kind == kind)
    number = judged.sum(axis=1)
    return (judged & (steps.truth == 1)).sum(axis=1) / np.where(number > 0, number, np.nan)
