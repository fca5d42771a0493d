"""Stacks of a sweep: what they store is what a job stores by itself, and one training's end costs no other."""

import json

import pytest
import torch
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig

import alchemy as al
from alchemy.results.digests import read_json
from alchemy.runs import stacks
from alchemy.runs.compose import compose_sweep
from alchemy.runs.plan import plan
from alchemy.training.fit import Progress
from tests.helpers.command import alchemy

SMALL = [
    "model.layers=1",
    "model.width=16",
    "train.steps=20",
    "train.batch=16",
    "train.check_every=10",
    "train.check_problems=32",
    "train.mark=null",
    "shift.axis=task",
    "study.count=20",
]


@pytest.fixture
def settings(tmp_path):
    """Settings of jobs of a sweep, given the words that it is called with."""

    held = HydraConfig.instance().cfg
    yield lambda *words: compose_sweep([*SMALL, "launcher=stacked", f"output={tmp_path}", *apart(words)])
    HydraConfig.instance().cfg = held


def apart(words):
    """The words, with three slots where they name none."""
    return words if any(word.startswith("slots=") for word in words) else ("slots=3", *words)


def models_in(folder):
    """The SHA-256 of the weights of every model stored in a folder, by its fingerprint."""
    return {home.name: read_json(home / "model.json")["sha256"] for home in (folder / "models").glob("[!.]*")}


def test_a_stack_stores_each_model_with_the_bits_that_its_own_job_stores(settings, tmp_path, monkeypatch):
    configs = settings("seed=0,1,2,3", "train.learning_rate=0.004,0.001")
    assert stacks.train_stacks(configs) == {}
    stored = models_in(tmp_path)
    assert len(stored) == 8
    other = tmp_path / "by itself"
    words = ["seed=3", "train.learning_rate=0.001", "launcher=stacked", "slots=3", f"output={other}"]
    home = al.train(al.compose(*SMALL, *words)).home
    assert models_in(other) == {home.name: stored[home.name]}
    monkeypatch.setattr("alchemy.training.population.fit_population", None)  # nothing is left to train
    assert stacks.train_stacks(configs) == {}


def test_slots_are_part_of_what_made_a_model_and_one_that_is_trained_apart_has_none(settings):
    two, four, apart = (
        plan(settings("seed=0,1", *words)[0])
        for words in (["slots=2"], ["slots=4"], ["slots=4", "train.padding=group", "model.context=64"])
    )
    assert (two.settings["slots"], four.settings["slots"], apart.settings["slots"]) == (2, 4, None)
    assert two.settings["code"] == four.settings["code"] != apart.settings["code"]


def test_models_of_different_forms_are_trained_in_stacks_of_their_own(settings, tmp_path):
    configs = settings("seed=0,1", "model.width=16,32", "model.positions=learned,none", "train.padding=none,group")
    groups = stacks.grouped(configs)
    assert sorted(len(waiting) for waiting in groups.values()) == [2, 2, 2, 2]  # and 8 jobs with groups are left out


def test_jobs_that_share_a_model_wait_for_one_training(settings):
    ((waiting,),) = [list(found) for found in [stacks.grouped(settings("study.count=20,30,40")).values()]]
    assert [one.jobs for one in waiting] == [[0, 1, 2]]


def test_a_training_that_fails_costs_the_jobs_that_need_its_model(settings, tmp_path):
    lost = stacks.train_stacks(settings("seed=0,1", "train.learning_rate=0.004,1e12"))
    assert sorted(lost) == [1, 3]
    assert all(why.startswith("train.learning_rate=1000000000000.0 makes the loss") for why in lost.values())
    assert len(models_in(tmp_path)) == 2


def test_a_stack_that_does_not_fit_says_how_many_slots_would(settings, monkeypatch, tmp_path):
    configs = settings("seed=0,1", "slots=1000")
    monkeypatch.setattr(stacks, "physical", lambda: 2.0**28)
    with pytest.raises(ValueError, match=r"slots=1000 of this model need about .* GiB, and cpu has 0.2: set slots=\d+"):
        stacks.train_stacks(configs)
    monkeypatch.setattr(stacks, "physical", lambda: 1000.0)
    with pytest.raises(ValueError, match=r"set slots=0, or lower train.batch"):
        stacks.train_stacks(configs)
    assert not (tmp_path / "models").exists()


def test_a_model_that_another_process_trains_is_left_to_it(settings, tmp_path):
    configs = settings("seed=0,1")
    ((first, _),) = stacks.grouped(configs).values()
    first.home.parent.mkdir(parents=True)
    with FileLock(first.home.with_name(f".{first.home.name}.lock")):
        assert stacks.train_stacks(configs) == {}
    assert len(models_in(tmp_path)) == 1


def test_a_killed_stack_goes_on_to_the_same_bits(settings, tmp_path, monkeypatch):
    longer = SMALL[2].replace("20", "40")
    configs = settings("seed=0,1,2", longer)
    monkeypatch.setattr("alchemy.results.store.PAUSE", -1.0)
    stops = iter([False] * 6 + [True])
    original = stacks.Waiting.member

    def stopping(self, tell):
        def told(check):
            tell(check)
            if next(stops, False):
                raise KeyboardInterrupt

        return original(self, told)

    monkeypatch.setattr(stacks.Waiting, "member", stopping)
    with pytest.raises(KeyboardInterrupt):
        stacks.train_stacks(configs)
    assert len(list((tmp_path / "models").glob(".*.partial/training.json"))) == 3
    assert stacks.train_stacks(configs) == {}
    found = models_in(tmp_path)
    other = settings("seed=0,1,2", longer)
    for config in other:
        config.output = str(tmp_path / "straight")
    assert stacks.train_stacks(other) == {}
    assert models_in(tmp_path / "straight") == found
    assert not list((tmp_path / "models").glob(".*.partial"))


def test_jobs_of_other_threads_are_in_stacks_of_their_own(settings, tmp_path):
    """Products with two threads round otherwise, and the number of threads is part of what made a model."""
    groups = stacks.grouped(settings("seed=0,1", "threads=1,2"))
    assert [(threads, len(waiting)) for (_, _, threads), waiting in groups.items()] == [(1, 2), (2, 2)]


def test_a_model_is_locked_only_while_it_is_trained(settings, tmp_path, monkeypatch):
    configs, held = settings("seed=0,1,2,3,4,5", "slots=2"), []
    taken, given = [], stacks.locked
    monkeypatch.setattr(stacks, "locked", lambda one, what: taken.append(given(one, what)) or taken[-1])
    original = stacks.Waiting.member

    def member(self, tell):
        held.append(sum(lock.is_locked for lock in taken))
        return original(self, tell)

    monkeypatch.setattr(stacks.Waiting, "member", member)
    assert stacks.train_stacks(configs) == {}
    assert max(held) == 2
    assert not any(lock.is_locked for lock in taken)


def test_a_trainer_that_is_ended_leaves_each_job_its_own_model(settings, monkeypatch):
    ends = {"train_in_worker": (0, None, "its process was killed (signal 9), as happens when memory runs out")}
    ran = []

    def spread(work, jobs, workers):
        if work.__name__ in ends:
            yield ends[work.__name__]
        for number, job in enumerate(jobs if work.__name__ == "run" else ()):
            ran.append(job.seed)
            yield number, None, ""

    def run(_):
        raise AssertionError

    monkeypatch.setattr(stacks, "spread", spread)
    configs = settings("seed=0,1,2")
    assert [number for number, _, _ in stacks.spread_stacked(run, configs, 2, print)] == [0, 1, 2]
    assert ran == [0, 1, 2]
    ends["train_in_worker"] = (0, ({1: "why"}, ""), "")
    assert sorted(stacks.spread_stacked(run, configs, 2, print)) == [(0, None, ""), (1, None, "why"), (2, None, "")]
    ends["train_in_worker"] = (0, ({}, "slots=3 of this model"), "")
    with pytest.raises(ValueError, match="slots=3 of this model"):
        list(stacks.spread_stacked(run, configs, 2, print))


def test_a_model_from_elsewhere_has_no_slots(settings, monkeypatch):
    original = stacks.plan

    def elsewhere(config):
        todo = original(config)
        todo.settings.pop("slots")
        return todo

    monkeypatch.setattr(stacks, "plan", elsewhere)
    assert stacks.grouped(settings("seed=0,1")) == {}


def test_rows_a_second_are_of_rows_that_are_trained_now(settings):
    """Of a training that goes on at step 30, with checks every 10 steps of 16 rows."""
    ((one,),) = stacks.grouped(settings("seed=0", "train.steps=40")).values()
    member = one.member(lambda _: None)
    for step in (40, 45):
        member.report(Progress(step, step * 16, 1.0, 0.0, 1.0))
    assert (one.step, one.rows) == (45, 15 * 16)


def test_a_saved_training_of_something_else_is_begun_anew(settings, tmp_path):
    configs = settings("seed=0,1")
    (waiting,) = stacks.grouped(configs).values()
    strange = waiting[0].partial
    strange.last = -1e9
    strange.save({"model.tokens.weight": torch.zeros(2)}, [{"step": 1}])
    assert stacks.train_stacks(configs) == {}
    assert len(models_in(tmp_path)) == 2


@pytest.mark.slow
def test_a_sweep_in_stacks_ends_with_its_picture_and_loses_only_what_fails(tmp_path):
    words = ["-m", *SMALL, "launcher=stacked", "slots=2", "seed=0,1", "train.learning_rate=0.004,1e12"]
    done = alchemy(tmp_path, *words, f"output={tmp_path}")
    assert done.returncode == 1
    assert "makes the loss" in done.stderr + done.stdout
    (folder,) = (tmp_path / "run").iterdir()
    status = [json.loads((folder / str(n) / "run.json").read_text())["status"] for n in range(4)]
    assert status == ["ok", "failed", "ok", "failed"]
    assert (folder / "heatmap.png").exists()
