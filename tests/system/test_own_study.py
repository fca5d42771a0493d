"""A study that is added as a folder: its picture and page are used, and no other file of the lab is changed."""

import shutil

import pytest

from alchemy.figures.draw import finish
from alchemy.results.digests import read_json
from alchemy.runs.compose import compose_plan
from alchemy.runs.job import kept_cells
from tests.helpers.command import TINY, alchemy
from tests.helpers.made import change_run, make
from tests.helpers.worlds import ROOT

STUDY = {
    "__init__.py": '''"""How many rows does a study see?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

NEEDS_TRAINING = True
UNMEASURED = ("words",)
''',
    "__init__.pyi": "from .study import run as run\n\nNEEDS_TRAINING: bool\nUNMEASURED: tuple[str, ...]\n",
    "study.py": '''"""Rows, counted."""

from collections.abc import Iterator

from alchemy.measures.bench import Bench
from alchemy.results.cells import Cell
from alchemy.results.records import Record


def run(bench: Bench, *, count: int, words: str) -> Iterator[Record]:
    """One number a place."""
    del words
    for place in bench.levels():
        cell = bench.measured(place.where, lambda: Cell({"seen": {"rows": (7.0, 0.0)}}))
        at = {"seed": bench.seed, "axis": place.shift.axis, "kind": "-", "domain": "-", "level": place.level}
        at |= {"setting": "", "part": "seen"}
        yield Record("rows", cell.values["seen"]["rows"][0], 0.0, count, at, "count")
''',
    "figure.py": '''"""A bar a level."""

from collections.abc import Callable, Iterator

from matplotlib.figure import Figure

from alchemy.results.runs import Results


def pictures(results: Results) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "rows_seen", lambda: bars(results)


def bars(results: Results) -> Figure:
    figure = Figure()
    figure.add_subplot().bar(results.cells["level"], results.cells["mean"])
    return figure
''',
    "page.py": '''"""A sentence."""

from alchemy.results.runs import Results


def page(results: Results) -> str:
    return f"<!doctype html><title>rows</title><p>{len(results.cells)} levels were looked at"


def tables(results: Results) -> str:
    return "rows were counted"
''',
}
SETTINGS = "_target_: {module}.run\n_partial_: true\ncount: 9\nwords: some\n"
WORDS = ["study=counted", "shift.axis=task", "shift.levels=[0,1]", *(word for word in TINY if "study" not in word)]


def write(folder, package, module):
    (folder / package).mkdir(parents=True)
    for name, text in STUDY.items():
        (folder / package / name).write_text(text)
    return SETTINGS.format(module=module)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A copy of the lab to which one folder of a study and one file of settings are added."""
    folder = tmp_path_factory.mktemp("lab")
    for name in ("alchemy", "tasks", "conf", "hydra_plugins"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    settings = write(folder / "alchemy" / "studies", "counted", "alchemy.studies.counted")
    (folder / "conf" / "study" / "counted.yaml").write_text(settings)
    return folder


@pytest.mark.slow
def test_a_study_is_a_folder(lab):
    done = alchemy(lab, *WORDS, path=lab)
    assert done.returncode == 0, done.stderr
    assert "rows were counted" in done.stdout.splitlines()
    picture = lab / done.stdout.splitlines()[-1]
    assert picture.name == "rows_seen.png"
    assert "2 levels were looked at" in picture.with_name("report.html").read_text()
    assert [path.name for path in picture.parent.glob("*.png")] == ["rows_seen.png"]
    home = picture.parent
    assert read_json(home / "run.json")["study"]["_target_"] == "alchemy.studies.counted.run"
    cells = (home / "cells.csv").read_text()
    assert ",rows,count,7.0," in cells
    again = alchemy(lab, *WORDS, "study.words=others", path=lab)
    assert again.returncode == 0, again.stderr
    assert len(list((lab / "outputs" / "cells").rglob("*.json"))) == 2, "a setting that decides no number measures none"


@pytest.mark.slow
def test_a_study_of_one_s_own_package_draws_at_the_end_of_one_s_own_run_alone(tmp_path):
    (tmp_path / "options" / "study").mkdir(parents=True)
    settings = write(tmp_path, "mine", "mine")
    (tmp_path / "options" / "study" / "counted.yaml").write_text(settings)
    done = alchemy(tmp_path, "--config-dir", "options", *WORDS)
    assert done.returncode == 0, done.stderr
    picture = tmp_path / done.stdout.splitlines()[-1]
    assert picture.name == "rows_seen.png"
    (tmp_path / "mine" / "figure.py").write_text("raise SystemExit('a record alone has imported this')\n")
    again = alchemy(tmp_path, "draw", str(picture.parent))
    assert "imported" not in again.stdout + again.stderr


def test_two_studies_of_one_file_have_cells_of_their_own(tmp_path, monkeypatch):
    two = "from alchemy.measures.bench import Bench\n"
    two += "".join(f"\n\ndef {name}(bench: Bench, *, count: int):\n    yield from ()\n" for name in ("one", "other"))
    (tmp_path / "two_studies.py").write_text(two)
    monkeypatch.syspath_prepend(tmp_path)
    record, keys = {"fingerprint": "f", "sha256": "s"}, set()
    for name in ("one", "other"):
        todo = compose_plan([f"study._target_=two_studies.{name}", "~study.temperature", "shift.axis=task"])
        keys.add(str(kept_cells(todo, record, todo.shifts).key))
    assert len(keys) == 2


@pytest.mark.parametrize("study", [{}, {"_target_": None}, {"_target_": 3}, "alchemy.studies.degradation.run"])
def test_a_record_that_names_no_study_is_run_again(tmp_path, study, capsys):
    make(tmp_path, scores=(0.5,))
    change_run(tmp_path / "0", study=study)
    assert finish(tmp_path) == 1
    assert "run.json cannot be read: run that job again" in capsys.readouterr().err


def test_a_record_that_names_a_module_of_another_kind_is_drawn_as_any(tmp_path):
    make(tmp_path, scores=(0.5,))
    change_run(tmp_path / "0", study={"_target_": "matplotlib.run"})  # which has a figure.py, and no study
    assert finish(tmp_path) == 0
    assert (tmp_path / "heatmap.png").exists()
