"""The study of coverage: its records against a count by hand, its tables, picture and page, and a sweep of it."""

import json

import numpy as np
import pytest

import alchemy as al
from alchemy.figures.draw import drawings, styled
from alchemy.measures.bench import Bench
from alchemy.measures.coverage import covered
from alchemy.models.decoding import Completes
from alchemy.results.cells import Cells
from alchemy.results.runs import read_results
from alchemy.results.store import Trained
from alchemy.studies.coverage import page
from tests.helpers.command import alchemy

TINY = ["task.rules=4", "task.design=random_1", "study.count=8", "study.each=20", "train.steps=2"]
TINY += ["train.batch=8", "train.check_every=1", "train.check_problems=8", "train.mark=null"]


class Knows:
    """A model that is right on compositions whose rules it saw twice in their places, and on no others."""

    def __init__(self, task):
        train = task.train
        unseen = train.held_out.compositions
        found = zip(unseen, covered(train.compositions, unseen, range(len(task.rules))), strict=True)
        self.known = {*train.compositions} | {one for one, its in found if its.times >= 2}
        self.task = task

    def complete(self, batch, temperature, rng):
        rules = batch.tokens[:, self.task.length : self.task.length + 2] - self.task.vocabulary.first_rule
        right = np.array([tuple(pair) in self.known for pair in rules.tolist()])
        return np.where(right[:, None], batch.completion(), 0).astype(np.int16)


def test_records_are_of_what_compositions_share_with_training(tmp_path):
    plan = al.compose("task=coverage", "study=coverage", *TINY, f"output={tmp_path}")
    knows = Knows(plan.task)
    assert isinstance(knows, Completes)
    trained = al.train(plan)
    object.__setattr__(trained, "model", knows)
    cells = Cells(tmp_path / "cells", "a key")
    records = list(plan.study(Bench(plan.task, trained, 0, plan.shifts[:1], cells, lambda *_: None)))
    own = [record for record in records if record.at["part"] == "composition"]
    unseen = plan.task.train.held_out.compositions
    by_hand = covered(plan.task.train.compositions, unseen, range(4))
    assert sum(record.count for record in own) == 20 * len(unseen) == 80
    for record in own:
        its = [one for one in by_hand if all(int(getattr(one, name)) == record.at[name] for name in vars(one))]
        assert record.count == 20 * len(its)
        assert record.value == (record.at["times"] >= 2)
        assert (record.at["rules"], record.at["compositions"], record.at["form"]) == (4, 4, "chain")


def test_its_cells_are_apart_from_those_of_the_axes(tmp_path):
    """A composition that an axis has measured as well, over other problems, is measured anew, and so the other way."""
    own = {}
    for first in ("coverage", "degradation"):
        cells = Cells(tmp_path / first, "a key")
        for study in dict.fromkeys((first, "coverage", "degradation")):
            words = ["task=coverage", f"study={study}", "task.rules=4", "task.design=random_1", "study.count=8"]
            words += ["shift.axis=composition", f"output={tmp_path}"]
            world = al.compose(*words[:1], *words[2:4]).task
            name = world.spell(world.train.held_out.compositions[0])
            plan = al.compose(*words, f"shift.levels=[{name}]", *(["study.each=20"] if study == "coverage" else []))
            bench = Bench(plan.task, Trained(Knows(plan.task), tmp_path), 0, plan.shifts, cells, lambda *_: None)
            own.setdefault(study, []).append([*plan.study(bench)])
    for found in own.values():
        assert found[0] == found[1]


def test_other_settings_that_are_swept_are_refused(tmp_path):
    words = ["-m", "task=coverage", "study=coverage", "predictions=coverage", *TINY, "model.layers=1,2", "seed=0"]
    done = alchemy(tmp_path, *words, "workers=1", f"output={tmp_path}")
    assert done.returncode == 1
    assert "model.layers is swept, and study=coverage compares task.rules, task.design, task.cot" in done.stderr


def test_a_world_that_holds_nothing_out_is_refused():
    with pytest.raises(ValueError, match=r"study=coverage needs a world that holds compositions out"):
        al.compose("study=coverage")
    with pytest.raises(ValueError, match=r"study.each=0 leaves nothing to measure"):
        al.compose("task=coverage", "study=coverage", "study.each=0")


def test_rules_can_be_answered_without_a_chain():
    task = al.compose("task=coverage", "task.cot=false").task
    rows = task.render(task.vocabulary.encode("A B C D")[None], task.train.compositions[0])
    assert "<think>" not in task.vocabulary.decode(rows.tokens[0])


def test_a_sweep_ends_with_its_tables_its_picture_and_its_page(tmp_path):
    words = ["experiment=coverage_quick", *TINY, "task.rules=4,8", "task.design=random_1,random_2,latin_1", "seed=0"]
    done = alchemy(tmp_path, *words, "workers=1", f"output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "seen twice over number alone" in done.stdout
    (folder,) = (tmp_path / "coverage_quick").iterdir()
    for name in ("coverage.png", "outcomes.csv", "laws.csv", "verdicts.csv", "report.html"):
        assert (folder / name).stat().st_size > 100, name
    results = read_results(folder)
    table = page.held_out_rows(results)
    assert set(table["design"]) == {"random", "latin"}
    assert table["problems"].sum() == 20 * 3 * (4 + 8)
    assert set(page.verdicts(results)["verdict"]) <= {"undecided", "not measured"}
    assert json.loads((folder / "0" / "run.json").read_text())["predictions"]
    with styled():
        assert [name for name, draw, _ in drawings(results) if draw()] == ["coverage"]
