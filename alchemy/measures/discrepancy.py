"""Discrepancy: how far a Distribution is from training, computed from the two Distributions and their world.

The unit is a prompt: noise that changes a prompt leaves training's support.

Source: arXiv:2508.01191, sections 3 and 7.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.sampling import render, sample, span
from alchemy.data.seeds import stream
from alchemy.data.task import Composition, Distribution, Task
from alchemy.data.vocabulary import PAD

ROWS = 8192  # training prompts that are drawn to see which symbols can stand where
ALONE = 64  # compositions, at most, that are looked at one by one
Sets = dict[tuple[Composition, int, int, int], float]
Form = tuple[NDArray[np.int8], list[int]]  # of a prompt: roles, and the instruction


def total_variation(task: Task, one: Distribution, other: Distribution) -> float:
    """Total variation distance of two Distributions of prompts, from 0 (the same) to 1 (nothing in common).

    It is 1 less the sum, over prompts, of the smaller of their two probabilities.
    """
    if one == other:  # also where noise leaves prompts that are in no set
        return 0.0
    mine, theirs = sets(task, one), sets(task, other)
    return 1.0 - min(sum(min(share, theirs.get(cell, 0.0)) for cell, share in mine.items()), 1.0)


def overlap(task: Task, train: Distribution, where: Distribution) -> float:
    """Share of the prompts of `where` that `train` can draw too, from 0 to 1."""
    if where in (train, *train.parts()):
        return 1.0
    asked = sets(task, train)
    return min(sum((share for cell, share in sets(task, where).items() if cell in asked), 0.0), 1.0)


def sets(task: Task, where: Distribution) -> Sets:
    """Probability of each set of clean prompts with one composition and one kind of element.

    Prompts within a set are equally likely. Elements with different numbers of atoms, or of atoms at new places, are in
    sets that have nothing in common. Noise leaves in a set those prompts that it did not touch; by deleting rules, it
    moves some prompts to other compositions. Elements that lose an atom have another length, and count as no prompt of
    the elements that have that length anyway.
    """
    found: Sets = {}
    if where.also:
        for part in where.parts():
            for cell, share in sets(task, part).items():
                found[cell] = found.get(cell, 0.0) + share / len(where.parts())
        return found
    kind = (where.length, where.novel_places, where.novel_atoms)
    forms: dict[int, Form] = {}
    for composition, share in zip(where.compositions, shares(where), strict=True):
        for left, chance in survivors(task, where, composition, forms).items():
            found[left, *kind] = found.get((left, *kind), 0.0) + share * chance
    return found


def shares(where: Distribution) -> tuple[float, ...]:
    """Probability of each composition."""
    return where.shares or (1.0 / len(where.compositions),) * len(where.compositions)


def form(task: Task, length: int, composition: Composition) -> Form:
    """Roles of the tokens of a prompt, and the tokens of its instruction."""
    row = task.render(np.full((1, length), task.vocabulary.first_atom, dtype=np.int16), composition)
    prompt = row.role[0] <= Role.INSTRUCTION
    return row.role[0][prompt], row.tokens[0][row.role[0] == Role.INSTRUCTION].tolist()


def survivors(
    task: Task, where: Distribution, composition: Composition, forms: dict[int, Form]
) -> dict[Composition, float]:
    """Probability that noise turns a prompt of `composition` into a clean prompt of the same element, by the
    composition that is left.

    `forms` caches what prompts of so many rules look like.
    """
    if where.noise is None:
        return {composition: 1.0}
    for k in range(1, len(composition) + 1):
        if k not in forms:
            forms[k] = form(task, where.length, composition[:k])
    role, instruction = forms[len(composition)]
    hit = np.ones(len(role), bool) if where.noise.domain == "all" else role == Role[where.noise.domain.upper()]
    rules, rate = hit[role == Role.TRANSFORMATION], where.noise.rate
    lost = rate / 3 if where.noise.kind == "hybrid" else rate if where.noise.kind == "delete" else 0.0
    kept = (1.0 - rate) ** np.count_nonzero(hit[role != Role.TRANSFORMATION])
    chances: dict[Composition, float] = {(): kept}  # by what is left of the rules read so far
    for rule, eligible in zip(composition, rules, strict=True):
        grown: dict[Composition, float] = {}
        for left, chance in chances.items():
            stay, go = (1.0 - rate, lost) if eligible else (1.0, 0.0)
            grown[*left, rule] = grown.get((*left, rule), 0.0) + chance * stay
            grown[left] = grown.get(left, 0.0) + chance * go
        chances = grown
    alike = {k for k, (_, other) in forms.items() if other == instruction}  # a chain's is not that of a single rule
    return {left: chance for left, chance in chances.items() if chance and len(left) in alike}


def novelty(train: Distribution, where: Distribution) -> float:
    """Task novelty T(C) with all weights 1, the mean over problems.

    It counts the atoms not seen at their place, the rules not seen, and 1 for a composition not seen. Source:
    arXiv:2508.01191, section 7.
    """
    if where.also:
        return float(np.mean([novelty(train, part) for part in where.parts()]))
    shown = {composition for part in train.parts() for composition in part.compositions}
    known = {rule for composition in shown for rule in composition}
    least = [max(getattr(part, name) for part in train.parts()) for name in ("length", "novel_places", "novel_atoms")]
    given = where.length, where.novel_places, where.novel_atoms
    atoms = sum(max(mine - known, 0) for mine, known in zip(given, least, strict=True))
    rules = [sum(rule not in known for rule in c) + (c not in shown) for c in where.compositions]
    return atoms + float(np.dot(shares(where), rules))


def length_gap(task: Task, train: Distribution, where: Distribution) -> float:
    """Difference, in tokens, of the longest rows of `where` and of training: prompt and completion, without noise."""
    return float(abs(sum(span(task, where)) - sum(span(task, train))))


def alignment(task: Task, batch: Batch) -> NDArray[np.float64]:
    """(B,) alignment S(p) of each prompt: its largest cosine with a training prompt.

    A prompt is embedded as its symbols at their places, with a 1 for every (place, symbol). For prompts of n and m
    tokens with a in common, the cosine is a / sqrt(n m). Where training's elements are a product over places, the
    nearest prompt agrees at every place where some training prompt of the same composition does; where they are not, as
    with names of entities, this is an upper bound. Source: arXiv:2508.01191, section 7, which leaves the embedding
    open.
    """
    prompts = left_justify(batch.tokens, batch.role <= Role.INSTRUCTION)
    nearest = np.zeros(len(batch))
    trained = [part.clean() for part in task.train.parts()]
    for whole, group in [(part, group) for part in trained for group in groups(part.compositions)]:
        where = replace(whole, compositions=group, shares=(), chains=())
        shown = sample(task, where, ROWS, stream(0, "alignment"))
        atoms = int((shown.role[0] == Role.ELEMENT).sum())
        width = max(int(shown.prompt_length.max()), prompts.shape[1])
        seen = np.zeros((width, len(task.vocabulary)), dtype=bool)
        for place in range(atoms):
            seen[place, shown.tokens[:, place]] = True
        tails = render(task, where, np.repeat(shown.tokens[:1, :atoms], len(group), axis=0), np.arange(len(group)))
        ends = np.pad(tails.prompt(), ((0, 0), (0, max(width - tails.tokens.shape[1], 0))))[:, atoms : prompts.shape[1]]
        real = prompts != PAD
        agree = (seen[np.arange(prompts.shape[1]), prompts] & real).sum(axis=1)
        for end, m in zip(ends, tails.prompt_length, strict=True):
            alike = agree + ((prompts[:, atoms:] == end) & real[:, atoms:]).sum(axis=1)
            nearest = np.maximum(nearest, alike / np.sqrt(np.maximum(batch.prompt_length, 1) * m))
    return nearest


def groups(compositions: tuple[Composition, ...]) -> list[tuple[Composition, ...]]:
    """Groups of compositions that are looked at together: each by itself, if there are not too many.

    If there are more than ALONE, those of one length and first rule are a group, and their elements are taken to be the
    same.
    """
    if len(compositions) <= ALONE:
        return [(composition,) for composition in compositions]
    found: dict[tuple[int, int], list[Composition]] = {}
    for composition in compositions:
        found.setdefault((len(composition), composition[0]), []).append(composition)
    return [tuple(group) for group in found.values()]


def discrepancies(task: Task, where: Distribution, batch: Batch) -> dict[str, tuple[float, float]]:
    """Measures of how far `where` is from training, by name, each with its standard error.

    They are total_variation, overlap, novelty and length_gap, which follow from the Distributions and have the error 0,
    and alignment, the mean over the prompts of `batch`, which are drawn from `where`.

    >>> import alchemy as al
    >>> task = al.compose("task=cipher").task
    >>> rows = al.draw(task, task.train, 5, al.stream(0, "look"))
    >>> discrepancies(task, task.train, rows)["overlap"]
    (1.0, 0.0)
    """
    aligned = alignment(task, batch)
    exact = {
        "total_variation": total_variation(task, task.train, where),
        "overlap": overlap(task, task.train, where),
        "novelty": novelty(task.train, where),
        "length_gap": length_gap(task, task.train, where),
    }
    measured = float(aligned.mean()), float(aligned.std()) / len(batch) ** 0.5
    return {name: (value, 0.0) for name, value in exact.items()} | {"alignment": measured}
