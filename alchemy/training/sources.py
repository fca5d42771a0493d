"""Sources of rows for fine-tuning a model that knows facts and computes, one for each arm of the study.

Every arm learns from computing alone, on problems of the train side:

    gold       the task's own chains                direct     the answers alone
    self       the base's own right chains          foreign    chains in a form that the base has never seen
    rlvr       rewards for right answers            random     rewards that are drawn
    unrelated  copying digits, with no rule         gold_rlvr  gold for a quarter of the steps, then rlvr
    one_shot   rewards for right answers to one single problem

Source: the design of the study is the lab's own; arms after arXiv:2506.02126, 2509.04259 and 2504.20571.

Shapes: B rows, T tokens, C of a completion, G prompts, N samples of each.
"""

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import verify
from alchemy.data.batch import Batch, Role, concatenate, left_justify
from alchemy.data.task import Terse
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.models.decoding import Opening, complete
from alchemy.models.transformer import Transformer
from alchemy.training.fit import Source

CANDIDATES, TRIES = 64, 64  # problems from which one is chosen, and chains sampled for each


def rows_answered(prompts: Batch, completion: NDArray[np.int16], context: int) -> Batch:
    """Rows with the prompts of a batch and other completions (B, C). An end symbol follows where it fits into
    `context`.
    """
    ended = prompts.prompt_length + (completion != PAD).sum(axis=1) < context
    tokens = np.concatenate([prompts.prompt(), completion, np.where(ended, END, PAD)[:, None]], axis=1).astype(np.int16)
    marked = (completion == ANSWER).any(axis=1, keepdims=True)
    after = np.cumsum(completion == ANSWER, axis=1) > 0
    written = np.where(marked & ~after, Role.CHAIN, Role.ANSWER)
    role = np.concatenate([prompts.role, written, np.full((len(prompts), 1), Role.ANSWER)], axis=1).astype(np.int8)
    keep = tokens != PAD
    step = np.where(role == Role.CHAIN, 0, -1).astype(np.int8)
    return Batch(
        left_justify(tokens, keep),
        left_justify(role - np.int8(Role.PAD), keep) + np.int8(Role.PAD),
        left_justify(step + np.int8(1), keep) - np.int8(1),
    )


def sampled(model: Transformer, prompts: Batch, rng: np.random.Generator, opening: Opening | None = None) -> Batch:
    """Rows with the prompts of a batch and completions that the model samples at temperature 1."""
    return rows_answered(prompts, complete(model, prompts, 1.0, rng, opening), model.context)


def own_right(task: Terse, base: Transformer, source: Source, rng: np.random.Generator) -> Source:
    """A source of rows whose chains the base samples itself, only of those that end in the right answer. The source
    raises ValueError if too few of them do.
    """
    slow = Opening("slow", task.vocabulary.first_atom)

    def rows(count: int) -> Batch:
        found: list[Batch] = []
        for _ in range(20):
            prompts = source(2 * count)
            written = sampled(base, prompts, rng, slow)
            found.append(written[verify(task, prompts, written.completion())])
            if sum(map(len, found)) >= count:
                return concatenate(found)[:count]
        raise ValueError("the base hardly ever writes a right chain, so arm=self has no rows: train it longer")

    return rows


def one_problem(task: Terse, base: Transformer, source: Source, rng: np.random.Generator) -> Source:
    """A source that repeats one row of `source`. It is, of CANDIDATES rows, the one whose share of right answers, in
    TRIES completions that the base samples with a chain, is above 0 and nearest to one half; the first, if there are
    several. Raises ValueError where the base is never right.

    Source: one-shot RLVR (arXiv:2504.20571), whose problem is one with a reward that varies.
    """
    problems = source(CANDIDATES)
    asked = problems[np.repeat(np.arange(CANDIDATES), TRIES)]
    # slow: otherwise problems whose answer is easily guessed without a chain would be chosen
    written = complete(base, asked, 1.0, rng, Opening("slow", task.vocabulary.first_atom))
    right = verify(task, asked, written).reshape(CANDIDATES, TRIES).mean(axis=1)
    if not right.any():
        raise ValueError("the base never writes a right chain, so arm=one_shot has no rewards: train it longer")
    chosen = int(np.where(right > 0, np.abs(right - 0.5), 1.0).argmin())
    return lambda count: problems[np.full(count, chosen)]


def foreign(rows: Batch) -> Batch:
    """The rows with each state of their gold chains written from the last digit to the first. The rules in the chain,
    its length and the answer stay.
    """
    tokens = rows.tokens.copy()
    for step in range(int(rows.step.max(initial=-1)) + 1):
        here = rows.step == step
        for shape in np.unique(here, axis=0):  # rows whose chains stand at the same places
            columns = np.flatnonzero(shape)[1:]  # the first is the rule
            some = np.flatnonzero((here == shape).all(axis=1))
            if len(columns):
                tokens[np.ix_(some, columns)] = rows.tokens[np.ix_(some, columns[::-1])]
    return Batch(tokens, rows.role, rows.step)


def copies(rows: Batch) -> Batch:
    """Rows with the elements of `rows` as prompts, without any rule, and the same elements as answers."""
    length = int((rows.role[0] == Role.ELEMENT).sum())
    element = rows.tokens[:, :length]
    end = np.full((len(rows), 1), END, dtype=np.int16)
    tokens = np.concatenate([element, element, end], axis=1)
    role = np.repeat([Role.ELEMENT, Role.ANSWER], [length, length + 1]).astype(np.int8)
    return Batch(tokens, np.broadcast_to(role, tokens.shape), np.full(tokens.shape, -1, dtype=np.int8))
