"""Worlds and shifts that break a law each: the law is told by its name, and the row that shows it is written out."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from alchemy.data.batch import Batch, Role
from alchemy.data.noise import Noise
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, Shift, asking
from alchemy.data.task import Holdout
from alchemy.testing import LawBroken, check_shift, check_world, laws_of, laws_of_shift
from alchemy.testing.grounds import problems
from tasks.arithmetic import Arithmetic
from tests.helpers.worlds import WORLDS

ADDING = WORLDS["page"]
Adding = type(ADDING)
RANDOM = np.random.default_rng(0)


def wrong(*bases, **members):
    """A world like that of the page, or like `bases`, with other members."""
    base = bases[0] if bases else ADDING
    kind = type("Wrong", (type(base),), members)
    made = object.__new__(kind)
    made.__dict__.update(vars(base))
    return made


def train(**changes):
    return property(lambda self: replace(super(type(self), self).train, **changes))


def rendered(change):
    """A `render` whose rows are changed afterwards."""
    return lambda self, elements, *more: change(super(type(self), self).render(elements, *more))


def one_more(batch):
    """The last token of the answer is the next symbol."""
    tokens = batch.tokens.copy()
    last = (batch.role == Role.ANSWER).sum(axis=1) + (batch.role < Role.ANSWER).sum(axis=1) - 2
    rows = np.arange(len(batch))
    tokens[rows, last] = np.where(tokens[rows, last] == 17, 16, tokens[rows, last] + 1)
    return Batch(tokens, batch.role, batch.step)


def next_step(batch):
    """The first atom of each chain is another."""
    tokens, first = batch.tokens.copy(), int((batch.role[0] < Role.CHAIN).sum())
    tokens[:, first] = np.where(tokens[:, first] == 17, 16, tokens[:, first] + 1)
    return Batch(tokens, batch.role, batch.step)


def noisy_problems(self, where, count, rng):
    elements, which = Adding.problems(self, where, count, rng)
    return np.where(rng.random(elements.shape) < (where.noise.rate if where.noise else 0), 8, elements).astype(
        "i2"
    ), which


def writes_into(self, rule, elements):
    elements[:] = Adding.apply(self, rule, elements)
    return elements


def by_neighbours(self, elements, *more):
    return Adding.render(self, np.sort(elements, axis=0), *more)


WORLD_OF = {
    "a world says the same of itself each time": wrong(
        train=property(lambda self: replace(Adding.train.fget(self), length=int(RANDOM.integers(2, 99))))
    ),
    "noise never touches gold": wrong(problems=noisy_problems),
    "other seeds and purposes give other rows": wrong(
        problems=lambda self, where, count, rng: Adding.problems(self, where, count, np.random.default_rng(0))
    ),
    "training and what it is watched on share no problem": wrong(
        render=lambda self, elements, *more: Adding.render(self, np.sort(elements, axis=1), *more)
    ),
    "a row is the rendering of its own problem": wrong(render=by_neighbours, training=("+1+1", "+1+3")),
    "training lacks what is held out": wrong(train=train(held_out=Holdout(atoms=("7",)))),
    "gold is what apply makes, of every rule and every step": wrong(render=rendered(one_more)),
    "apply gives as many atoms, row by row, and changes nothing that it is given": wrong(apply=writes_into),
    "a replay names what is asked for, and applies what it executes": wrong(
        render=lambda self, elements, composition, executed=None: Adding.render(self, elements, composition)
    ),
    "each composition has a name of its own": wrong(spell=lambda self, composition: f"+{min(composition)}"),
    "compositions are asked for as often as their shares say": wrong(train=train(shares=(0.2, 0.3, 0.5)), problems=(
        lambda self, where, *more: Adding.problems(self, replace(where, shares=()), *more)
    )),
    "there are no more problems than size says": wrong(size=lambda self, where: 100),
    "an element is asked about as often as its exposure says": wrong(
        exposure=lambda self, elements: np.full(len(elements), 0.1)
    ),
    "training in stages ends in the training distribution": wrong(after=lambda self, rows: self.train_at(rows)),
}  # fmt: skip
WORLD_OF["training in stages ends in the training distribution"].__class__.train_at = lambda self, rows: replace(
    self.train, length=3
)


@pytest.mark.parametrize("law", WORLD_OF)
def test_a_wrong_world_is_told_which_law_it_breaks(law):
    with pytest.raises(LawBroken) as told:
        check_world(WORLD_OF[law])
    assert told.value.law == law
    assert told.value.of == "Wrong"
    assert f"Wrong breaks a law of the lab: {law}\n  {told.value.said}" in str(told.value)


@pytest.mark.parametrize("law", ["noise never touches gold", "gold is what apply makes, of every rule and every step"])
def test_the_row_is_written_out_and_can_be_drawn_again(law):
    task = WORLD_OF[law]
    with pytest.raises(LawBroken) as told:
        check_world(task)
    row = told.value.row
    assert f"\n  prompt  {row.prompt}\n  gold    {row.gold}\n  row {row.number} of seed {row.seed}, " in str(told.value)
    if law.startswith("noise"):
        where = AXES["format"](task, 1)
        where = replace(where, noise=Noise("insert", "element", where.noise.rate))
        batch = draw(task, where, 256, stream(row.seed, "test"))
        assert "level 1, insert, element" in row.drawn
    else:
        batch = draw(task, task.train, 64, stream(row.seed, "rules"))
        assert row.drawn == 'purpose "rules", side test, training'
    assert task.vocabulary.decode(batch.prompt()[row.number]) == row.prompt
    assert task.vocabulary.decode(batch.completion()[row.number]) + " </s>" == row.gold


def test_a_leak_is_shown_on_a_row_that_both_sides_have():
    task = WORLD_OF["training and what it is watched on share no problem"]
    with pytest.raises(LawBroken, match="the test side shares no problem with training") as told:
        check_shift("length", task)
    row = told.value.row
    assert told.value.of == "Wrong, axis length"
    assert "side test, shift.axis=length, level 0" in row.drawn
    asked = problems(draw(task, task.train, 20_000, stream(0, "train"), "train"))
    tokens = task.vocabulary.encode(row.prompt)[:-1]
    assert tuple(tokens.tolist()) in set(asked)


def test_a_wrong_step_is_told_by_its_number():
    task = wrong(render=rendered(next_step))
    with pytest.raises(LawBroken, match="step 1 of the chain is not what apply makes"):
        check_world(task)


def test_what_a_world_raises_is_told_with_its_law():
    task = wrong(size=lambda self, where: {}["x"])
    with pytest.raises(LawBroken, match="for something raises KeyError: 'x'") as told:
        check_world(task)
    assert told.value.law == "there are no more problems than size says"
    assert isinstance(told.value.__cause__, KeyError)


def ending(level, task):
    if level not in range(3):
        raise ValueError(f"task.length has no such level: {level}")
    return replace(task.train, length=task.train.length + level)


COUNT = iter(range(10**9))


def begins_elsewhere(task, level):
    return asking(task.train, task.train.compositions[: level % 2 + 1])


def comes_back(task, level):
    if not 0 <= level <= 3:
        raise ValueError(f"shift.axis=comes_back has no level {level}: use 0 to 3")
    return asking(task.train, task.train.compositions[:level]) if level else task.train


def in_another_order(task, level):
    return asking(task.train, task.train.compositions[::-1]) if level == 1 else ending(level, task)


def raises_keys(task, level):
    return task.train if level == 0 else {0: task.train}[level]


def says_nothing_of_itself(task, level):
    return task.train if level == 0 else next_length(task, level, "no such level")


def next_length(task, level, said):
    if level != 1:
        raise ValueError(said)
    return replace(task.train, length=5)


def of_unknown_rules(task, level):
    return asking(task.train, ((-1, 0),)) if level == 1 else ending(level, task)


def of_wrong_shares(task, level):
    return replace(task.train, shares=(0.5, 0.5, 0.5)) if level == 1 else ending(level, task)


def holds_out_more(task, level):
    return replace(task.train, held_out=Holdout(atoms=("1",)), length=5) if level == 1 else ending(level, task)


def never_moves(task, level):
    if level:
        raise ValueError(f"shift.axis=never_moves has no level {level}: use 0")
    return task.train


def changes_each_time(task, level):
    return replace(task.train, length=4 + next(COUNT) % 2) if level == 1 else ending(level, task)


SHIFT_OF = {
    begins_elsewhere: "level 0 is training",
    comes_back: "no two levels are alike, and only level 0 is training",
    in_another_order: "no two levels are alike, and only level 0 is training",
    raises_keys: "a level that the world lacks is refused in a sentence",
    says_nothing_of_itself: "a level that the world lacks is refused in a sentence",
    of_unknown_rules: "every level is a distribution of the world",
    holds_out_more: "every level is a distribution of the world",
    of_wrong_shares: "a level that the world lacks is refused in a sentence",
    never_moves: "there is a level beside training",
}


@pytest.mark.parametrize("shift", SHIFT_OF, ids=lambda shift: shift.__name__)
def test_a_wrong_shift_is_told_which_law_it_breaks(shift):
    with pytest.raises(LawBroken) as told:
        check_shift(shift if shift is not raises_keys else Shift("length", (), moves=shift), ADDING)
    assert told.value.law == SHIFT_OF[shift]
    if "alike" in told.value.law or "level 0" in told.value.law:
        assert told.value.row.prompt.endswith("<think>")
        assert str(told.value).startswith(f"Adding, axis {shift.__name__} breaks a law of the lab: ")


def broken(name, shift, task=ADDING):
    """What one law says of a shift; None if it keeps it."""
    checks = dict(laws_of_shift(shift, task))
    axis = shift.axis if isinstance(shift, Shift) else shift.__name__
    try:
        checks[f"{axis}: {name}"]()
    except LawBroken as error:
        return error.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("l = 6", "level 1 says l = 6, and elements have 5 atoms"),
        ("k = 2, 3", None),
        ("k = 1, 3", "level 1 says k = 1, 3, and a row asks for others"),
        ("2 unseen atoms", "level 1 says 2 unseen atoms, and an element has others"),
        ("unseen atom", "level 1 says unseen atom, and an element has others"),
        ("5%", None),  # of something else than noise
        ("", "level 1 says ''"),
        ("two\nlines", "level 1 says 'two"),
        ("five digits, l = 5", None),
    ],
)
def test_what_a_level_says_is_held_against_its_rows(words, said, monkeypatch):
    def longer(task, level):
        return ending(level, task)

    monkeypatch.setitem(
        globals(), "describe", lambda task, where: words if where.length == 5 else "l = 6" * (where.length > 5)
    )
    found = broken("what a level says of itself is true", longer)
    assert (found is None) if said is None else found.startswith(said)


def test_what_a_level_says_of_its_noise_is_true(monkeypatch):
    def louder(task, level):
        return replace(task.train, noise=Noise("modify", "all", 0.1)) if level == 1 else ending(level, task)

    monkeypatch.setitem(
        globals(), "describe", lambda task, where: "5%" if where.noise else "longer" * (where.length > 4)
    )
    assert broken("what a level says of itself is true", louder).startswith("level 1 says 5%, and its noise is Noise(")


def test_noise_of_a_shift_is_held_against_its_rate(monkeypatch):
    def louder(task, level):
        return replace(task.train, noise=Noise("modify", "all", 0.1)) if level == 1 else ending(level, task)

    name = "a level's noise hits as much as it says, and never gold"
    assert broken(name, louder) is None
    spared = wrong(
        render=rendered(lambda batch: Batch(batch.tokens, np.where(batch.role < 3, 0, batch.role), batch.step))
    )
    assert broken(name, louder, spared) is None  # all of it is a prompt still
    monkeypatch.setattr("alchemy.data.sampling.perturb", lambda batch, noise, rng: batch)
    assert broken(name, louder).startswith("of 512 prompts 512 are spared, and ")


def test_a_task_of_training_is_not_new():
    def known(task, level):
        return asking(task.train, task.train.compositions[:1]) if level == 1 else ending(level, task)

    assert (
        broken("a new task is not in training", Shift("task", (), moves=known))
        == "level 1 has +1+1, which training has"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda b: Batch(b.tokens - 20, b.role, b.step), "it has a token of no symbol"),
        (lambda b: Batch(b.tokens, b.role[:, ::-1], b.step), "its parts are out of order"),
        (lambda b: Batch(b.tokens * (b.role != 0), b.role, b.step), "its padding is not what is called padding"),
        (lambda b: Batch(b.tokens + (b.tokens == 1), b.role, b.step), "it has no end symbol, or several"),
        (lambda b: Batch(b.tokens, b.role, b.step * 0), "its steps are not its chain"),
        (lambda b: Batch(b.tokens, b.role, b.step + (b.step >= 0)), "its steps do not count up from 0"),
    ],
)
def test_rows_that_are_not_well_formed_are_told(change, said):
    task = wrong(render=rendered(change))
    assert broken("rows are well formed", Shift("length", ()), task) == said


def test_streams_and_answers_of_shifts_are_looked_at():
    draws = wrong(problems=lambda self, where, count, rng: Adding.problems(self, where, count, RANDOM))
    assert broken("one stream gives one batch", Shift("length", ()), draws).startswith("drawn again from the same seed")
    gold = wrong(render=rendered(one_more))
    assert broken("gold is right, and every other answer wrong", Shift("length", ()), gold).startswith(
        "the answer is not"
    )


MODES = {
    "both modes ask alike and answer alike": {
        "direct": lambda self, elements, composition: Arithmetic.direct(self, elements, (*composition[::-1], 0))
    },
    "as many rows have chains as the distribution says": {"train": train(chains=())},
    "rows of either mode are those that the world writes": {
        "direct": Arithmetic.render,
    },
}


@pytest.mark.parametrize("law", MODES)
def test_a_world_with_wrong_modes_is_told_so(law):
    task = wrong(WORLDS["arithmetic"], **MODES[law])
    checks = dict(laws_of(task, ["length"]))
    with pytest.raises(LawBroken, match=law):
        checks.get(law, checks.get(f"length: {law}"))()


def test_a_broken_law_can_be_sent_to_another_process():
    with pytest.raises(LawBroken) as told:
        check_shift(comes_back, ADDING)
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.row) == (str(told.value), told.value.row)
