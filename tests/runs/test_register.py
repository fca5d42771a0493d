"""`python -m alchemy register`: a tiny sweep is registered and run, and what is refused is one sentence."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from alchemy.__main__ import answer
from alchemy.figures.registered import sections
from alchemy.results.digests import read_json, write_json
from alchemy.results.registrations import UNKNOWN, read_registration
from alchemy.results.runs import read_results
from alchemy.runs import register as registering
from alchemy.runs.register import runs_under
from tests.helpers.command import TINY, alchemy
from tests.helpers.worlds import ROOT

SMALL = [*TINY, "train.mark=null", "model.width=8", "shift.axis=task", "shift.levels=[0,1]"]
FORECASTS = "theory,axis,level,probability\nreplay,task,1,0.02\nrules,task,1,0.9\n"


@pytest.fixture(autouse=True)
def committed(monkeypatch):
    """Whatever is being changed in the checkout; a test of its own looks at that."""
    monkeypatch.setattr(registering, "commit_of", lambda *_: UNKNOWN)


def ask(folder, words=("seed=0,1,2", *SMALL), name="mine.yaml", **more):
    (folder / name).write_text(yaml.safe_dump({"words": [*words], **more}), encoding="utf-8")
    return name


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A registration of seeds 0 to 2 with forecasts, and a run of its seeds 0 and 1 and of another, 3."""
    folder = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registering, "commit_of", lambda *_: "c" * 40)
        patch.chdir(folder)
        (folder / "theories.csv").write_text(FORECASTS)
        assert answer(["register", ask(folder, forecasts="theories.csv", question="Does it compose?")]) == 0
    done = alchemy(folder, "-m", "seed=0,1,3", *SMALL)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


@pytest.fixture
def copy(swept, tmp_path, monkeypatch):
    shutil.copytree(swept[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def shown(folder):
    [home] = (folder / "outputs" / "run").iterdir()
    return {one["title"]: one for one in sections(read_results(home), folder / "registrations")}


def refused(words, capsys):
    assert answer(["register", *words]) == 1
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith("alchemy: ")
    assert said.count("\n") == 1
    assert len(said) <= 300 + len("alchemy: \n")
    return said


# ---- what is registered, and what the page then says


def test_a_registration_holds_all_that_decides_the_sweep(swept):
    folder, _ = swept
    found = read_registration(folder / "registrations" / "mine.json")
    content = found.content
    assert content["seeds"] == [0, 1, 2]
    assert content["question"] == "Does it compose?"
    assert content["commit"] == "c" * 40
    assert [job["words"][0] for job in content["jobs"]] == ["seed=0", "seed=1", "seed=2"]
    assert {job["settings"]["train"]["steps"] for job in content["jobs"]} == {4}
    assert content["worlds"]["2"][0]["training"] == ["F1F1", "F1F2", "F2F1"]
    assert len(content["forecasts"]["rows"]) == 2
    assert len(found.sha256) == 64


def test_the_jobs_that_are_run_have_the_keys_and_models_that_were_registered(swept):
    folder, _ = swept
    jobs = read_registration(folder / "registrations" / "mine.json").content["jobs"]
    runs = [read_json(path) for path in folder.glob("outputs/run/*/*/run.json")]
    for seed in (0, 1):
        [run] = [one for one in runs if one["seed"] == seed]
        assert (run["key"], run["fingerprint"]) == (jobs[seed]["key"], jobs[seed]["model"])


def test_page_and_summary_show_registered_and_exploratory_apart(swept):
    folder, printed = swept
    page = next(folder.glob("outputs/run/*/report.html")).read_text(encoding="utf-8")
    for said in (
        f"registrations/mine.json ({read_registration(folder / 'registrations' / 'mine.json').sha256[:12]}, ",
        "commit cccccccccccc): 2 of 3 jobs are here",
        "question: Does it compose?",
        "here, with seeds 0, 1: seed=0; seed=1",
        "lacking: seed=2 (not in this folder)",
        "not registered: exploratory: seed=3",
        "means of all jobs have 1 of 3 from these",
    ):
        assert said in printed
        assert said in page
    assert "Who was right: mine" in page


def test_theories_are_judged_by_registered_seeds_alone(swept):
    folder, _ = swept
    [means, pairs] = shown(folder)["Who was right: mine"]["tables"]
    assert [row[:3] for row in means["rows"]] == [["replay", 2, 2], ["rules", 2, 2]]
    assert means["head"][-2:] == ["seed 0", "seed 1"]
    assert pairs["rows"][0][:5] == ["replay", "rules", 2, 0, 2]  # four steps teach nothing
    assert float(means["rows"][0][3]) == pytest.approx(0.02**2, abs=1e-3)


def test_what_is_registered_after_it_was_run_is_exploratory(copy):
    shutil.rmtree(copy / "registrations")
    (copy / "outputs").rename(copy / "hidden")
    assert answer(["register", ask(copy)]) == 0
    (copy / "hidden").rename(copy / "outputs")
    its = shown(copy)
    assert "registered after it was run: exploratory: seed=0; seed=1" in its["Exploratory"]["lines"]
    assert "lacking: seed=0 (registered after it was run)" in its["Registered"]["lines"]
    assert "0 of 3 jobs are here" in its["Registered"]["lines"][0]


def test_a_registration_that_was_changed_counts_for_nothing_and_is_not_written_over(copy, capsys):
    path = copy / "registrations" / "mine.json"
    text = path.read_text()
    path.write_text(text.replace('"date": "2', '"date": "1'))
    its = shown(copy)
    assert its["Exploratory"]["lines"] == ["none of the 3 jobs here was registered before it was run"]
    assert "registrations/mine.json has changed since it was written" in its["What counts for nothing"]["lines"][0]
    assert "mine.json has changed since it was written" in refused(["mine.yaml"], capsys)


def test_the_same_registration_again_is_left_as_it_is(copy, capsys):
    before = (copy / "registrations" / "mine.json").read_bytes()
    assert answer(["register", "mine.yaml"]) == 0
    assert "registered already, on 2" in capsys.readouterr().out
    assert (copy / "registrations" / "mine.json").read_bytes() == before


# ---- what is refused


def test_what_exists_already_cannot_be_registered(copy, capsys):
    ask(copy, ["seed=7,0", *SMALL], "late.yaml")
    assert "job 1 (seed=0" in (said := refused(["late.yaml"], capsys))
    assert "has its model in outputs/models already: register before anything is run" in said
    cells, models = copy / "outputs" / "cells", copy / "outputs" / "models"
    model = read_registration(copy / "registrations" / "mine.json").content["jobs"][0]["model"]
    shutil.rmtree(models / model)
    (models / f".{model}.partial").mkdir()
    assert "has its model in" in refused(["late.yaml"], capsys), "its training has begun"
    (models / f".{model}.partial").rmdir()
    assert "has measured cells in outputs/cells already" in refused(["late.yaml"], capsys)
    shutil.rmtree(cells / model)
    assert "has records in outputs/run/" in refused(["late.yaml"], capsys)
    assert not (copy / "registrations" / "late.json").exists()
    shutil.rmtree(next(copy.glob("outputs/run/*")))
    assert answer(["register", "late.yaml"]) == 0, "nothing is left of seed 0"


def test_a_run_that_cannot_be_read_is_no_proof_of_anything(copy, capsys):
    next(copy.glob("outputs/run/*/2/run.json")).write_text("{}")
    ask(copy, ["seed=8", *SMALL], "next.yaml")
    assert "so nobody can tell what ran there: remove that folder" in refused(["next.yaml"], capsys)
    write_json(copy / "run.json", {"status": "failed"})
    assert all((place / "records.jsonl").exists() for place, _ in runs_under(copy / "nowhere"))


def test_a_registration_is_not_written_over_by_another(copy, capsys):
    ask(copy, ["seed=20", *SMALL])
    said = refused(["mine.yaml"], capsys)
    assert "mine.json holds another registration" in said
    assert "name another file with --out" in said
    assert answer(["register", "mine.yaml", "--out", "registrations/more.json"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "registrations/more.json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed=0,1", "is no registration to be: write words:"),
        ("words: seed=0,1", "is no registration to be"),
        ("words: [", "is no registration to be"),
        ("words: [seed=0]\nwhen: now", "has when, which nothing reads: use words, question, forecasts"),
        ("words: [seed=0,1]", "words has 1: quote a word that has a comma, such as 'seed=0,1'"),
        ("words: [model=gpt,llama]", "llama is neither a word of the command nor key=value"),
        ("words: [seed=0]\nquestion: [why]", "question=['why'] must be text"),
        ("words: [--config-dir, mine]", "has --config-dir, an option: type it after"),
        ("words: ['sead=0,1']", "sead"),
        ("words: ['seed=0,banana']", "seed=banana must be a whole number"),
        ("words: [study.count=0]", "study.count=0 leaves nothing to measure"),
        ("words: ['hydra.sweep.subdir=x', 'seed=0,1']", "hydra.sweep.subdir"),
        ("words: [seed=0]\nforecasts: none.csv", "none.csv cannot be used (No such file or directory)"),
        ("words: ['predictions=none,reasoning_tax', study=reasoning_tax, task=mixture, train=mixture, model=small, "
         "shift.axis=task, 'shift.levels=[0]']", "jobs of this sweep differ in predictions or in study.base"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_registered_is_answered_with_what_to_change(text, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it.yaml").write_text(text)
    assert said in refused(["it.yaml"], capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["it.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml cannot be used"),
        (["it.yaml", "--out", "it.txt"], "--out it.txt is not named .json"),
        (["it.yaml", "--config-dir", "nowhere"], "nowhere is no folder: name that of your own options"),
        ([], "register --help shows how to write it"),
    ],
)
def test_a_command_that_cannot_be_followed_is_answered_with_what_to_change(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ask(tmp_path, ["seed=0"], "it.yaml")
    assert said in refused(words, capsys)


def test_options_of_one_s_own_are_registered_with_the_rest(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options" / "experiment").mkdir(parents=True)
    own = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '5,6'}}}\nmodel: {width: 8}\n"
    (tmp_path / "options" / "experiment" / "small.yaml").write_text(own)
    ask(tmp_path, ["-m", "experiment=small", "hydra.sweeper.params.seed='6,7'", *TINY])
    assert answer(["register", "mine.yaml", "--config-dir", "options"]) == 0
    jobs = json.loads((tmp_path / "registrations" / "mine.json").read_text())["jobs"]
    assert [(job["seed"], job["settings"]["model"]["width"]) for job in jobs] == [(6, 8), (7, 8)]


@pytest.mark.slow
def test_what_differs_from_the_commit_is_refused_and_the_commit_is_named(tmp_path):
    lab, here = tmp_path / "lab", tmp_path / "here"
    here.mkdir()
    for name in ("alchemy", "tasks", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, lab / name, ignore=shutil.ignore_patterns("__pycache__"))
    (lab / ".gitignore").write_text("__pycache__/\n")
    ask(here, ["seed=0", *SMALL])
    assert "no commit known" in alchemy(here, "register", "mine.yaml", "--out", "none.json", path=lab).stdout

    def git(*words):
        author = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
        done = subprocess.run(["git", "-C", lab, *author, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "all")
    (lab / "README.md").write_text("decides nothing\n")
    for name in ("tasks/cipher.py", "conf/experiment/new.yaml"):
        path = lab / name
        before = path.read_text() if path.exists() else None
        path.write_text((before or "# @package _global_\n") + "\n")
        done = alchemy(here, "register", "mine.yaml", path=lab)
        assert done.stderr.startswith(f"alchemy: {name} differs from the last commit: commit or undo that"), done.stderr
        path.unlink() if before is None else path.write_text(before)
    done = alchemy(here, "register", "mine.yaml", path=lab)
    assert done.returncode == 0, done.stderr
    assert read_registration(here / "registrations" / "mine.json").content["commit"] == git("rev-parse", "HEAD")


# ---- what is to come


ONE = {"name": "it", "source": "-", "says": "-", "measure": "lost_bits", "arm": "gold", "sesoi": 0.25}


def test_what_so_many_seeds_can_show_is_told_and_too_few_are_refused():
    content = {"seeds": [*range(6)], "predictions": [ONE | {"primary": True}], "jobs": [], "forecasts": None}
    content |= {"date": "today", "commit": "unknown"}
    registering.refuse_hopeless(content)
    line = registering.told(content, None)[1]
    assert line.startswith("primary prediction, it: with 6 seeds an effect of 1.8 standard deviations of seeds")
    with pytest.raises(ValueError, match=r"5 seeds can show nothing of 1 predictions.* register 6 seeds or more"):
        registering.refuse_hopeless(content | {"seeds": [*range(5)]})
    registering.refuse_hopeless(content | {"seeds": [0], "predictions": []})


def test_registering_needs_no_pandas(tmp_path):
    code = "import sys, alchemy.runs.register; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
