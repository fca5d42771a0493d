"""Knowledge of a model: how it answers in three modes, how many bits of facts it stores, and what a loss consists of.

- fast: it answers at once; openings that are not an atom are masked
- slow: it writes a chain, whose first rule is copied from the prompt and prefilled
- free: it decides itself

Source: the gain of reasoning and its parts, after arXiv:2507.18178; the split of the loss is the lab's own.

Shapes: B rows, T tokens.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import verify
from alchemy.data.batch import Batch, Role
from alchemy.data.sampling import draw, stir
from alchemy.data.task import Composition, Distribution, Exposed, Side, Terse
from alchemy.data.vocabulary import PAD
from alchemy.models.decoding import Opening, complete
from alchemy.models.likelihood import answered, bits
from alchemy.models.transformer import Transformer
from alchemy.stats.rows import mean, row_error, share

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """Outcomes of B questions.

    - `fast`, `slow`, `free`: whether the answer in that mode is right
    - `chained`: whether the free completion opens a chain
    - `invalid`: whether the free completion opens neither a chain nor an answer
    """

    fast: Bool
    slow: Bool
    free: Bool
    chained: Bool
    invalid: Bool

    def __getitem__(self, rows: Bool) -> "Answers":
        return Answers(self.fast[rows], self.slow[rows], self.free[rows], self.chained[rows], self.invalid[rows])


def slow(task: Terse, model: Transformer, questions: Batch) -> NDArray[np.int16]:
    """(B, C) greedy completions of `model` that are made to open a chain."""
    return complete(model, questions, opening=Opening("slow", task.vocabulary.first_atom))


def ask(task: Terse, model: Transformer, questions: Batch, chains: NDArray[np.int16] | None = None) -> Answers:
    """Outcomes of the greedy answers of `model` in all three modes, judged by the world.

    `chains` are its `slow` completions, if they are known already.

    >>> import alchemy as al
    >>> plan = al.compose("task=mixture")
    >>> rows = al.draw(plan.task, plan.task.train, 50, al.stream(0, "look"))
    >>> ask(plan.task, plan.model, rows).fast.shape
    (50,)
    """
    first = task.vocabulary.first_atom
    free = complete(model, questions)
    opened = free[:, 0] if free.shape[1] else np.full(len(questions), PAD, dtype=np.int16)
    chained = (opened >= task.vocabulary.first_rule) & (opened < first)
    return Answers(
        fast=verify(task, questions, complete(model, questions, opening=Opening("fast", first))),
        slow=verify(task, questions, slow(task, model, questions) if chains is None else chains),
        free=verify(task, questions, free),
        chained=chained,
        invalid=opened < task.vocabulary.first_rule,
    )


def rates(answers: Answers) -> dict[str, tuple[float, float]]:
    """Rates over questions by name, each with its standard error.

    - fast, slow, free: accuracy in that mode
    - gain: slow less fast accuracy, which is gain_c less gain_o
    - gain_c, gain_o: the shares of all questions that a chain corrects, and that it spoils
    - correction: r_c = P(slow right | fast wrong), NaN if no fast answer is wrong
    - overthinking: r_o = P(slow wrong | fast right), NaN if no fast answer is right
    - opens, invalid: the shares of free completions that open a chain, and that open neither chain nor answer
    """
    fast, slow = answers.fast, answers.slow
    found = {"fast": share(fast), "slow": share(slow), "free": share(answers.free)}
    found |= {"gain_c": share(~fast & slow), "gain_o": share(fast & ~slow)}
    found |= {"gain": (found["gain_c"][0] - found["gain_o"][0], row_error(slow.astype(np.float64) - fast))}
    found |= {"correction": share(slow[~fast]), "overthinking": share(~slow[fast])}
    return found | {"opens": share(answers.chained), "invalid": share(answers.invalid)}


def stored_bits(task: Terse, model: Transformer, facts: Batch) -> NDArray[np.float64]:
    """(B,) bits that `model` stores of each fact: max(0, log2 V + log2 p(attribute | an answer is given)).

    `facts` are rows without a chain. V is the number of possible attributes (see `values_of`). Answers are fast.

    >>> import alchemy as al
    >>> plan = al.compose("task=facts")
    >>> facts = al.draw(plan.task, plan.task.train, 50, al.stream(0, "look"))
    >>> stored_bits(plan.task, plan.model, facts).shape
    (50,)
    """
    first = task.vocabulary.first_atom
    return bits(answered(model, facts, first), values_of(facts, first))


def values_of(facts: Batch, first_atom: int) -> float:
    """Number of possible attributes: the different atoms in the answers of `facts`, to the power of the atoms per
    answer.
    """
    atoms = (facts.role == Role.ANSWER) & (facts.tokens >= first_atom)
    return float(len(np.unique(facts.tokens[atoms])) ** int(atoms[0].sum()))


def asked(task: Terse) -> tuple[tuple[Composition, ...], tuple[Composition, ...]]:
    """Compositions of training that only recall, and those that only compute.

    Raises ValueError for a world that does not say of each rule whether it recalls or computes.
    """
    kinds = getattr(task, "kinds", None)
    if kinds is None:
        raise ValueError("study=reasoning_tax needs a world that recalls and computes: use task=mixture")
    found = {
        kind: tuple(c for c in task.train.compositions if {kinds[rule] for rule in c} == {kind})
        for kind in ("recall", "compute")
    }
    return found["recall"], found["compute"]


def questions(
    task: Terse, compositions: tuple[Composition, ...], count: int, rng: np.random.Generator, side: Side, chains: float
) -> Batch:
    """`count` rows of these compositions, all equally likely. A share `chains` of the rows has a chain."""
    rates = (chains,) * len(compositions)
    where = Distribution(compositions, task.train.length, chains=rates, split=task.train.split)
    return draw(task, where, count, rng, side)


def exposure(task: Terse, facts: Batch) -> NDArray[np.float64]:
    """(B,) how often training asks about the entity of each fact, relative to the mean over all entities."""
    length = int((facts.role[0] == Role.ELEMENT).sum())
    return task.exposure(facts.tokens[:, :length]) if isinstance(task, Exposed) else np.ones(len(facts))


def subsample_uniform(task: Terse, facts: Batch, rng: np.random.Generator) -> Batch:
    """Subsample of `facts` in which all entities are equally likely, although training asks about some more often.

    `facts` are drawn as often as training asks about them. Each is kept with a probability inverse to that.
    """
    often = exposure(task, facts)
    return facts[rng.random(len(facts)) < often.min() / often]


def by_exposure(task: Terse, facts: Batch, values: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Mean of `values` (B,), the bits of facts, with standard errors, for two groups of facts.

    Training asks about those of bits_head more often than about the mean entity, and about those of bits_tail not.
    Empty if all are asked about alike.
    """
    often = exposure(task, facts)
    head = often > 1
    if not head.any() or np.allclose(often, often[0]):
        return {}
    return {"bits_head": mean(values[head]), "bits_tail": mean(values[~head])}


def halves(task: Terse, batch: Batch) -> Bool:
    """(B,) whether each row asks about an entity in the first half of all.

    The half is decided by a hash of the entity's names, so it is the same in every run.
    """
    mixed = np.ones(len(batch), dtype=np.uint64)
    for column, role in zip(batch.tokens.T, batch.role.T, strict=True):
        mixed = np.where(role == Role.ELEMENT, stir(mixed, task.vocabulary.keys[column]), mixed)
    return (mixed >> np.uint64(37)) & np.uint64(1) == 0


def split(base: Answers, trained: Answers, relearned: Answers, control: Answers) -> dict[str, float]:
    """Parts of the loss of free accuracy from `base` to `trained`, on the same questions. The last four add up to
    o_loss.

    - o_loss: free accuracy lost
    - f_loss: fast accuracy lost, the sum of storage and latent
    - storage: fast accuracy that does not come back when other facts are relearned. `control` is the base that
      relearned the same facts, since that has a cost as well.
    - latent: fast accuracy that does come back
    - overthinking: how much wider the gap between fast and free became, where a chain was opened
    - format: the same, where neither a chain nor an answer was opened
    """
    lost = base.fast.mean() - trained.fast.mean()
    storage = control.fast.mean() - relearned.fast.mean()
    found = {"o_loss": base.free.mean() - trained.free.mean(), "f_loss": lost, "storage": storage}
    found |= {"latent": lost - storage, "overthinking": gap(trained, trained.chained) - gap(base, base.chained)}
    found |= {"format": gap(trained, ~trained.chained) - gap(base, ~base.chained)}
    return {name: float(value) for name, value in found.items()}


def gap(answers: Answers, rows: Bool) -> float:
    """Share of questions that are right fast and wrong freely, less the share of the reverse.

    Both are shares of all questions, but only `rows` (B,) are counted.
    """
    return float(((answers.fast.astype(float) - answers.free) * rows).mean())
