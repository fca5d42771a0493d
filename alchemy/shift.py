"""Shifts: each axis is a pure function from a task and a level to a Distribution, and level 0 is training.

Source: arXiv:2508.01191, sections 4 to 6 (task, element, length, reasoning steps, format).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from alchemy.batch import Batch, Role, concatenate, left_justify
from alchemy.task import SIXTEENTHS, Distribution, Noise, Side, Task, in_side
from alchemy.vocabulary import PAD, UNKNOWN

NOISE_STEP = 0.05  # one level of the format axis


def recompose(task: Task, level: int) -> Distribution:
    """Compositions as long as training's, but not in it: 1 CMP, of known rules; 2 POOD, of known rules and unseen
    ones; 3 OOD, of unseen rules alone. Raises ValueError where the world has no such composition.
    """
    check_level("task", level, 0, 3)
    if level == 0:
        return task.train
    trained = task.train.compositions
    known = {rule for composition in trained for rule in composition}
    lengths = sorted({len(composition) for composition in trained})
    candidates = [c for k in lengths for c in product(range(len(task.vocabulary.rules)), repeat=k)]

    def novelty(composition: tuple[int, ...]) -> int:
        unseen = sum(rule not in known for rule in composition)
        return 3 if unseen == len(composition) else 2 if unseen else 0 if composition in trained else 1

    moved = tuple(c for c in candidates if novelty(c) == level)
    if not moved:
        lack = (
            "train on fewer compositions (task.training)" if level == 1 else "give the world a rule more (task.rules)"
        )
        raise ValueError(f"shift.axis=task level {level} has no composition to test on: {lack}, or lower shift.levels")
    return replace(task.train, compositions=moved)


def renew(task: Task, level: int) -> Distribution:
    """Elements that training cannot show: 1, one atom stands where training never puts it (a new combination of
    known atoms); 2, one atom is never in training at all. Raises ValueError where nothing was kept out.
    """
    check_level("element", level, 0, 2)
    held_out = task.train.held_out
    if level == 1 and not held_out.places:
        raise ValueError(
            "shift.axis=element level 1 needs atoms kept from some places in training: "
            "set task.unseen_places to 2 or more (where the world has it), or take 1 out of shift.levels"
        )
    if level == 2 and not held_out.atoms:
        raise ValueError(
            "shift.axis=element level 2 needs atoms kept out of training: "
            "set task.unseen_atoms (such as MZ, where the world has it), or take 2 out of shift.levels"
        )
    return replace(task.train, novel_places=int(level == 1), novel_atoms=int(level == 2))


def lengthen(task: Task, level: int) -> Distribution:
    """`level` atoms more per element than training shows, or fewer below 0."""
    length = task.train.length + level
    if length < 1:
        raise ValueError(f"shift.axis=length level {level} leaves {length} atoms: use {1 - task.train.length} or more")
    return replace(task.train, length=length)


def deepen(task: Task, level: int) -> Distribution:
    """`level` rules more per composition than training's, which go on from their first rule again (F1F2 becomes
    F1F2F1), or the first ones alone below 0.
    """
    shortest = min(len(composition) for composition in task.train.compositions)
    if shortest + level < 1:
        raise ValueError(f"shift.axis=steps level {level} leaves {shortest + level} rules: use {1 - shortest} or more")

    def cycle(composition: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(composition[i % len(composition)] for i in range(len(composition) + level))

    moved = dict.fromkeys(map(cycle, task.train.compositions))
    if level and set(moved) & set(task.train.compositions):
        raise ValueError(
            f"shift.axis=steps level {level} leads back into training, which mixes {shortest} and more rules: "
            "use levels past all of them, or train on compositions of one length"
        )
    return replace(task.train, compositions=tuple(moved))


def corrupt(task: Task, level: int, kind: str = "hybrid", domain: str = "all") -> Distribution:
    """5 % × `level` of the prompt tokens of `domain` are noised: one is put in before them, they are deleted, or
    replaced; hybrid is one of the three at random. Raises ValueError past 100 %.
    """
    check_level("format", level, 0, round(1 / NOISE_STEP))
    noise = Noise(kind, domain, round(level * NOISE_STEP, 6))  # type: ignore[arg-type]
    return replace(task.train, noise=noise) if level else task.train


AXES: dict[str, Callable[[Task, int], Distribution]] = {
    "task": recompose,
    "element": renew,
    "length": lengthen,
    "steps": deepen,
    "format": corrupt,
}


def check_level(axis: str, level: int, lowest: int, highest: int) -> None:
    if not lowest <= level <= highest:
        raise ValueError(f"shift.axis={axis} has no level {level}: use {lowest} to {highest} in shift.levels")


@dataclass(frozen=True)
class Shift:
    """One row of a heatmap: an axis, the levels to walk, and on the format axis the kind and domain of the noise."""

    axis: str
    levels: tuple[int, ...]
    kind: str = "-"
    domain: str = "-"

    def __post_init__(self) -> None:
        if self.axis not in AXES:
            raise ValueError(f"shift.axis={self.axis} is not an axis: use one of {', '.join(AXES)}, or all")
        if not all(isinstance(level, int) for level in self.levels):
            raise ValueError(f"shift.levels={list(self.levels)} must be whole numbers, such as [0,1,2]")

    def at(self, task: Task, level: int) -> Distribution:
        """The Distribution at `level` of this shift. Raises ValueError where the world has none."""
        if self.axis == "format":
            return corrupt(task, level, self.kind, self.domain)
        return AXES[self.axis](task, level)


def describe(task: Task, where: Distribution) -> str:
    """What sets `where` apart from training, in a few words for a cell of a picture; empty for training itself."""
    train = task.train
    words = []
    if where.compositions != train.compositions:
        lengths, trained = (sorted({len(c) for c in d.compositions}) for d in (where, train))
        names = [task.spell(composition) for composition in where.compositions]
        if lengths != trained:
            words.append("k = " + ", ".join(map(str, lengths)))
        else:
            words.append(" ".join(names) if len(names) <= 2 else f"{names[0]} … {names[-1]}")
    if where.novel_places:
        words.append("atom at new place")
    if where.novel_atoms:
        words.append("unseen atom")
    if where.length != train.length:
        words.append(f"l = {where.length}")
    if where.noise:
        words.append(f"{where.noise.rate:.0%}")
    return ", ".join(words)


def perturb(batch: Batch, noise: Noise, rng: np.random.Generator) -> Batch:
    """`batch` with noise on its prompts; chain and answer keep every token.

    One uniform draw per prompt token decides the hit, so under one stream a token hit at some rate is hit at every
    higher rate as well. Source: arXiv:2508.01191, section 4.4.
    """
    B, T = batch.tokens.shape
    chance, choice = rng.random((B, T)), rng.integers(0, 3, (B, T))
    eligible = batch.role <= Role.INSTRUCTION if noise.domain == "all" else batch.role == Role[noise.domain.upper()]
    hit = eligible & (chance < noise.rate)
    if noise.kind != "hybrid":
        choice = np.full((B, T), ("insert", "delete", "modify").index(noise.kind))
    inserted, deleted, modified = (hit & (choice == i) for i in range(3))

    # every token has two places: noise put in before it, and the token itself
    token = np.where(modified, np.int16(UNKNOWN), batch.tokens)
    tokens = np.stack([np.full_like(token, UNKNOWN), token], axis=2).reshape(B, 2 * T)
    keep = np.stack([inserted, ~deleted & (batch.role != Role.PAD)], axis=2).reshape(B, 2 * T)
    role, step = (np.repeat(array, 2, axis=1) for array in (batch.role, batch.step))
    tokens = left_justify(tokens, keep)
    role = left_justify(role - np.int8(Role.PAD), keep) + np.int8(Role.PAD)  # pads with Role.PAD
    step = left_justify(step + np.int8(1), keep) - np.int8(1)  # pads with -1
    assert PAD == 0
    return Batch(tokens, role, step)


def draw(task: Task, where: Distribution, count: int, rng: np.random.Generator, side: Side = "test") -> Batch:
    """`count` rows of `where` whose problems belong to `side`, with the noise of `where` on their prompts.

    Problems and noise come from two streams of `rng`, so every noise level sees the same problems. Raises ValueError
    where `where` holds no problem of that side.
    """
    problems, noise = rng.spawn(2)
    share = len(SIXTEENTHS[side]) / 16
    found: list[Batch] = []
    missing, tries = count, 0
    while missing > 0:
        tries += 1
        if tries > 100:
            raise ValueError(f"{where} has no problem on the {side} side: widen it (a larger task.length, more rules)")
        batch = task.sample(where, int(missing / share * 1.02) + 64, problems)
        batch = batch[in_side(batch, task.vocabulary, side)][:missing]
        found.append(batch)
        missing -= len(batch)
    batch = found[0] if len(found) == 1 else concatenate(found)
    return perturb(batch, where.noise, noise) if where.noise else batch
