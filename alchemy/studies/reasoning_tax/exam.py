"""What fine-tuning on computing did to a model that computes and knows, measured against its base.

Source: the design is the lab's own; the divergence after arXiv:2509.04259, restoration and the split of the loss after
arXiv:2501.13453 and 2507.18178.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import log2

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import verify
from alchemy.data.batch import Batch
from alchemy.data.sampling import span
from alchemy.data.seeds import stream
from alchemy.data.task import Composition, Distribution, Terse
from alchemy.internals.weights import Portion, change, changed, mixed, parts
from alchemy.measures.information import chain, knowledge_index, unaided
from alchemy.measures.knowledge import (
    Answers,
    ask,
    asked,
    by_exposure,
    even,
    halves,
    questions,
    rates,
    slow,
    split,
    stored_bits,
    values_of,
)
from alchemy.measures.trace import RECALL, trace_steps
from alchemy.models.decoding import complete
from alchemy.models.likelihood import divergence, opening, threshold
from alchemy.models.transformer import Transformer
from alchemy.stats.intervals import mean, share
from alchemy.studies.reasoning_tax.coordinates import Part
from alchemy.training.sources import sampled

Found = dict[Part, dict[str, tuple[float, float]]]  # by part and metric, value and standard error


@dataclass(frozen=True)
class Exam:
    """The questions of one seed: `facts` that training stated, often or not, all alike; `problems` of several steps on
    the test side, those of `unseen` compositions and of `deeper` ones; `written` and `facts_written`, what `base` makes
    of problems and facts at temperature 1; `second`, which facts are of the half that is never taught again.
    """

    task: Terse
    base: Transformer
    facts: Batch
    problems: Batch
    unseen: Batch
    deeper: Batch
    written: Batch
    facts_written: Batch
    second: NDArray[np.bool_]

    @cached_property
    def known(self) -> Answers:
        return ask(self.task, self.base, self.facts)

    @cached_property
    def unaided(self) -> NDArray[np.float64]:
        return unaided(self.base, self.problems, self.task.vocabulary.first_atom)

    def unshown(self) -> "Exam":
        """The same with those facts alone that are never taught again."""
        some = self.second
        return replace(self, facts=self.facts[some], facts_written=self.facts_written[some], second=some[some])

    def opening(self, model: Transformer, batch: Batch) -> NDArray[np.float64]:
        return opening(model, batch, self.task.vocabulary.first_atom)


def exam(task: Terse, base: Transformer, count: int, seed: int) -> Exam:
    """`count` questions of each kind. Raises ValueError where the world lacks one, or the model cannot read it."""
    recalled, computed = asked(task)
    longest = max(map(len, computed), default=0)
    steps = [composition for composition in computed if len(composition) > 1]
    unseen = task.train.held_out.compositions
    if not recalled or not steps or not unseen:
        raise ValueError(
            "study=reasoning_tax needs a world with facts, with problems of several operations, and with compositions "
            "that are held out: use task=mixture"
        )
    rng = stream(seed, "deeper")
    deeper = tuple({(*steps[i], steps[i][0]) for i in rng.integers(0, len(steps), 200) if len(steps[i]) == longest})
    needs_room(task, base, deeper)
    drawn = stream(seed, "facts")
    facts = even(task, questions(task, recalled, 8 * count, drawn, "train", 0.0), drawn)[:count]
    problems = questions(task, tuple(steps), count, stream(seed, "problems"), "test", 1.0)
    return Exam(
        task,
        base,
        facts,
        problems,
        unseen=questions(task, unseen, count, stream(seed, "unseen"), "test", 1.0),
        deeper=questions(task, deeper, count, stream(seed, "deeper"), "test", 1.0),
        written=sampled(base, problems, stream(seed, "written")),
        facts_written=sampled(base, facts, stream(seed, "written", "facts")),
        second=~halves(task, facts),
    )


def needs_room(task: Terse, base: Transformer, deeper: tuple[Composition, ...]) -> None:
    """Raises ValueError for a model whose context cuts the longest chains, that has no halves, or reads pieces."""
    if len(base.blocks) < 2:
        raise ValueError("study=reasoning_tax restores halves of the layers: set model.layers=2 or more")
    if base.tokenizer:
        raise ValueError("study=reasoning_tax opens completions with whole symbols: use tokens=symbols")
    if (tokens := sum(span(task, Distribution(deeper, task.train.length)))) > base.context:
        raise ValueError(
            f"study=reasoning_tax asks for one operation more than training does, in rows of up to {tokens} tokens, "
            f"and model.context={base.context} holds fewer: set model.context={tokens} or more"
        )


def moved(exam: Exam, model: Transformer) -> tuple[float, float]:
    """How far fine-tuning has come, cheaply, for every step: the mean rate of opening a chain on problems, at
    temperature 1, and the forward KL to the base, in nats a completion.
    """
    return float(exam.opening(model, exam.problems)[:, 0].mean()), float(
        divergence(exam.base, model, exam.written).mean()
    )


def progress(exam: Exam, model: Transformer) -> Found:
    """By part and metric, value and standard error over the rows: what `model` can, knows, and has moved."""
    bits = stored_bits(exam.task, model, exam.facts)
    before, after = exam.base.state_dict(), model.state_dict()
    worked, recalled = slow(exam.task, model, exam.problems), slow(exam.task, model, exam.facts)
    computed = ask(exam.task, model, exam.problems, worked)
    knows = ask(exam.task, model, exam.facts, recalled)
    told = chain(exam.task, exam.base, exam.problems, worked, exam.unaided)
    free = {
        name: share(verify(exam.task, batch, complete(model, batch)))
        for name, batch in (("ood", exam.unseen), ("deeper", exam.deeper))
    }
    moves = {portion: {"norm": (value, 0.0)} for portion, value in change(before, after).items()}
    every = moves.pop(Portion("all"))
    return {
        Part("procedural"): {
            "free": share(computed.free),
            "fast": share(computed.fast),
            "slow": share(computed.slow),
            "opens": share(computed.chained),
            "opening": mean(exam.opening(model, exam.problems)[:, 0]),
            **free,
        },
        Part("knowledge"): {
            "bits": mean(bits),
            **by_exposure(exam.task, exam.facts, bits),
            "opening": mean(exam.opening(model, exam.facts)[:, 0]),
            **rates(knows),
        },
        Part("chain"): {
            **{name: mean(rows) for name, rows in told.items()},
            "ki_recall": share(knowledge_index(trace_steps(exam.task, exam.facts, recalled), RECALL)),
        },
        Part("update"): {
            "kl": mean(divergence(exam.base, model, exam.written)),
            "kl_facts": mean(divergence(exam.base, model, exam.facts_written)),
            **every,
            "changed": (changed(before, after), 0.0),
        },
        **{Part("update", "-", *portion): values for portion, values in moves.items()},
    }


def start(exam: Exam) -> Found:
    """What the base says of the threshold above which chains are opened greedily; the rate of chains that it was
    trained on, of problems of several steps; and the bits that a fact has at most.
    """
    effective, rate = threshold(exam.opening(exam.base, exam.problems))
    found = {"v_eff": effective, "p_star": rate, "p_cot": chained(exam.task)}
    found |= {"capacity": log2(values_of(exam.facts, exam.task.vocabulary.first_atom))}
    return {Part("threshold"): {name: (value, 0.0) for name, value in found.items()}}


def chained(task: Terse) -> float:
    """The share of training's rows that compute in several steps that is written with a chain."""
    train, computed = task.train, set(asked(task)[1])
    number = len(train.compositions)
    shares, chains = train.shares or (1.0,) * number, train.chains or (1.0,) * number
    several = [composition in computed and len(composition) > 1 for composition in train.compositions]
    return float(np.average(np.array(chains)[several], weights=np.array(shares)[several]))


def loss(exam: Exam, model: Transformer, again: Transformer, control: Transformer) -> dict[str, tuple[float, float]]:
    """What the loss of knowledge consists of, on the half of the facts that is not taught again, in accuracy, and in
    bits of fast answers. `again` is `model`, and `control` the base, that was taught the other half again: what this
    costs the control (`control_bits`) is no doing of the arm.
    """
    rest = exam.facts[exam.second]
    found = split(exam.known[exam.second], *(ask(exam.task, one, rest) for one in (model, again, control)))
    before, after, later, other = (  # of all facts, so that each is of the same number of values
        float(stored_bits(exam.task, one, exam.facts)[exam.second].mean()) for one in (exam.base, model, again, control)
    )
    found |= {"lost_bits": before - after, "storage_bits": other - later, "control_bits": before - other}
    found |= {"latent_bits": found["lost_bits"] - found["storage_bits"]}
    return {name: (value, 0.0) for name, value in found.items()}


def restoration(exam: Exam, model: Transformer, seed: int, match: str) -> Found:
    """For each portion of the weights, as parts restore and graft of `match`: the share of lost `bits` that comes back
    and the share of the `gain` that stays when it goes back to the base, with `free` accuracy on problems; and what of
    both the base gets when it is given the portion. The gain is in the logit of opening a chain; `halfway` is the whole
    change halved.
    """
    first, last = standing(exam, exam.base), standing(exam, model)
    found: Found = {}
    for part, portion, other in patched(exam, model, seed):
        bits, logit = standing(exam, other)
        lost, gained = first[0] - last[0], last[1] - first[1]
        back = ratio(first[0] - bits if part == "graft" else bits - last[0], lost)
        here = {"bits": (back, 0.0), "gain": (ratio(logit - first[1], gained), 0.0)}
        if part == "restore":
            here["free"] = share(verify(exam.task, exam.problems, complete(other, exam.problems)))
        found[Part(part, match, *portion)] = here
    return found


def patched(exam: Exam, model: Transformer, seed: int) -> Iterator[tuple[str, Portion, Transformer]]:
    """Each portion put back to the base (restore), then each grafted onto it (graft)."""
    every = parts(model, stream(seed, "halves"))
    for portion, names in every.items():
        yield "restore", portion, mixed(exam.base, model, names)
    yield "restore", Portion("halfway"), mixed(exam.base, model, every[Portion("all")], 0.5)
    for portion, names in every.items():
        yield "graft", portion, mixed(model, exam.base, names)


def standing(exam: Exam, model: Transformer) -> tuple[float, float]:
    """Mean bits of facts, and the mean logit of opening a chain on problems."""
    rate = np.clip(exam.opening(model, exam.problems)[:, 0], 1e-9, 1 - 1e-9)
    return float(stored_bits(exam.task, model, exam.facts).mean()), float(np.log(rate / (1 - rate)).mean())


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
