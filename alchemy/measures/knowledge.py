"""What a model knows and how it answers: the same questions asked fast, slow and freely, knowledge in bits, and what a
loss of knowledge consists of.

fast   an answer at once: openings that are no atom are masked
slow   a chain: its first rule, as read from the prompt, is prefilled
free   the model decides

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
from alchemy.stats.intervals import mean, row_error, share

Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """Of B questions: which are right asked `fast`, `slow` and `free`; which free completions opened a chain, and
    which are `invalid`, neither a chain's opening nor an answer's.
    """

    fast: Bool
    slow: Bool
    free: Bool
    chained: Bool
    invalid: Bool

    def __getitem__(self, rows: Bool) -> "Answers":
        return Answers(self.fast[rows], self.slow[rows], self.free[rows], self.chained[rows], self.invalid[rows])


def slow(task: Terse, model: Transformer, questions: Batch) -> NDArray[np.int16]:
    """(B, C) the greedy completions of `model` that open as a chain."""
    return complete(model, questions, opening=Opening("slow", task.vocabulary.first_atom))


def ask(task: Terse, model: Transformer, questions: Batch, chains: NDArray[np.int16] | None = None) -> Answers:
    """The greedy answers of `model` in all three modes, judged by the world; `chains` are its `slow` ones, if known."""
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
    """Values and standard errors: fast, slow and free accuracy; `gain` = slow - fast = `gain_c` - `gain_o`, the shares
    corrected and spoilt by a chain; `correction` r_c = P(slow right | fast wrong) and `overthinking` r_o = P(slow wrong
    | fast right), NaN where there is none.
    """
    fast, slow = answers.fast, answers.slow
    found = {"fast": share(fast), "slow": share(slow), "free": share(answers.free)}
    found |= {"gain_c": share(~fast & slow), "gain_o": share(fast & ~slow)}
    found |= {"gain": (found["gain_c"][0] - found["gain_o"][0], row_error(slow.astype(np.float64) - fast))}
    found |= {"correction": share(slow[~fast]), "overthinking": share(~slow[fast])}
    return found | {"opens": share(answers.chained), "invalid": share(answers.invalid)}


def stored_bits(task: Terse, model: Transformer, facts: Batch) -> NDArray[np.float64]:
    """(B,) bits that `model` has of each fact, asked fast: max(0, log2 V + log2 p(attribute | an answer is given)).

    `facts` are rows without chain; V counts the attributes that so many digits can make.
    """
    first = task.vocabulary.first_atom
    return bits(answered(model, facts, first), values_of(facts, first))


def values_of(facts: Batch, first_atom: int) -> float:
    """How many attributes there are: of so many atoms as these have, each one that appears among them."""
    atoms = (facts.role == Role.ANSWER) & (facts.tokens >= first_atom)
    return float(len(np.unique(facts.tokens[atoms])) ** int(atoms[0].sum()))


def asked(task: Terse) -> tuple[tuple[Composition, ...], tuple[Composition, ...]]:
    """The compositions of training that recall alone, and those that compute alone."""
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
    """`count` rows of these compositions, all alike, with a chain in a share `chains` of them."""
    where = Distribution(compositions, task.train.length, chains=(chains,) * len(compositions))
    return draw(task, where, count, rng, side)


def exposure(task: Terse, facts: Batch) -> NDArray[np.float64]:
    """(B,) how often training asks about the entity of each fact, against the mean of all."""
    length = int((facts.role[0] == Role.ELEMENT).sum())
    return task.exposure(facts.tokens[:, :length]) if isinstance(task, Exposed) else np.ones(len(facts))


def even(task: Terse, facts: Batch, rng: np.random.Generator) -> Batch:
    """Those of `facts`, drawn as often as training asks about them, that are left if all are to be alike."""
    often = exposure(task, facts)
    return facts[rng.random(len(facts)) < often.min() / often]


def by_exposure(task: Terse, facts: Batch, values: NDArray[np.float64]) -> dict[str, tuple[float, float]]:
    """Means of the bits (B,) of facts of which training asks more often than the mean (head), and less often (tail);
    none where all are alike.
    """
    often = exposure(task, facts)
    head = often > 1
    if not head.any() or np.allclose(often, often[0]):
        return {}
    return {"bits_head": mean(values[head]), "bits_tail": mean(values[~head])}


def halves(task: Terse, batch: Batch) -> Bool:
    """(B,) which rows ask about an entity of the first half of all: by a hash of its names, and so for good."""
    mixed = np.ones(len(batch), dtype=np.uint64)
    for column, role in zip(batch.tokens.T, batch.role.T, strict=True):
        mixed = np.where(role == Role.ELEMENT, stir(mixed, task.vocabulary.keys[column]), mixed)
    return (mixed >> np.uint64(37)) & np.uint64(1) == 0


def split(base: Answers, trained: Answers, relearned: Answers, control: Answers) -> dict[str, float]:
    """What the loss of free accuracy consists of, base less trained, on the same questions; the four parts add up to
    o_loss exactly.

    f_loss        fast accuracy lost, which is `storage`, what relearning other facts does not bring back, and
                  `latent`, what it does; `control` is the base that relearnt the same, since that costs as well
    overthinking  the widening of the gap between fast and free where a chain was opened
    format        the same where neither a chain nor an answer was opened
    """
    lost = base.fast.mean() - trained.fast.mean()
    storage = control.fast.mean() - relearned.fast.mean()
    found = {"o_loss": base.free.mean() - trained.free.mean(), "f_loss": lost, "storage": storage}
    found |= {"latent": lost - storage, "overthinking": gap(trained, trained.chained) - gap(base, base.chained)}
    found |= {"format": gap(trained, ~trained.chained) - gap(base, ~base.chained)}
    return {name: float(value) for name, value in found.items()}


def gap(answers: Answers, rows: Bool) -> float:
    """Share of all questions that are right fast and wrong freely, less the reverse, among some of them."""
    return float(((answers.fast.astype(float) - answers.free) * rows).mean())
