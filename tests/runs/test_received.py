"""Folders that somebody else has made: nothing that they name is imported or called, whatever they are signed with."""

import json
import sys

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from alchemy.__main__ import answer as interop
from alchemy.data.seeds import stream
from alchemy.models.transformer import initialise
from alchemy.results import store
from alchemy.results.digests import read_json, sha256, write_json
from alchemy.runs.job import work
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from tests.helpers.command import word
from tests.helpers.made import change_run

WORDS = ["model.layers=1", "model.heads=2", "model.width=8", "train.steps=2", "train.batch=4", "train.check_problems=4"]
WORDS += ["study.count=8", "shift.axis=task", "shift.levels=[0]", "train.mark=null"]


def composed(*words):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", [*WORDS, *words])


def received(folder, change):
    """A stored model with other settings, under the fingerprint and the checksum that these have."""
    todo = plan(composed())
    initialise(todo.model, stream(0, "weights"))
    change(todo.settings)
    facts = {"rows": 8, "parameters": 7, "exact_match": 0.5, "checks": []}
    store.Partial(folder / ".partial").close(folder / "received", todo.model, todo.settings, facts)
    return folder / "received"


TARGET = {"_target_": "trap.spring", "filepath_or_buffer": "w.pkl"}
CHANGES = {
    "a setting that is text": lambda settings: settings["model"].update(positions=TARGET),
    "a number": lambda settings: settings["model"].update(width=TARGET),
    "the model": lambda settings: settings["model"].update(_target_="trap.spring"),
    "the world": lambda settings: settings["task"].update(_target_="trap.spring"),
    "a list of the world": lambda settings: settings["task"].update(rules=["rotate 13", TARGET]),
    "a name that is none": lambda settings: settings["task"].update(more=TARGET),
    "arguments": lambda settings: settings["task"].update(_args_=[TARGET]),
    "all of the world": lambda settings: settings.update(task=TARGET),
    "of the library": lambda settings: settings["task"].update(_target_="pandas.read_pickle"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_received_model_calls_nothing(tmp_path, trap, capsys, name):
    folder = received(tmp_path, CHANGES[name])
    (tmp_path / "rows.jsonl").write_text(json.dumps({"input": "A B [F1] [F1] <think>", "output": "x"}) + "\n")
    load = ["load", str(tmp_path / "rows.jsonl"), "--model", str(folder), "--out", str(tmp_path / "o.jsonl")]
    for words in (["export-model", str(folder), "--out", str(tmp_path / "o")], load):
        assert interop(words) == 1
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert len(said) < 330
        assert not trap()
    assert not (tmp_path / "o").exists()
    assert not (tmp_path / "o.jsonl").exists()


def test_what_is_not_as_it_was_signed_is_not_even_looked_at(tmp_path, trap, capsys):
    folder = received(tmp_path, lambda settings: None)
    assert interop(["export-model", str(folder), "--out", str(tmp_path / "good")]) == 0
    capsys.readouterr()
    record = json.loads((folder / "model.json").read_text())
    record["settings"]["model"]["positions"] = TARGET
    (folder / "model.json").write_text(json.dumps(record))
    assert interop(["export-model", str(folder), "--out", str(tmp_path / "o")]) == 1
    assert "model.json has changed since it was written" in capsys.readouterr().err
    del record["checksum"]
    write_json(folder / "model.json", record)
    assert interop(["export-model", str(folder), "--out", str(tmp_path / "o")]) == 1
    assert "its settings are not those of its fingerprint" in capsys.readouterr().err
    assert not trap()


def test_a_world_of_one_s_own_is_restored_where_its_options_are_named(tmp_path, trap, capsys):
    (tmp_path / "my_world.py").write_text("from tasks.cipher import Cipher\n\n\nclass Mine(Cipher):\n    pass\n")
    folder = received(tmp_path, lambda settings: settings["task"].update(_target_="my_world.Mine"))
    words = ["export-model", str(folder), "--out", str(tmp_path / "o")]
    assert interop(words) == 1
    assert "name the folder of your options with --config-dir DIR" in capsys.readouterr().err
    assert "my_world" not in sys.modules
    (tmp_path / "own" / "task").mkdir(parents=True)
    (tmp_path / "own" / "task" / "mine.yaml").write_text("_target_: my_world.Mine\n")
    assert interop([*words, "--config-dir", str(tmp_path / "own")]) == 0, capsys.readouterr().err


@pytest.fixture
def job(tmp_path):
    """The folder of a finished job, as a run writes it."""
    cfg = composed(f"output={tmp_path}/outputs")
    home = tmp_path / "job"
    (home / ".hydra").mkdir(parents=True)
    OmegaConf.save(cfg, home / ".hydra" / "config.yaml")
    facts = work(cfg, plan(cfg), home, 0) | {"overrides": WORDS, "status": "ok"}
    write_json(home / "run.json", facts | {"config": sha256(home / ".hydra" / "config.yaml")})
    return home


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.loss", TARGET),
        ("task._target_", "trap.spring"),
        ("study._target_", "trap.spring"),
        ("model.positions", TARGET),
        ("shift.levels", [TARGET]),
        ("gadget", TARGET),
        ("task", "trap.spring"),
    ],
)
def test_a_received_run_calls_nothing(job, trap, capsys, path, value):
    settings = job / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(settings)
    OmegaConf.update(cfg, path, value, force_add=True)
    OmegaConf.save(cfg, settings)
    assert word("rerun")([str(job)]) == 1
    assert "config.yaml has changed since it was written" in capsys.readouterr().err
    change_run(job, config=sha256(settings))  # signed anew
    code = word("rerun")([str(job)])
    said = capsys.readouterr()
    assert not trap()
    assert code == (0 if path == "gadget" else 1), said  # what nothing reads is not built
    assert said.err.count("\n") == code


@pytest.mark.parametrize(
    "content", ["[]", "3", "a: !!python/object/apply:trap.spring []", "a: &a [*a]", "\t", "a: ${b}"]
)
def test_settings_that_are_none_are_answered(job, trap, capsys, content):
    settings = job / ".hydra" / "config.yaml"
    settings.write_text(content)
    change_run(job, config=sha256(settings))
    assert word("rerun")([str(job)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not trap()


def test_a_cell_or_a_run_is_data(job, capsys):
    """Targets in the records themselves are names like any other."""
    [cell] = (job.parent / "outputs" / "cells").glob("*/*.json")
    write_json(cell, read_json(cell) | {"_target_": "trap.spring"})
    change_run(job, more=TARGET)
    assert word("rerun")([str(job)]) == 0, capsys.readouterr().err
