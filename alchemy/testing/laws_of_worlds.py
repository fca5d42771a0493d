"""Laws of a world: its sides, its noise, its names, what its rules do and how it writes that down."""

from itertools import islice, pairwise, product

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import same, verify
from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.compositions import follow
from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS
from alchemy.data.sampling import draw, in_side, problems_of, render
from alchemy.data.seeds import stream
from alchemy.data.shift import asking, corrupt
from alchemy.data.task import Composition, Distribution, Exposed, Staged, Task
from alchemy.data.vocabulary import PAD
from alchemy.testing.grounds import Broken, Grounds, Rows, padded_alike, problems
from alchemy.testing.law import LabLaw, stated

WORLD_LAWS: list[LabLaw] = []
SPELLED = 512  # compositions whose names are compared
LATE = 10**12  # rows, after which every training has ended


@stated(WORLD_LAWS, "a world says the same of itself each time")
def constant(grounds: Grounds) -> None:
    if grounds.task.vocabulary != grounds.task.vocabulary:
        raise Broken("vocabulary gives other symbols, or another order, when it is asked again")
    if grounds.task.train != grounds.task.train:
        raise Broken("train gives another distribution when it is asked again")


@stated(WORLD_LAWS, "apply gives as many atoms, row by row, and changes nothing that it is given")
def applied(grounds: Grounds) -> None:
    task = grounds.task
    rows = grounds.draw(task.train, 256, 0, "apply")
    for numbers, elements, composition in problems_of(rows.batch, task.vocabulary):
        shown, first = rows.row(int(numbers[0])), task.vocabulary.first_atom
        given = elements.copy()
        made = task.apply(composition[0], given)
        rule = task.vocabulary.rules[composition[0]]
        if not np.array_equal(given, elements):
            raise Broken(f"apply writes {rule} into the element that it is given", shown)
        if made.shape != elements.shape or made.min() < first or made.max() >= len(task.vocabulary):
            raise Broken(f"apply makes of {elements.shape[1]} atoms by {rule} something else than as many", shown)
        if not np.array_equal(task.apply(composition[0], elements[::-1].copy())[::-1], made):
            raise Broken(f"what apply makes by {rule} hangs on the other rows beside it", shown)


@stated(WORLD_LAWS, "a row is the rendering of its own problem")
def rendered(grounds: Grounds) -> None:
    task, train = grounds.task, grounds.task.train
    elements, which = task.problems(train, 300, stream(0, "rows"))
    rows = Rows(task, render(task, train, elements, which), 0, 'problems for "rows", training')
    for number in np.unique(which):
        some = np.flatnonzero(which == number)
        alone = task.render(elements[some[::-1]], train.compositions[number])[::-1]  # rendered in reverse order
        held = np.ones(len(rows.batch), dtype=bool)
        held[some] = alike(rows.batch[some], alone)
        rows.need(held, "beside other problems it is written otherwise")


def alike(rows: Batch, alone: Batch) -> NDArray[np.bool_]:
    """Returns whether rows (B,) have the same tokens, roles and steps, whatever the width of their padding."""
    held = np.ones(len(rows), dtype=bool)
    for name, fill in (("tokens", PAD), ("role", Role.PAD), ("step", -1)):
        ours, theirs = padded_alike(getattr(rows, name) - fill, getattr(alone, name) - fill)
        held &= (ours == theirs).all(axis=1)
    return held


@stated(WORLD_LAWS, "gold is what apply makes, of every rule and every step")
def gold_is_applied(grounds: Grounds) -> None:
    task = grounds.task
    for where, name in every_rule(task):
        try:
            rows = grounds.draw(where, 64, 0, "rules", at=name)
        except ValueError:
            continue  # the world has no such problem, and so no row
        rows.need(
            verify(task, rows.batch, rows.batch.completion()), "the answer is not what apply makes of the element"
        )
        first = task.vocabulary.first_atom
        for numbers, elements, composition in problems_of(rows.batch, task.vocabulary):
            held = np.ones(len(rows.batch), dtype=bool)
            for step in range(int(rows.batch.step[numbers].max(initial=-1)) + 1):
                inside = (rows.batch.step[numbers] == step) & (rows.batch.tokens[numbers] >= first)
                written = left_justify(rows.batch.tokens[numbers], inside)
                made = follow(task, elements, composition[: step + 1])
                held[numbers] = same(written, made) | ~inside.any(axis=1)
                rows.need(held, f"step {step + 1} of the chain is not what apply makes of the one before")


def every_rule(task: Task) -> list[tuple[Distribution, str]]:
    """Returns training, and each rule alone and twice, each with a name."""
    train = task.train
    alone = [(rule,) * k for rule in range(len(task.vocabulary.rules)) for k in (1, 2)]
    return [(train, "training"), *((asking(train, (one,)), f"composition {task.spell(one)}") for one in alone)]


@stated(WORLD_LAWS, "a replay names what is asked for, and applies what it executes")
def replay_holds(grounds: Grounds) -> None:
    task = grounds.task
    rows = grounds.draw(task.train, 64, 0, "replay")
    for numbers, elements, composition in problems_of(rows.batch, task.vocabulary):
        for executed in (composition[::-1], (composition[-1],) * len(composition)):
            asked, other = task.render(elements, composition), task.render(elements, composition, executed)
            shown = Rows(task, other, 0, f"replay of {task.spell(executed)}, for row {numbers[0]} of training")
            shown.need(same(asked.prompt(), other.prompt()), "the prompt is another than that of what is asked for")
            answer = left_justify(
                other.tokens, (other.role == Role.ANSWER) & (other.tokens >= task.vocabulary.first_atom)
            )
            shown.need(same(answer, follow(task, elements, executed)), "the answer is not that of what is executed")


@stated(WORLD_LAWS, "noise never touches gold")
def noise_spares_gold(grounds: Grounds) -> None:
    clean = grounds.draw(grounds.task.train, 256)
    for kind, domain, level in product(NOISE_KINDS, NOISE_DOMAINS, (1, 6, 20)):
        where = corrupt(grounds.task, level, kind, domain)
        noisy = grounds.draw(where, 256, at=f"shift.axis=format, level {level}, {kind}, {domain}")
        noisy.need(spared(noisy.batch, clean.batch), f"with noise its gold is another: {kind}, {domain} tokens")


def spared(noisy: Batch, clean: Batch) -> NDArray[np.bool_]:
    """Returns whether chain and answer, with the end symbol, are the same in both, by row (B,)."""
    parts = [left_justify(b.tokens, (b.role == Role.CHAIN) | (b.role == Role.ANSWER)) for b in (noisy, clean)]
    return same(*parts) & same(noisy.completion(), clean.completion())


@stated(WORLD_LAWS, "a token noised at some level is noised at every higher one")
def noise_grows(grounds: Grounds) -> None:
    clean = grounds.draw(grounds.task.train, 512)
    drawn = [
        grounds.draw(corrupt(grounds.task, level, "modify", "all"), 512, at=f"shift.axis=format, level {level}")
        for level in range(1, 20, 3)
    ]
    spared = [rows.batch.tokens == clean.batch.tokens for rows in drawn]
    for (weaker, stronger), rows in zip(pairwise(spared), drawn[1:], strict=True):
        rows.need((weaker | ~stronger).all(axis=1), "a token is spared that less noise has hit")


@stated(WORLD_LAWS, "other seeds and purposes give other rows")
def streams_differ(grounds: Grounds) -> None:
    train = grounds.task.train
    one, *others = (grounds.draw(train, 200, *at) for at in ((5, "test"), (6, "test"), (5, "valid")))
    asked = problems(one.batch)
    for other in others:
        again = problems(other.batch)
        alike = max(sum(a == b for a, b in zip(asked[k:], again, strict=False)) for k in range(5))
        if again == asked or alike >= 20:
            raise Broken(f"{alike} of 200 problems are those of seed 5 for tests, in their order", other.row(0))


@stated(WORLD_LAWS, "training and what it is watched on share no problem")
def watched_is_new(grounds: Grounds) -> None:
    learnt, _ = grounds.shown()
    watched = grounds.draw(grounds.task.train, 5_000, 0, "valid", "valid")
    watched.need([one not in learnt for one in problems(watched.batch)], "training has this problem as well")


@stated(WORLD_LAWS, "every problem has exactly one side")
def one_side(grounds: Grounds) -> None:
    task, train = grounds.task, grounds.task.train
    elements, which = task.problems(train, 4_000, stream(0, "sides"))
    sides = [in_side(task.vocabulary, train, elements, which, side) for side in ("train", "valid", "test")]
    Rows(task, render(task, train, elements, which), 0, 'problems for "sides", training').need(
        np.sum(sides, axis=0) == 1, "it is on several sides, or on none"
    )


@stated(WORLD_LAWS, "training lacks what is held out")
def held_out(grounds: Grounds) -> None:
    task, out = grounds.task, grounds.task.train.held_out
    rows = grounds.draw(task.train, 20_000, 0, "train", "train")
    asked = rows.batch.role == Role.ELEMENT
    for atom in out.atoms:
        there = asked & (rows.batch.tokens == task.vocabulary.ids[atom])
        rows.need(~there.any(axis=1), f"{atom} is held out, and training asks about it")
    for numbers, _, composition in problems_of(rows.batch, task.vocabulary):
        if composition in out.compositions:
            said = f"{task.spell(composition)} is held out, and training asks for it"
            raise Broken(said, rows.row(int(numbers[0])))


@stated(WORLD_LAWS, "each composition has a name of its own")
def spelled(grounds: Grounds) -> None:
    task = grounds.task
    R = range(len(task.vocabulary.rules))
    several = (composition for k in (1, 2, 3) for composition in product(R, repeat=k))
    names: dict[str, Composition] = {}
    for composition in dict.fromkeys([*task.train.compositions[:SPELLED], *islice(several, SPELLED)]):
        name = task.spell(composition)
        if not name or set(name) & set(" ,[]{}'\"\n"):
            raise Broken(f"{composition} is spelled {name!r}, which shift.levels cannot name: use no spaces, , [ or {{")
        if names.setdefault(name, composition) != composition:
            raise Broken(f"{name} is the name of {names[name]} and of {composition}")


@stated(WORLD_LAWS, "compositions are asked for as often as their shares say")
def shares(grounds: Grounds) -> None:
    """Tests the share of each composition within six standard errors."""
    task, train = grounds.task, grounds.task.train
    elements, which = task.problems(train, 20_000, stream(0, "shares"))
    if elements.shape != (20_000, train.length) or which.shape != (20_000,):
        raise Broken(f"of 20000 problems, elements are {elements.shape} and places {which.shape}")
    number = len(train.compositions)
    wanted = np.array(train.shares or [1 / number] * number)
    found = np.bincount(which, minlength=number) / len(which)
    off = np.abs(found - wanted) > 6 * np.sqrt(wanted * (1 - wanted) / len(which)) + 1e-9
    if off.any():
        place = int(off.argmax())
        name = task.spell(train.compositions[place])
        raise Broken(f"{name} has a share of {wanted[place]:.3f}, and {found[place]:.3f} of the problems")


@stated(WORLD_LAWS, "there are no more problems than size says")
def sized(grounds: Grounds) -> None:
    task = grounds.task
    rows = grounds.draw(task.train, 4_000, 0, "size")
    different = len(set(problems(rows.batch)))
    if different > task.size(task.train):
        raise Broken(f"size says {task.size(task.train)}, and 4000 rows have {different} different ones", rows.row(0))


@stated(
    WORLD_LAWS, "an element is asked about as often as its exposure says", worlds=lambda task: isinstance(task, Exposed)
)
def exposed(grounds: Grounds) -> None:
    task = grounds.task
    assert isinstance(task, Exposed)
    rows = grounds.draw(task.train, 5_000, 0, "exposure")
    seen = []
    for numbers, elements, _ in problems_of(rows.batch, task.vocabulary):
        told = task.exposure(elements)
        if told.shape != (len(elements),) or not np.isfinite(told).all() or (told < 0).any():
            raise Broken("exposure is no number from 0 up for each element", rows.row(int(numbers[0])))
        seen.append(told)
    known = np.concatenate(seen)
    known = known[known > 0]
    if len(known) and known.mean() + 5 * known.std() / len(known) ** 0.5 < 1 - 0.05:
        raise Broken(
            f"elements that are asked about have an exposure of {known.mean():.2f} on average, and not 1 or more"
        )


@stated(
    WORLD_LAWS, "training in stages ends in the training distribution", worlds=lambda task: isinstance(task, Staged)
)
def staged(grounds: Grounds) -> None:
    task = grounds.task
    assert isinstance(task, Staged)
    if task.after(LATE) != task.train:
        raise Broken(f"after {LATE} rows it is still another one")
    draw(task, task.after(0), 1, stream(0, "stages"), "train")
