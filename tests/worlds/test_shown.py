"""Several levels of a shift in training: as many rows of each, and the next level is none of them."""

from collections import Counter

import numpy as np
import pytest

from alchemy.data.answers import answers
from alchemy.data.batch import Role
from alchemy.data.sampling import draw, span
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift, corrupt
from alchemy.data.vocabulary import PAD, UNKNOWN
from alchemy.measures.cell import measure
from alchemy.measures.discrepancy import discrepancies, overlap
from alchemy.measures.replay import replay_oracle
from alchemy.runs.compose import compose_plan
from alchemy.training.population import form
from tasks.shown import shown
from tests.helpers.worlds import tiny_model

RULES = ("rotate 13", "roll 1", "reverse")


def made(axis="length", levels=(0, 1), kinds=("insert",), **more):
    settings = {"length": 4, "places": 4} | more
    return shown(RULES, ("F1F1", "F1F2", "F2F1"), axis=axis, levels=levels, kinds=kinds, **settings)


def rows(task, count=4000, where=None, side="train"):
    return draw(task, where or task.train, count, stream(0, "rows"), side)


def atoms(batch):
    return Counter((batch.role == Role.ELEMENT).sum(axis=1).tolist())


def test_each_length_is_as_often_in_training():
    task = made(levels=(-1, 0, 1))
    found = atoms(rows(task))
    assert sorted(found) == [3, 4, 5]
    assert all(abs(number / 4000 - 1 / 3) < 0.05 for number in found.values())
    assert span(task, task.train) == (5 + 2 + 1, 3 * 5 - 5 + 1 + 1 + 1)


def test_a_level_beyond_training_has_that_level_alone():
    task = made(levels=(-1, 0, 1))
    for level, length in ((2, 6), (-2, 2), (1, 5)):
        where = Shift("length", (level,)).at(task, level)
        assert where.also == ()
        assert atoms(rows(task, 50, where, "test")) == {length: 50}
    assert Shift("length", (0,)).at(task, 0) == task.train
    assert Shift("length", (2,)).describe(task, 2) == "l = 6"


def test_numbers_of_steps_are_mixed():
    task = made("steps", (-1, 0, 1))
    found = Counter((rows(task).role == Role.TRANSFORMATION).sum(axis=1).tolist())
    assert sorted(found) == [1, 2, 3]
    assert all(abs(number / 4000 - 1 / 3) < 0.05 for number in found.values())


def test_kinds_of_noise_are_in_training_and_gold_is_clean():
    task = made("format", (0, 3), ("insert", "delete"))
    batch = rows(task)
    noised = (batch.tokens == UNKNOWN).any(axis=1)
    assert 0.15 < noised.mean() < 0.35  # a third of rows have insertions at 15 %
    assert not ((batch.tokens == UNKNOWN) & (batch.role >= Role.CHAIN)).any()
    assert (batch.prompt_length < 7).any()
    clean = draw(task, task.train.clean(), 4000, stream(0, "rows"), "train")
    assert not (clean.tokens == UNKNOWN).any()
    assert np.array_equal(clean.completion(), batch.completion())
    beyond = Shift("format", (3,), "modify", "all").at(task, 3)
    assert (beyond.noise, beyond.also) == (corrupt(task, 3, "modify").noise, ())


def test_no_problem_of_a_level_is_on_two_sides():
    task = made(levels=(0, 1))
    sides = [{row.tobytes() for row in rows(task, 3000, None, side).prompt()} for side in ("train", "test")]
    assert not sides[0] & sides[1]


def test_a_training_that_goes_on_draws_the_same_rows():
    task, rng = made(levels=(0, 1)), stream(3, "train")
    first, second = (draw(task, task.train, 64, rng, "train") for _ in range(2))
    again = stream(3, "train")
    again.spawn(2)
    assert np.array_equal(draw(task, task.train, 64, again, "train").tokens, second.tokens)
    assert not np.array_equal(first.tokens, second.tokens)


def test_the_oracle_takes_the_nearest_length_of_training():
    task = made(levels=(0, 2))
    for level, length in ((1, 4), (2, 6), (3, 6), (-1, 4)):
        where = Shift("length", (level,)).at(task, level)
        answer = answers(replay_oracle(task, rows(task, 5, where, "test")))
        assert ((answer != PAD).sum(axis=1) == length).all()


def test_discrepancy_is_from_all_that_training_has():
    task = made(levels=(0, 1))
    inside, beyond = (Shift("length", (level,)).at(task, level) for level in (1, 2))
    assert overlap(task, task.train, inside) == pytest.approx(1.0)
    assert overlap(task, task.train, beyond) == 0.0
    found = discrepancies(task, inside, rows(task, 100, inside, "test"))
    assert found["total_variation"][0] == pytest.approx(0.5)
    assert found["alignment"][0] == pytest.approx(1.0)
    assert discrepancies(task, task.train, rows(task, 100))["total_variation"][0] == pytest.approx(0.0)


@pytest.mark.parametrize("places", [1, 2, 3, 4])
def test_each_letter_stands_at_so_many_of_four_places(places):
    task = made(levels=(0,), places=places)
    tokens = rows(task, 4000).tokens[:, :4]
    seen = [{int(place) for place in np.argwhere(tokens == letter)[:, 1]} for letter in np.unique(tokens)]
    assert {len(its) for its in seen} == {places}


@pytest.mark.parametrize("axis", ["length", "steps", "format"])
def test_training_is_no_way_from_itself(axis):
    task = made(axis, (0, 2), ("insert", "delete"))
    found = discrepancies(task, task.train, rows(task, 200))
    assert (found["total_variation"][0], found["overlap"][0], found["novelty"][0]) == (0.0, 1.0, 0.0)


def test_problems_are_counted_once_whatever_noise_they_are_shown_with():
    assert made("format", (0, 3), ("insert", "delete")).size(made().train.parts()[0]) == 3 * 26**4
    task = made("format", (0, 3), ("insert", "delete"))
    assert task.size(task.train) == 3 * 26**4
    task = made(levels=(0, 1))
    assert task.size(task.train) == 3 * (26**4 + 26**5)


def test_a_cell_of_mixed_training_is_measured():
    task = made(levels=(0, 1))
    found = measure(task, tiny_model(task), task.train, 40, 0).values
    assert found["replay_full"]["exact_match"][0] == 1.0
    assert found["full"]["exact_match"][0] == 0.0


def test_such_a_training_pads_to_the_context_in_a_stack():
    plan = compose_plan(["task=shown", "model.context=48"])
    assert form(plan.task, plan.model, plan.recipe).longest == 48


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"axis": "colour"}, "axis=colour cannot be shown in training"),
        ({"axis": "task"}, "axis=task cannot be shown in training"),
        ({"axis": "format", "levels": (0, 21)}, r"levels=\[0, 21\] has one that the world lacks"),
        ({"levels": (1, 2)}, "must name each level once, and 0 among them"),
        ({"levels": (0, 1, 1)}, "must name each level once"),
        ({"levels": (0, -4)}, "leaves 0 atoms"),
        ({"axis": "places", "levels": (0, 1)}, "needs atoms kept from some places"),
        ({"places": 5}, "places=5 is no number of places in four"),
        (
            {"axis": "format", "kinds": ("melt",), "levels": (0, 1)},
            "kinds names melt: use insert, delete",
        ),
    ],
)
def test_what_the_world_lacks_is_said(change, said):
    with pytest.raises(ValueError, match=said):
        made(**change)
