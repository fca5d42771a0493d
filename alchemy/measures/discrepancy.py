"""How far a Distribution is from training, exactly, from the two Distributions and the world that they are points of.

Source: arXiv:2508.01191, sections 3 and 7. A prompt is the unit: noise that changes a prompt leaves training's support.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.sampling import render, sample, span
from alchemy.data.seeds import stream
from alchemy.data.task import Composition, Distribution, Task
from alchemy.data.vocabulary import PAD

ROWS = 8192  # training prompts that show which symbols can stand where
ALONE = 64  # compositions that are looked at one by one
Sets = dict[tuple[Composition, int, int, int], float]
Form = tuple[NDArray[np.int8], list[int]]  # of a prompt: roles, and the instruction


def total_variation(task: Task, one: Distribution, other: Distribution) -> float:
    """1 - sum of the smaller probability of each prompt under the two, from 0 (the same) to 1 (nothing in common)."""
    mine, theirs = sets(task, one), sets(task, other)
    return 1.0 - min(sum(min(share, theirs.get(cell, 0.0)) for cell, share in mine.items()), 1.0)


def overlap(task: Task, train: Distribution, where: Distribution) -> float:
    """The share of prompts of `where` that `train` could have asked, 0 to 1."""
    asked = sets(task, train)
    return min(sum((share for cell, share in sets(task, where).items() if cell in asked), 0.0), 1.0)


def sets(task: Task, where: Distribution) -> Sets:
    """How likely each set of clean prompts with one composition and one kind of element is.

    Within a set all prompts are alike, and elements with other numbers of atoms, or of atoms at new places, are sets
    with nothing in common. Noise leaves of a set what it did not touch, and by deleting rules moves some of it to
    other compositions; elements that lose an atom have another length, which no Distribution mixes with its own.
    """
    found: Sets = {}
    kind = (where.length, where.novel_places, where.novel_atoms)
    forms: dict[int, Form] = {}
    for composition, share in zip(where.compositions, shares(where), strict=True):
        for left, chance in survivors(task, where, composition, forms).items():
            found[left, *kind] = found.get((left, *kind), 0.0) + share * chance
    return found


def shares(where: Distribution) -> tuple[float, ...]:
    return where.shares or (1.0 / len(where.compositions),) * len(where.compositions)


def form(task: Task, length: int, composition: Composition) -> Form:
    """The roles of the tokens of a prompt, and its instruction."""
    row = task.render(np.full((1, length), task.vocabulary.first_atom, dtype=np.int16), composition)
    prompt = row.role[0] <= Role.INSTRUCTION
    return row.role[0][prompt], row.tokens[0][row.role[0] == Role.INSTRUCTION].tolist()


def survivors(
    task: Task, where: Distribution, composition: Composition, forms: dict[int, Form]
) -> dict[Composition, float]:
    """The chance that noise leaves a prompt of `composition` a clean prompt, of the same element, by composition. What
    prompts of so many rules look like is looked up in `forms`, and added to them.
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
    chances: dict[Composition, float] = {(): kept}  # of what is left of the rules read so far
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
    """T(C) with all its weights 1, the mean over problems: atoms not seen at their place, rules not seen, and 1 for a
    composition not seen. Source: arXiv:2508.01191, section 7.
    """
    known = {rule for composition in train.compositions for rule in composition}
    atoms = where.novel_places + where.novel_atoms + max(where.length - train.length, 0)
    rules = [sum(rule not in known for rule in c) + (c not in train.compositions) for c in where.compositions]
    return atoms + float(np.dot(shares(where), rules))


def length_gap(task: Task, train: Distribution, where: Distribution) -> float:
    """Tokens by which the longest rows of `where` and of training differ, prompt and completion, without noise."""
    return float(abs(sum(span(task, where)) - sum(span(task, train))))


def alignment(task: Task, batch: Batch) -> NDArray[np.float64]:
    """(B,) S(p): of each prompt, the largest cosine with a training prompt, embedded as its symbols at their places.

    The embedding has a 1 for every (place, symbol) of the prompt: of n and m tokens, a in common, the cosine is
    a / sqrt(n m). Where training's elements are a product over places, its nearest prompt agrees wherever some training
    prompt of the same composition does; where they are not, as names of entities, this is an upper bound. Source:
    arXiv:2508.01191, section 7, which leaves the embedding open.
    """
    prompts = left_justify(batch.tokens, batch.role <= Role.INSTRUCTION)
    nearest = np.zeros(len(batch))
    for group in groups(task.train.compositions):
        where = replace(task.train, compositions=group, shares=(), chains=())
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
    """Each composition by itself; where there are very many, those of one length and first rule, whose elements are
    taken to be the same.
    """
    if len(compositions) <= ALONE:
        return [(composition,) for composition in compositions]
    found: dict[tuple[int, int], list[Composition]] = {}
    for composition in compositions:
        found.setdefault((len(composition), composition[0]), []).append(composition)
    return [tuple(group) for group in found.values()]


def discrepancies(task: Task, where: Distribution, batch: Batch) -> dict[str, tuple[float, float]]:
    """Each measure of how far `where` is from training, with its standard error over the prompts of `batch`, drawn
    from it; those that look at no prompt have none.
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
