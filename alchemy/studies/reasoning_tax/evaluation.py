"""Evaluation of a model that was fine-tuned on computing: what it can do and knows, compared with its base.

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
    halves,
    questions,
    rates,
    slow,
    split,
    stored_bits,
    subsample_uniform,
    values_of,
)
from alchemy.measures.trace import RECALL, trace_steps
from alchemy.models.decoding import complete
from alchemy.models.likelihood import divergence, opening, threshold
from alchemy.models.transformer import Transformer
from alchemy.stats.rows import mean, share
from alchemy.studies.reasoning_tax.coordinates import Part
from alchemy.training.sources import sampled

Found = dict[Part, dict[str, tuple[float, float]]]  # by part and metric, value and standard error


@dataclass(frozen=True)
class EvaluationSet:
    """Evaluation set of one seed: questions, and what the base makes of them.

    - `facts`: facts that training stated, all equally likely, however often training stated them
    - `problems`: problems of several steps, from the test side
    - `unseen`: problems with compositions that training held out
    - `deeper`: problems one step deeper than training's
    - `written`, `facts_written`: problems and facts with completions that `base` sampled at temperature 1
    - `second`: which facts are of the half that is never taught again
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
        """Outcomes of the base on the facts."""
        return ask(self.task, self.base, self.facts)

    @cached_property
    def unaided(self) -> NDArray[np.float64]:
        """Log-probability that the base gives to the gold answer of each problem, after the bare prompt."""
        return unaided(self.base, self.problems, self.task.vocabulary.first_atom)

    def unshown(self) -> "EvaluationSet":
        """The same evaluation set with only the facts that are never taught again."""
        some = self.second
        return replace(self, facts=self.facts[some], facts_written=self.facts_written[some], second=some[some])

    def opening(self, model: Transformer, batch: Batch) -> NDArray[np.float64]:
        """(B, 2) opening probabilities of `model`, see alchemy.models.likelihood.opening."""
        return opening(model, batch, self.task.vocabulary.first_atom)


def evaluation_set(task: Terse, base: Transformer, count: int, seed: int) -> EvaluationSet:
    """Evaluation set with at most `count` questions of each kind.

    Raises ValueError if the world has no such questions, or the model cannot read them.
    """
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
    facts = subsample_uniform(task, questions(task, recalled, 8 * count, drawn, "train", 0.0), drawn)[:count]
    problems = questions(task, tuple(steps), count, stream(seed, "problems"), "test", 1.0)
    return EvaluationSet(
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
    """Raises ValueError for a model whose context cuts the longest chains, that has fewer than two layers, or that
    reads pieces.
    """
    if len(base.blocks) < 2:
        raise ValueError("study=reasoning_tax restores halves of the layers: set model.layers=2 or more")
    if base.tokenizer:
        raise ValueError("study=reasoning_tax opens completions with whole symbols: use tokens=symbols")
    if (tokens := sum(span(task, Distribution(deeper, task.train.length)))) > base.context:
        raise ValueError(
            f"study=reasoning_tax asks for one operation more than training does, in rows of up to {tokens} tokens, "
            f"and model.context={base.context} holds fewer: set model.context={tokens} or more"
        )


def distance_moved(evaluation: EvaluationSet, model: Transformer) -> tuple[float, float]:
    """How far fine-tuning has changed a model: two numbers that are cheap enough for every step.

    They are the mean probability of opening a chain on problems, at temperature 1, and the forward KL from the base, in
    nats per completion.
    """
    return float(evaluation.opening(model, evaluation.problems)[:, 0].mean()), float(
        divergence(evaluation.base, model, evaluation.written).mean()
    )


def measure_model(evaluation: EvaluationSet, model: Transformer) -> Found:
    """Whole measurement of `model`, by part and metric, each value with its standard error over rows.

    The parts are procedural (what it can do), knowledge (what it knows), chain (what its chains tell) and update (how
    far it has moved from the base).
    """
    bits = stored_bits(evaluation.task, model, evaluation.facts)
    before, after = evaluation.base.state_dict(), model.state_dict()
    worked, recalled = slow(evaluation.task, model, evaluation.problems), slow(evaluation.task, model, evaluation.facts)
    computed = ask(evaluation.task, model, evaluation.problems, worked)
    knows = ask(evaluation.task, model, evaluation.facts, recalled)
    told = chain(evaluation.task, evaluation.base, evaluation.problems, worked, evaluation.unaided)
    free = {
        name: share(verify(evaluation.task, batch, complete(model, batch)))
        for name, batch in (("ood", evaluation.unseen), ("deeper", evaluation.deeper))
    }
    moves = {portion: {"norm": (value, 0.0)} for portion, value in change(before, after).items()}
    every = moves.pop(Portion("all"))
    return {
        Part("procedural"): {
            "free": share(computed.free),
            "fast": share(computed.fast),
            "slow": share(computed.slow),
            "opens": share(computed.chained),
            "opening": mean(evaluation.opening(model, evaluation.problems)[:, 0]),
            **free,
        },
        Part("knowledge"): {
            "bits": mean(bits),
            **by_exposure(evaluation.task, evaluation.facts, bits),
            "opening": mean(evaluation.opening(model, evaluation.facts)[:, 0]),
            **rates(knows),
        },
        Part("chain"): {
            **{name: mean(rows) for name, rows in told.items()},
            "ki_recall": share(knowledge_index(trace_steps(evaluation.task, evaluation.facts, recalled), RECALL)),
        },
        Part("update"): {
            "kl": mean(divergence(evaluation.base, model, evaluation.written)),
            "kl_facts": mean(divergence(evaluation.base, model, evaluation.facts_written)),
            **every,
            "changed": (changed(before, after), 0.0),
        },
        **{Part("update", "-", *portion): values for portion, values in moves.items()},
    }


def start(evaluation: EvaluationSet) -> Found:
    """Numbers that are measured once, on the base, in the part threshold.

    - v_eff and p_star: those of alchemy.models.likelihood.threshold; above the rate p_star, chains are opened greedily
    - p_cot: the rate of chains that the base was trained on, for problems of several steps
    - capacity: the bits that a fact has at most
    """
    effective, rate = threshold(evaluation.opening(evaluation.base, evaluation.problems))
    found = {"v_eff": effective, "p_star": rate, "p_cot": chained(evaluation.task)}
    found |= {"capacity": log2(values_of(evaluation.facts, evaluation.task.vocabulary.first_atom))}
    return {Part("threshold"): {name: (value, 0.0) for name, value in found.items()}}


def chained(task: Terse) -> float:
    """Share of training's rows of computing in several steps that is written with a chain."""
    train, computed = task.train, set(asked(task)[1])
    number = len(train.compositions)
    shares, chains = train.shares or (1.0,) * number, train.chains or (1.0,) * number
    several = [composition in computed and len(composition) > 1 for composition in train.compositions]
    return float(np.average(np.array(chains)[several], weights=np.array(shares)[several]))


def loss(
    evaluation: EvaluationSet, model: Transformer, again: Transformer, control: Transformer
) -> dict[str, tuple[float, float]]:
    """Parts of the loss of knowledge, on the half of the facts that is not taught again: in accuracy, and in bits.

    `again` is `model` after the other half was taught again, and `control` is the base after the same.
    """
    rest = evaluation.facts[evaluation.second]
    found = split(
        evaluation.known[evaluation.second], *(ask(evaluation.task, one, rest) for one in (model, again, control))
    )
    bits = [untaught_bits(evaluation, one) for one in (evaluation.base, model, again, control)]
    return {name: (value, 0.0) for name, value in found.items()} | loss_in_bits(*bits)


def untaught_bits(evaluation: EvaluationSet, model: Transformer) -> NDArray[np.float64]:
    """(B,) bits that `model` stores of each fact of the half that is not taught again."""
    bits = stored_bits(evaluation.task, model, evaluation.facts)  # of all, which have one number of possible attributes
    return bits[evaluation.second]


def loss_in_bits(
    before: NDArray[np.float64], after: NDArray[np.float64], again: NDArray[np.float64], control: NDArray[np.float64]
) -> dict[str, tuple[float, float]]:
    """Parts of the loss in bits, each with its standard error over facts, given the bits of each fact (B,) in four
    models: `before` (the base) and `after` the arm, and either after practice of other facts (`control` and `again`).

    - lost: what the arm lost, from before to after
    - recovered: what practice brings back, from after to again; negative if it costs more than it brings
    - missing: what is still lost then, from before to again. recovered and missing add up to lost
    - control: what the same practice costs the base, from before to control
    - storage: what is still lost then against the control. It is missing less control
    - latent: lost less storage, which is recovered plus control

    The last two are a difference in differences. They hold practice to cost the model as much as the base; if it did,
    they would be the same after any practice that brings everything back that can come back.
    """
    found = {"lost": before - after, "recovered": again - after, "missing": before - again}
    found |= {"control": before - control, "storage": control - again}
    found["latent"] = found["lost"] - found["storage"]
    return {f"{name}_bits": mean(rows) for name, rows in found.items()}


def restoration(evaluation: EvaluationSet, model: Transformer, seed: int, match: str) -> Found:
    """Effect of restoring each portion of the weights, in the parts restore and graft of `match`.

    Under restore, a portion goes back to the base's weights: `bits` is the share of lost bits that comes back, `gain`
    the share of the gain that stays, and `free` the free accuracy on problems. Under graft, the base gets that portion:
    `bits` and `gain` are the shares of the loss and of the gain that it then has. The gain is in the logit of opening a
    chain. The portion `halfway` is the whole change, halved.
    """
    first, last = standing(evaluation, evaluation.base), standing(evaluation, model)
    found: Found = {}
    for part, portion, other in patched(evaluation, model, seed):
        bits, logit = standing(evaluation, other)
        lost, gained = first[0] - last[0], last[1] - first[1]
        back = ratio(first[0] - bits if part == "graft" else bits - last[0], lost)
        here = {"bits": (back, 0.0), "gain": (ratio(logit - first[1], gained), 0.0)}
        if part == "restore":
            here["free"] = share(verify(evaluation.task, evaluation.problems, complete(other, evaluation.problems)))
        found[Part(part, match, *portion)] = here
    return found


def patched(evaluation: EvaluationSet, model: Transformer, seed: int) -> Iterator[tuple[str, Portion, Transformer]]:
    """Part, portion and model for each restoration: every portion put back to the base, then every portion grafted onto
    it.
    """
    every = parts(model, stream(seed, "halves"))
    for portion, names in every.items():
        yield "restore", portion, mixed(evaluation.base, model, names)
    yield "restore", Portion("halfway"), mixed(evaluation.base, model, every[Portion("all")], 0.5)
    for portion, names in every.items():
        yield "graft", portion, mixed(model, evaluation.base, names)


def standing(evaluation: EvaluationSet, model: Transformer) -> tuple[float, float]:
    """Mean bits per fact, and the mean logit of opening a chain on problems."""
    rate = np.clip(evaluation.opening(model, evaluation.problems)[:, 0], 1e-9, 1 - 1e-9)
    return float(stored_bits(evaluation.task, model, evaluation.facts).mean()), float(np.log(rate / (1 - rate)).mean())


def ratio(part: float, whole: float) -> float:
    """`part` divided by `whole`; NaN if `whole` is 0."""
    return part / whole if whole else np.nan
