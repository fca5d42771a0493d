"""The command as a user types it: real sweeps in real processes, and every mistake answered in one sentence."""

import json

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException

from alchemy.runs.mistakes import explain
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from tests.helpers.command import TINY, alchemy, cells


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A real 2 × 2 multirun, in two processes."""
    folder = tmp_path_factory.mktemp("sweep")
    return folder, alchemy(folder, "-m", "seed=0,1", "model.width=8,16", *TINY)


def test_a_sweep_ends_in_a_picture(sweep):
    folder, done = sweep
    assert done.returncode == 0, done.stderr
    picture = folder / done.stdout.splitlines()[-1]
    assert picture.name == "heatmap.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(list((folder / "outputs" / "models").glob("*/model.json"))) == 4
    rows = cells(picture.parent / "cells.csv")
    assert {row["model.width"] for row in rows} == {"8", "16"}
    assert {row["axis"] for row in rows} == {"task", "element", "length", "steps", "format"}
    scores = [row for row in rows if row["part"] != "prompt"]  # noise touches all 16 prompts of some seeds
    assert {row["seeds"] for row in scores} == {"2"}
    assert {row["count"] for row in scores} == {"32"}


@pytest.mark.slow
def test_the_same_sweep_again_trains_nothing_and_ends_in_the_same_table(sweep):
    folder, done = sweep
    models = {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "models").glob("*/model.safetensors")}
    again = alchemy(folder, "-m", "seed=0,1", "model.width=8,16", *TINY)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("done before") == 4
    assert {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "models").glob("*/*.safetensors")} == models
    tables = [(folder / run.stdout.splitlines()[-1]).with_name("cells.csv").read_text() for run in (done, again)]
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_a_swept_axis_trains_one_model(sweep):
    folder, _ = sweep
    models = set((folder / "outputs" / "models").glob("*/model.json"))
    done = alchemy(folder, "-m", "shift.axis=task,length", "seed=0", "model.width=8", "name=axes", *TINY)
    assert done.returncode == 0, done.stderr
    rows = cells((folder / done.stdout.splitlines()[-1]).with_name("cells.csv"))
    assert {row["axis"] for row in rows} == {"task", "length"}
    assert set((folder / "outputs" / "models").glob("*/model.json")) == models, (
        "an axis is no part of a model's fingerprint"
    )


def test_all_jobs_of_a_sweep_are_checked_before_the_first_begins(tmp_path):
    done = alchemy(tmp_path, "-m", "shift.axis=task,nonsense,length", "seed=0", "model.width=8", *TINY)
    assert done.returncode == 1
    assert done.stdout == ""
    [said] = done.stderr.splitlines()
    assert said.startswith("alchemy: job 1 (shift.axis=nonsense seed=0 ")
    assert "shift.axis=nonsense is not an axis: use one of task, composition, " in said
    assert len(said) <= 300 + len("alchemy: ")
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.slow
def test_a_damaged_model_is_trained_anew_to_the_same_bits(sweep):
    folder, _ = sweep
    weights = sorted((folder / "outputs" / "models").glob("*/model.safetensors"))[0]
    settings = json.loads(weights.with_name("model.json").read_text())["settings"]
    before = weights.read_bytes()
    weights.write_bytes(before[:-7] + b"garbage")
    words = [f"seed={settings['seed']}", f"model.width={settings['model']['width']}", "shift.axis=task", *TINY]
    done = alchemy(folder, *words)
    assert done.returncode == 0, done.stderr
    assert f"{weights.relative_to(folder)} has changed since it was written; the model is trained anew" in done.stdout
    assert weights.read_bytes() == before


@pytest.mark.slow
def test_two_processes_that_want_one_model_train_it_once(tmp_path):
    done = alchemy(tmp_path, "-m", "shift.axis=task,length", "model.width=8", *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rows in") == 1
    assert done.stdout.count("done before") == 1
    assert len([path for path in (tmp_path / "outputs" / "models").iterdir() if path.is_dir()]) == 1


@pytest.mark.slow
def test_a_folder_with_other_files_is_neither_used_nor_touched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for words in (["-m", "hydra.sweep.dir=mine", "model.width=33,35"], ["hydra.run.dir=mine", *TINY]):
        done = alchemy(tmp_path, *words)
        assert done.returncode == 1
        assert "mine holds files already" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_a_picture_can_be_drawn_again(sweep):
    folder, done = sweep
    picture = folder / done.stdout.splitlines()[-1]
    picture.unlink()
    drawn = alchemy(folder, "draw", str(picture.parent.relative_to(folder)))
    assert drawn.returncode == 0, drawn.stderr
    assert picture.exists()


@pytest.mark.slow
def test_a_mistake_leaves_nothing_behind(tmp_path):
    for words in (["model.width=33"], ["-m", "model.width=33,35"], ["task=cypher"], ["shift.axsi=task"]):
        done = alchemy(tmp_path, *words)
        assert done.returncode == 1
        assert done.stderr.startswith("alchemy: ")
        assert len(done.stderr.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_outputs_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "outputs").write_text("a file")
    done = alchemy(tmp_path, *TINY)
    assert done.returncode == 1
    assert done.stderr.startswith("alchemy: outputs")
    assert "output=DIR" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "outputs").read_text() == "a file"


def test_help_names_the_groups_and_shows_how(tmp_path):
    done = alchemy(tmp_path, "--help")
    assert done.returncode == 0
    for words in (
        "task: arithmetic, cipher",
        "experiment: coverage",
        "mirage",
        "experiment/paper: ",
        "shift.axis=length",
        "unseen_places: 4",
    ):
        assert words in done.stdout


@pytest.mark.parametrize("path", sorted((CONF / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_can_be_planned(path):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        todo = plan(compose("config", [f"experiment={path.stem}"]))
    moved = sum(len(shift.levels) for shift in todo.shifts)
    assert moved > 1 or path.stem.startswith("headline"), "where what moves is the model"


MISTAKES = {
    "shift.axis=foo": "use one of task, composition, element",
    "shift.axis=[]": "shift.axis",
    "shift.axis=[task,task]": "each once",
    "shift.kind=shuffle": "use one of insert",
    "shift.domain=letters": "use one of element",
    "shift.levels=[0,4] shift.axis=task": "no level 4: use 0 to 3",
    "shift.levels=[3] shift.axis=element": "no level 3",
    "shift.levels=[-4] shift.axis=length": "use -3 or more",
    "shift.levels=[-2] shift.axis=steps": "use -1 or more",
    "shift.levels=[21] shift.axis=format": "no level 21",
    "shift.levels=[-1] shift.axis=format": "no level -1",
    "shift.levels=[30] shift.axis=length": "set model.context=",
    "shift.levels=[0,x]": "whole numbers",
    "shift.levels=[]": "shift.levels is empty",
    "shift.levels=[true]": "whole numbers",
    "shift.levels=[0,0]": "name each once",
    "~shift.grid.length shift.axis=length": "shift.grid.length",
    "~task.length": "task.length is missing",
    "~train.batch": "train.batch is missing",
    "~study.count": "study.count is missing",
    "model.dropout=0.1": "--cfg job",
    "train.weight_decay=nan": "train.weight_decay",
    "task.rules=[]": "task.rules is empty",
    "task.length=1 shift.axis=element task.unseen_places=2 task.unseen_atoms=ACEGIKMOQSUWY": "letters",
    "shift.grid=null": "shift.levels",
    "shift=null": "shift=None",
    "model.width=33": "model.heads=4",
    "model.width=wide": "model.width=wide must be a whole number",
    "model.layers=-2": "model.layers",
    "model.context=10": "set model.context=18",
    "model.positions=polar": "use learned, rotary, both, none",
    "+model.depth=3": "model.depth is not a setting",
    "+task.lenght=3": "task.length",
    "task.length=2.5": "must be a whole number",
    "task.length=60": "model.context",
    "task.training=F1F1": "must be a list",
    "task.training=[F1F7]": "F7",
    "task.unseen_atoms= shift.axis=element": "task.unseen_atoms",
    "task.unseen_places=0 shift.axis=element": "task.unseen_places",
    "task.rules=[rotate]": "rotate 13",
    "task.cot=perhaps": "true or false",
    "task._target_=nowhere.Cipher": "cannot be imported",
    "train.batch=0": "train.batch",
    "train.mark=2": "train.mark",
    "train.betas=[0.9,x]": "must be a number",
    "train.steps=null": "must be a whole number",
    "study.count=0": "study.count",
    "study.count=many": "study.count",
    "seed=-1": "seed",
    "seed=one": "seed",
    "threads=0": "threads",
    "workers=0": "workers",
    "name=../x": "name",
    "device=abacus": "use cpu or cuda",
    "track=paper": "use none, tensorboard or mlflow",
    "track=null": "track=None must be text",
    "task=cypher": "task= with one of arithmetic, cipher",
    "experiment=nothing": "experiment= with one of coverage",
    "shift.axsi=task": "did you mean shift.axis?",
    "model.widht=8": "did you mean model.width?",
    "modle=gpt": "did you mean model?",
    "zzz=1": "--cfg job",
    "model=null": "model=gpt",
    "shift.axis=[task": "key=value",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_answered_with_what_to_change(words):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        with pytest.raises((ValueError, HydraException)) as caught:
            plan(compose("config", [word for word in words.split() if word]))
        said = explain(caught.value)
    assert MISTAKES[words] in said
    assert "\n" not in said
    assert len(said) < 400
