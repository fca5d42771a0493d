"""Recovery and trajectory, on models small enough to be trained here."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hydra.utils import instantiate

from alchemy.data.sampling import draw, in_side
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.measures.bench import Bench
from alchemy.results.cells import Cells
from alchemy.results.store import Partial, Trained
from alchemy.studies import recovery, trajectory
from alchemy.training.fit import Recipe, fit_model
from tasks.diverse import diverse
from tests.helpers.recipes import QUICK
from tests.helpers.worlds import settings_of, tiny_model

SHIFTS = (Shift("composition", (0, 12)),)  # F3F3


def study(task, trained, known, **knobs):
    return list(recovery.run(Bench(task, trained, 0, SHIFTS, known, lambda *at: None), count=64, **knobs))


def test_recovery_learns_what_it_is_shown_and_leaves_the_model_alone(cipher, tmp_path):
    trained = Trained(tiny_model(cipher), tmp_path)
    before = [weights.clone() for weights in trained.model.parameters()]
    recipe = Recipe(**{**QUICK, "steps": 30, "check_every": 30, "mark": None, "learning_rate": 1e-2})
    records = study(cipher, trained, Cells(tmp_path, "key"), rows=(0, 40), shares=(), recipe=recipe)
    assert all((a == b).all() for a, b in zip(before, trained.model.parameters(), strict=True))
    distances = {
        (record.at["level"], record.at["rows"]): record.value
        for record in records
        if record.metric == "edit_distance" and record.at["part"] == "full"
    }
    assert set(distances) == {(0, 0), (0, 40), (12, 0), (12, 40)}
    assert distances[12, 40] < distances[12, 0]  # ten seeds, three instruction sets: 0.22 to 0.26, and 0.92 to 0.97
    assert study(cipher, trained, Cells(tmp_path, "key"), rows=(0, 40), shares=(), recipe=recipe) == records


def test_more_rows_than_there_are_is_left_out_and_said(cipher, tmp_path, caplog):
    pairs = replace(cipher, length=2, unseen_atoms="", unseen_places=0)
    recipe = Recipe(**{**QUICK, "steps": 2})
    records = study(
        pairs, Trained(tiny_model(pairs), tmp_path), Cells(tmp_path, "key"), rows=(10, 600), shares=(), recipe=recipe
    )
    assert {record.at["rows"] for record in records if record.at["level"] == 12} == {10}
    assert "left out: 600 rows" in caplog.text


def test_shares_are_of_all_problems(cipher, tmp_path):
    where = SHIFTS[0].at(cipher, 12)
    share = 10.5 / cipher.size(where)
    recipe = Recipe(**{**QUICK, "steps": 2})
    records = study(
        cipher, Trained(tiny_model(cipher), tmp_path), Cells(tmp_path, "key"), rows=(), shares=(share,), recipe=recipe
    )
    assert {record.at["rows"] for record in records if record.at["level"] == 12} == {10}
    assert {record.at["share"] for record in records} == {share}
    with pytest.raises(ValueError, match=r"study\.rows"):
        recovery.check(cipher, None, rows=(), shares=(), recipe=recipe)


def test_fewer_rows_are_the_first_of_more_and_of_the_training_side(cipher):
    where = SHIFTS[0].at(cipher, 12)
    few, many = (recovery.different(cipher, where, number, 3) for number in (20, 200))
    assert len(np.unique(many.tokens, axis=0)) == len(many) == 200
    elements = many.tokens[:, : where.length]
    assert in_side(cipher.vocabulary, where, elements, np.zeros(200, dtype=int), "train").all()
    tested = draw(cipher, where, 2000, stream(3, "test"))
    assert not {row.tobytes() for row in many.tokens} & {row.tobytes() for row in tested.tokens}
    assert len(few) == 20


def test_a_trajectory_measures_every_snapshot(cipher, tmp_path):
    partial, model = Partial(tmp_path / "part"), tiny_model(cipher)
    recipe = Recipe(**{**QUICK, "steps": 32, "check_every": 2, "mark": None, "snapshots": 3})
    fit_model(cipher, model, recipe, 0, lambda at: None, partial)
    facts = {"rows": 512, "parameters": 1, "exact_match": 0.0, "checks": []}
    partial.close(tmp_path / "home", model, {}, facts)
    trained = Trained(model, tmp_path / "home")
    told = []
    records = list(
        trajectory.run(Bench(cipher, trained, 0, SHIFTS, Cells(tmp_path, "key"), lambda *at: told.append(at)), count=32)
    )
    assert sorted({record.at["rows"] for record in records}) == [32, 128, 512]
    assert [done for done, *_ in told] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match=r"train\.snapshots"):
        trajectory.check(cipher, Recipe(**QUICK), count=32)


@pytest.mark.parametrize("name", ["cipher", "diverse"])
def test_the_size_of_a_distribution_is_what_can_be_drawn(name):
    settings = settings_of(name)
    settings.length = 2
    task = instantiate(settings, _convert_="all")
    elements, which = task.problems(task.train, 200_000, stream(0, "size"))
    assert len(np.unique(np.column_stack([elements, which]), axis=0)) == pytest.approx(task.size(task.train), rel=0.01)


def test_more_compositions_contain_fewer_and_none_that_is_held_out():
    settings = dict(settings_of("diverse"))
    del settings["_target_"]
    tasks = [diverse(**{**settings, "compositions": m, "draw": 3}) for m in (4, 16, 56)]
    for fewer, more in pairwise(tasks):
        assert set(fewer.train.compositions) < set(more.train.compositions)
        assert fewer.train.held_out.compositions == more.train.held_out.compositions
    assert not set(tasks[-1].train.compositions) & set(tasks[-1].train.held_out.compositions)
    assert Shift("task", (1,)).at(tasks[0], 1).compositions == tasks[0].train.held_out.compositions
    assert all(8 in composition for composition in Shift("task", (3,)).at(tasks[2], 3).compositions)
    with pytest.raises(ValueError, match=r"^compositions=60"):
        diverse(**{**settings, "compositions": 60})
    with pytest.raises(ValueError, match=r"^spare="):
        diverse(**{**settings, "spare": 9})
