"""Laws of a shift in a world: which levels it has, how they describe themselves, and the rows that they draw."""

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import verify
from alchemy.data.batch import Batch, Role
from alchemy.data.noise import Noise
from alchemy.data.sampling import in_side, problems_of, render, span
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.data.task import Distribution, Task
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.errors import LONGEST
from alchemy.testing.grounds import Broken, Grounds, Rows, at, problems
from alchemy.testing.law import LabLaw, stated
from alchemy.testing.laws_of_worlds import spared

SHIFT_LAWS: list[LabLaw] = []
NOT_EVERYWHERE = ("task", "element", "places", "atoms", "steps")  # axes of which a world may have no level but 0


@stated(SHIFT_LAWS, "level 0 is training")
def begins_at_training(grounds: Grounds, shift: Shift) -> None:
    train, where = grounds.task.train, shift.at(grounds.task, 0)
    if where == train:
        return
    rows = grounds.draw(where, 256, at=at(shift, 0))
    others = problems(grounds.draw(train, 256).batch)
    parts = [name for name in vars(train) if getattr(where, name) != getattr(train, name)]
    said = f"its {', '.join(parts) or 'kind'} is not that of training"
    rows.need([one == other for one, other in zip(problems(rows.batch), others, strict=True)], said)
    raise Broken(said, rows.row(0))


@stated(SHIFT_LAWS, "a level that the world lacks is refused in a sentence")
def refuses_in_sentences(grounds: Grounds, shift: Shift) -> None:
    for level, error in grounds.refused(shift):
        said = f"level {level} is refused with {type(error).__name__}: {error}"
        if level == 0:
            raise Broken(f"{said}; but level 0 is training, which there always is")
        if not isinstance(error, ValueError):
            raise Broken(f"{said}; it must be a ValueError that says what to change")
        named = f"shift.axis={shift.axis}" in str(error) or "task." in str(error)
        if not named or len(str(error)) > LONGEST or not str(error).isprintable():
            raise Broken(f"{said}; it must be one line, and name shift.axis={shift.axis} or the setting to change")


@stated(SHIFT_LAWS, "every level is a distribution of the world")
def of_the_world(grounds: Grounds, shift: Shift) -> None:
    R = len(grounds.task.vocabulary.rules)
    for level, where in grounds.reached(shift):
        rows = grounds.draw(where, 1, at=at(shift, level))
        rules = [rule for composition in where.compositions for rule in composition]
        if not all(where.compositions) or not rules or not 0 <= min(rules) <= max(rules) < R:
            raise Broken(f"level {level} asks for rules that the world does not have, or for none", rows.row(0))
        for name, given, total in (("shares", where.shares, 1.0), ("chains", where.chains, None)):
            if any(not 0 <= share <= 1 for share in given) or (given and total and abs(sum(given) - total) > 1e-6):
                raise Broken(f"the {name} of level {level} are no shares: {given}", rows.row(0))
        if where.held_out != grounds.task.train.held_out:
            raise Broken(f"level {level} holds out something else than training: what is new to it is no longer known")


@stated(SHIFT_LAWS, "there is a level beside training", axes=lambda axis: axis not in NOT_EVERYWHERE)
def leads_away(grounds: Grounds, shift: Shift) -> None:
    if len(grounds.reached(shift)) < 2:
        said = [f"{level}: {error}" for level, error in grounds.refused(shift)[:2]]
        raise Broken(f"of levels -3 to 6 the world has none but 0 ({'; '.join(said)})")


@stated(SHIFT_LAWS, "no two levels are alike, and only level 0 is training")
def levels_differ(grounds: Grounds, shift: Shift) -> None:
    seen: dict[object, int] = {}
    for level, where in grounds.reached(shift):
        other = seen.setdefault(sense(where), level)
        if other != level:
            row = grounds.draw(where, 1, at=at(shift, level)).row(0)
            raise Broken(f"levels {other} and {level} ask for the same, as often", row)


def sense(where: Distribution) -> object:
    """Returns a key of what a distribution draws, the same for any order of its compositions."""
    number = len(where.compositions)
    total: dict[object, float] = {}
    for place, composition in enumerate(where.compositions):
        one = composition, where.chains[place] if where.chains else None
        total[one] = total.get(one, 0.0) + (where.shares[place] if where.shares else 1 / number)
    asked = frozenset((one, round(share, 9)) for one, share in total.items())
    return asked, replace(where, compositions=(), shares=(), chains=())


@stated(SHIFT_LAWS, "a new task is not in training", axes=("task",))
def task_is_new(grounds: Grounds, shift: Shift) -> None:
    for level, where in grounds.reached(shift):
        known = set(where.compositions) & set(grounds.task.train.compositions) if level else ()
        for composition in known:
            row = grounds.draw(replace(where, compositions=(composition,), shares=(), chains=()), 1).row(0)
            raise Broken(f"level {level} has {grounds.task.spell(composition)}, which training has", row)


@stated(SHIFT_LAWS, "what a level says of itself is true")
def says_the_truth(grounds: Grounds, shift: Shift) -> None:
    task = grounds.task
    for level, where in grounds.reached(shift):
        words = shift.describe(task, level)
        rows = grounds.draw(replace(where, noise=None), 512, at=at(shift, level))
        if not isinstance(words, str) or bool(words) != (where != task.train) or not f"{words}x".isprintable():
            said = "training says nothing of itself, and every other level something, in one line"
            raise Broken(f"level {level} says {words!r}: {said}", rows.row(0))
        atoms = (rows.batch.role == Role.ELEMENT).sum(axis=1)
        if found := re.search(r"\bl = (\d+)", words):
            length = int(found[1])
            held = (atoms <= length) & (atoms.max() == length)
            rows.need(held, f"level {level} says {found[0]}, and elements have {atoms.max()} atoms")
        asked = {numbers[0]: composition for numbers, _, composition in problems_of(rows.batch, task.vocabulary)}
        if found := re.search(r"\bk = (\d+(?:, \d+)*)\b", words):
            counts = {int(one) for one in found[1].split(", ")}
            for row, composition in asked.items():
                if len(composition) not in counts:
                    raise Broken(f"level {level} says {found[0]}, and a row asks for others", rows.row(int(row)))
        if found := re.search(r"\b(?:(\d+) )?unseen atoms?\b", words):
            held_out = [task.vocabulary.ids[atom] for atom in where.held_out.atoms]
            unseen = ((rows.batch.role == Role.ELEMENT) & np.isin(rows.batch.tokens, held_out)).sum(axis=1)
            rows.need(unseen == int(found[1] or 1), f"level {level} says {found[0]}, and an element has others")
        if where.noise and (found := re.search(r"(\d+)%", words)):
            true = round(100 * where.noise.rate) == int(found[1])
            rows.need(true, f"level {level} says {found[0]}, and its noise is {where.noise}")


@stated(SHIFT_LAWS, "a level's noise hits as much as it says, and never gold")
def noise_is_true(grounds: Grounds, shift: Shift) -> None:
    """Tests the number of prompts that noise spares, within six standard errors of what is expected."""
    for level, where in grounds.reached(shift):
        if where.noise is None:
            continue
        noisy = grounds.draw(where, 512, at=at(shift, level))
        clean = grounds.draw(replace(where, noise=None), 512)
        noisy.need(spared(noisy.batch, clean.batch), "with noise its gold is another")
        same = [a == b for a, b in zip(prompts(noisy.batch), prompts(clean.batch), strict=True)]
        chance = (1 - where.noise.rate) ** eligible(clean.batch, where.noise)
        off = 6 * np.sqrt((chance * (1 - chance)).sum()) + 1e-9
        if abs(np.sum(same) - chance.sum()) > off:
            raise Broken(f"of 512 prompts {np.sum(same)} are spared, and {chance.sum():.0f} should be", noisy.row(0))


def prompts(batch: Batch) -> list[list[int]]:
    return [row[row != PAD].tolist() for row in batch.prompt()]


def eligible(clean: Batch, noise: Noise) -> NDArray[np.intp]:
    """Returns the number of prompt tokens that noise may hit, by row (B,)."""
    role = clean.role
    hit = role <= Role.INSTRUCTION if noise.domain == "all" else role == Role[noise.domain.upper()]
    return np.count_nonzero(hit, axis=1)


@stated(SHIFT_LAWS, "one stream gives one batch")
def streams_repeat(grounds: Grounds, shift: Shift) -> None:
    for level, where in grounds.reached(shift):
        first, again = (grounds.draw(where, 64, 3, at=at(shift, level)) for _ in range(2))
        said = "drawn again from the same seed it is another row"
        if first.batch.tokens.shape != again.batch.tokens.shape:
            raise Broken(said, again.row(0))
        for name in ("tokens", "role", "step"):
            again.need((getattr(first.batch, name) == getattr(again.batch, name)).all(axis=1), said)


@stated(SHIFT_LAWS, "the test side shares no problem with training")
def sides_are_disjoint(grounds: Grounds, shift: Shift) -> None:
    learnt, watched = grounds.shown()
    for level, where in grounds.reached(shift):
        if where.noise is None:
            tested = grounds.draw(where, 1_000, at=at(shift, level))
            asked = problems(tested.batch)
            tested.need([one not in learnt for one in asked], "training has this problem as well")
            tested.need([one not in watched for one in asked], "training is watched on this problem")


@stated(SHIFT_LAWS, "a problem has the same side wherever it is asked")
def side_is_its_own(grounds: Grounds, shift: Shift) -> None:
    task = grounds.task
    for level, where in grounds.reached(shift):
        elements, which = task.problems(where, 500, stream(0, "sides"))
        together = in_side(task.vocabulary, where, elements, which, "train")
        drawn = Rows(task, render(task, where, elements, which), 0, f'problems for "sides", {at(shift, level)}')
        for number in np.unique(which):
            alone = replace(where, compositions=(where.compositions[number],), shares=(), chains=())
            some = which == number
            held = np.ones(len(which), dtype=bool)
            held[some] = in_side(task.vocabulary, alone, elements[some], which[some] * 0, "train") == together[some]
            drawn.need(held, "where its composition is asked for alone, it is on another side")


@stated(SHIFT_LAWS, "rows are well formed")
def well_formed(grounds: Grounds, shift: Shift) -> None:
    task = grounds.task
    for level, where in grounds.reached(shift):
        rows = grounds.draw(where, 128, 1, at=at(shift, level))
        tokens, role, step = rows.batch.tokens, rows.batch.role, rows.batch.step
        rows.need(((tokens >= 0) & (tokens < len(task.vocabulary))).all(axis=1), "it has a token of no symbol")
        rows.need((np.diff(role, axis=1) >= 0).all(axis=1), "its parts are out of order")
        rows.need(((tokens == PAD) == (role == Role.PAD)).all(axis=1), "its padding is not what is called padding")
        rows.need((tokens == END).sum(axis=1) == 1, "it has no end symbol, or several")
        rows.need(((step >= 0) == (role == Role.CHAIN)).all(axis=1), "its steps are not its chain")
        rows.need([counts_up(row[row >= 0]) for row in step], "its steps do not count up from 0")
        prompt, completion = span(task, where)
        if where.noise is None:
            rows.need(rows.batch.prompt_length <= prompt, f"its prompt is longer than the {prompt} tokens of span")
        long = (rows.batch.completion() != PAD).sum(axis=1)
        rows.need(long < completion, f"its completion is longer than the {completion} tokens of span")


def counts_up(steps: NDArray[np.int8]) -> bool:
    return not len(steps) or (steps[0] == 0 and set(np.diff(steps).tolist()) <= {0, 1})


@stated(SHIFT_LAWS, "gold is right, and every other answer wrong")
def oracle_knows(grounds: Grounds, shift: Shift) -> None:
    task = grounds.task
    for level, where in grounds.reached(shift):
        if where.noise is not None:
            continue
        rows = grounds.draw(where, 64, 2, at=at(shift, level))
        gold = rows.batch.completion()
        rows.need(verify(task, rows.batch, gold), "the answer is not what apply makes of the element")
        answer = answers_in(gold)
        for place in np.flatnonzero(answer.any(axis=0)):
            rows.need(others_are_wrong(task, rows.batch, gold, answer[:, place], int(place)), "another answer is right")


def answers_in(gold: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Returns which tokens (B, C) stand after the last answer marker of a completion; all, if it has no marker."""
    marks = [np.flatnonzero(row == ANSWER) for row in gold]
    start = np.array([one[-1] + 1 if len(one) else 0 for one in marks])
    return (np.arange(gold.shape[1]) >= start[:, None]) & (gold != PAD)


def others_are_wrong(
    task: Task, batch: Batch, gold: NDArray[np.int16], answers: NDArray[np.bool_], place: int
) -> NDArray[np.bool_]:
    """Returns whether each row (B,) becomes wrong exactly if its token at `place` is one of its answer (`answers`).

    That token of the answer is replaced by another symbol; rows without an answer at `place` stay as they are.
    """
    wrong = gold.copy()
    others = np.where(gold[:, place] == len(task.vocabulary) - 1, gold[:, place] - 1, gold[:, place] + 1)
    wrong[:, place] = np.where(answers, others, gold[:, place])
    return verify(task, batch, wrong) == ~answers
