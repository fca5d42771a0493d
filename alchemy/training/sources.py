"""What a model that computes and knows is fine-tuned on: rows, rewards, and what is to keep its knowledge.

Every arm learns from computing alone, on problems of the training side:

gold       the world's own chains               direct     the answers alone
self       the base's own right chains          foreign    chains in a form that the base has never seen
rlvr       rewards for right answers            random     rewards that are drawn
unrelated  copying digits, no rule asked for      gold_rlvr  the world's chains for a quarter of the steps, then rewards
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

CANDIDATES, TRIES = 64, 64  # problems that one is chosen of, and chains sampled for each


def answered(prompts: Batch, completion: NDArray[np.int16], context: int) -> Batch:
    """The prompts of a batch with other completions (B, C), and an end symbol where they end within `context`."""
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
    """The prompts with what the model writes after them at temperature 1."""
    return answered(prompts, complete(model, prompts, 1.0, rng, opening), model.context)


def own_right(task: Terse, base: Transformer, source: Source, rng: np.random.Generator) -> Source:
    """Chains that the base samples itself and that end right. Raises ValueError where hardly any does."""
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
    """One row of `source` again and again: of CANDIDATES that one whose share of right chains, of TRIES that the base
    samples slow, is nearest to one half, the first of several. Raises ValueError where the base is right in none.

    Source: one-shot RLVR (arXiv:2504.20571), whose problem is one with a reward that varies.
    """
    problems = source(CANDIDATES)
    asked = problems[np.repeat(np.arange(CANDIDATES), TRIES)]
    # slow: asked freely, problems whose answer is easily guessed without a chain would look best
    written = complete(base, asked, 1.0, rng, Opening("slow", task.vocabulary.first_atom))
    right = verify(task, asked, written).reshape(CANDIDATES, TRIES).mean(axis=1)
    if not right.any():
        raise ValueError("the base never writes a right chain, so arm=one_shot has no rewards: train it longer")
    chosen = int(np.where(right > 0, np.abs(right - 0.5), 1.0).argmin())
    return lambda count: problems[np.full(count, chosen)]


def foreign(rows: Batch) -> Batch:
    """Gold chains whose states are written from the last digit to the first; opening, length and answer stay."""
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
    """The elements of rows, with nothing asked for, and themselves as the answer."""
    length = int((rows.role[0] == Role.ELEMENT).sum())
    element = rows.tokens[:, :length]
    end = np.full((len(rows), 1), END, dtype=np.int16)
    tokens = np.concatenate([element, element, end], axis=1)
    role = np.repeat([Role.ELEMENT, Role.ANSWER], [length, length + 1]).astype(np.int8)
    return Batch(tokens, np.broadcast_to(role, tokens.shape), np.full(tokens.shape, -1, dtype=np.int8))
