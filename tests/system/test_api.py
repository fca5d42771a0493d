"""`import alchemy as al`: light to import, one meaning a name, and the same numbers as the command."""

import ast
import doctest
import inspect
import json
import re
import subprocess
import sys
from collections import defaultdict
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import alchemy as al
from alchemy import api
from alchemy.results import table as tables
from alchemy.runs.settings import CONF
from tests.helpers.command import TINY, alchemy, environment
from tests.helpers.made import make
from tests.helpers.worlds import ROOT

WINGS = sorted(path.parent.name for path in (ROOT / "alchemy").glob("*/__init__.pyi"))
PACKAGES = ["alchemy", *(f"alchemy.{wing}" for wing in WINGS)]
TOP = {"compose", "train", "shift", "draw", "complete", "stream", "show", "study", "summarise", "heatmap", "curves"}
TOP |= {"read_results", "Shift", "Distribution", "Record", *WINGS}
HEAVY = ("torch", "pandas", "matplotlib", "seaborn", "scipy", "numpy", "hydra", "duckdb", "numba")
EXAMPLES = ["alchemy.interop.released", "alchemy.runs.compose", "alchemy.runs.plan"]  # modules of wings that have some
EXAMPLES += [f"alchemy.testing.{name}" for name in ("checks", "grounds", "options")]
TWICE = {"complete"}  # api takes what train gives as well
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python(code):
    """What a process of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    ).stdout


def exported(package):
    """By name, what a package exports that is no module."""
    module = import_module(package)
    found = {name: getattr(module, name) for name in module.__all__}
    return {name: its for name, its in found.items() if not isinstance(its, ModuleType)}


# ---- light to import


@pytest.mark.parametrize("package", [*PACKAGES, "alchemy.api"])
def test_an_import_loads_next_to_nothing(package):
    code = f"import sys; before = set(sys.modules); import {package} as it; dir(it); print(*set(sys.modules) - before)"
    loaded = python(code).split()
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)
    assert len(loaded) < 60


def test_what_draws_needs_no_pytorch_and_a_plan_no_pandas():
    code = "import sys, alchemy as al; al.{}; print('torch' in sys.modules, 'pandas' in sys.modules)"
    assert python(code.format("figures.draw_heatmap, al.summarise, al.read_results")).split() == ["False", "True"]
    assert python(code.format("compose('shift.axis=task')")).split() == ["True", "False"]


# ---- names


def test_the_top_exports_what_it_is_said_to():
    assert set(dir(al)) == set(al.__all__) == TOP
    assert sorted(path.parent.name for path in (ROOT / "alchemy").glob("*/__init__.py")) == WINGS
    assert (ROOT / "alchemy" / "py.typed").exists()
    assert re.fullmatch(r"\d+\.\d+\.\d+", al.__version__)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_stub_is_there_and_says_what_it_is(package):
    module = import_module(package)
    stub = ast.parse((ROOT.joinpath(*package.split(".")) / "__init__.pyi").read_text(encoding="utf-8"))
    named = {alias.asname for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(module.__all__) == set(dir(module))
    for name, its in exported(package).items():
        if inspect.isfunction(its) or inspect.isclass(its):
            assert (its.__doc__ or "").strip(), f"{package}.{name} says nothing"
            assert its.__name__ == name


def test_whoever_calls_a_function_of_the_top_sees_an_example():
    for name, its in exported("alchemy").items():
        if inspect.isfunction(its) and its.__module__ == "alchemy.api":
            assert ">>> " in its.__doc__, name
            assert inspect.signature(its).return_annotation is not inspect.Signature.empty


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_exports_a_name_that_one_of_its_files_has(package):
    """The import of the file would put the module in the place of what is exported."""
    folder = ROOT.joinpath(*package.split("."))
    files = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert not files & set(exported(package))


def test_no_exported_name_has_two_meanings():
    meanings = defaultdict(list)
    for package in PACKAGES:
        for name, its in exported(package).items():
            if not any(its is known for known in meanings[name]):
                meanings[name].append(its)
    assert {name for name, several in meanings.items() if len(several) > 1} <= {"complete"}
    defined = defaultdict(set)
    for path in (ROOT / "alchemy").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined[node.name].add(path.name)
    assert {name for name in meanings if len(defined[name]) > 1} == TWICE


def test_examples_come_out_as_they_are_written(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for module in (api, tables, *map(import_module, EXAMPLES)):
        assert doctest.testmod(module).failed == 0
    assert not list(tmp_path.iterdir())


# ---- plans


def test_a_plan_is_composed_twice_and_inside_a_hydra_app():
    first = al.compose("task.training=[F1F2]", "seed=3")
    assert (first.task.training, first.settings["seed"]) == (("F1F2",), 3)
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        running = GlobalHydra.instance().hydra
        assert al.compose("seed=4").settings["seed"] == 4
        assert GlobalHydra.instance().hydra is running
        assert compose("config", ["seed=5"]).seed == 5
    assert not GlobalHydra.instance().is_initialized()


def test_own_options_are_taken_from_a_folder(tmp_path):
    own = tmp_path / "it's, [mine]"
    (own / "experiment").mkdir(parents=True)
    (own / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 7\n")
    assert al.compose("experiment=mine", config_dir=own).settings["seed"] == 7
    with pytest.raises(ValueError, match="is no folder"):
        al.compose(config_dir=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("word", "said"),
    [("sed=1", "did you mean seed"), ("seed=0,1", "seed"), ("task=cypher", "is not an option"), ("seed", "key=value")],
)
def test_a_mistake_is_answered_in_the_sentence_of_the_command(word, said):
    with pytest.raises(ValueError, match=said):
        al.compose(word)
    assert not GlobalHydra.instance().is_initialized()


# ---- a model, its rows, its study


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A plan and its trained model, in a folder that is stood in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("api"))
        plan = al.compose(*TINY, "shift.axis=task", "shift.levels=[0,1]")
        yield plan, al.train(plan)


def test_rows_are_shown_with_what_is_wrong_with_them(tiny):
    plan, model = tiny
    rows = al.draw(plan.task, al.shift(plan.task, "composition", "F2F2"), 6, al.stream(0, "look"))
    table = al.show(plan.task, rows, rows.completion())
    assert list(table) == ["prompt", "gold", "completion", "kind"]
    assert set(table["kind"]) == {"right"}
    assert all("[F2] [F2]" in prompt for prompt in table["prompt"])
    written = al.complete(model, rows)
    np.testing.assert_array_equal(written, al.complete(model.model, rows))
    assert "right" not in set(al.show(plan.task, rows, written)["kind"])


def test_rows_with_noise_are_judged_by_those_without(tiny):
    task = tiny[0].task
    noised, clean = (
        al.draw(task, al.shift(task, "format", level, "delete"), 30, al.stream(0, "look")) for level in (6, 0)
    )
    table = al.show(task, noised, clean.completion(), clean)
    assert set(table["kind"]) == {"right"}
    assert (table["prompt"] != al.show(task, clean, clean.completion())["prompt"]).any()


def test_a_shift_that_is_not_there_is_told(tiny):
    with pytest.raises(ValueError, match="is not an axis"):
        al.shift(tiny[0].task, "colour", 1)
    with pytest.raises(ValueError, match="has no level 7"):
        al.study(*tiny, shifts={"task": [0, 7]})


def test_a_study_is_of_the_plans_shifts_or_of_others(tiny):
    places = [
        set(al.study(*tiny, shifts=shifts)[["axis", "level"]].itertuples(index=False, name=None))
        for shifts in (None, {"length": [0, 1], "composition": ["F2F2"]}, [al.Shift("steps", (-1, 0))])
    ]
    assert places[0] == {("task", 0), ("task", 1)}
    assert places[1] == {("length", 0), ("length", 1), ("composition", 8)}
    assert places[2] == {("steps", -1), ("steps", 0)}


def test_changed_weights_are_measured_and_kept_apart(tiny):
    plan, model = tiny
    before, known = al.study(plan, model), set(model.home.parent.parent.rglob("cells/*/*.json"))
    last = [*model.model.parameters()][-1]
    with torch.no_grad():
        last += torch.linspace(-9, 9, last.numel()).view_as(last)
    changed = al.study(plan, model)
    assert not changed.equals(before)
    assert len(set(model.home.parent.parent.rglob("cells/*/*.json"))) == len(known) + 2
    assert al.train(plan).home == model.home  # the weights that are stored, again
    assert al.study(plan, model).equals(before)


def test_cells_are_drawn(tiny):
    table = al.study(*tiny)
    figure = al.heatmap(al.summarise(table))
    assert "replay" in figure.texts[-1].get_text()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert al.heatmap(al.summarise(table), part="answer", caption="mine").texts[-1].get_text() == "mine"
    with pytest.raises(ValueError, match="metric=colour is not drawn: use one of exact_match"):
        al.heatmap(al.summarise(table), "colour")
    with pytest.raises(ValueError, match="no number to draw curves over"):
        al.curves(table)
    assert al.curves(tables.from_records(grown(table))).axes


def grown(table):
    """Records of a study over rows, with the numbers of a table."""
    for rows in (100, 1000):
        for row in table[table["metric"] == "exact_match"].to_dict("records"):
            at = {name: row[name] for name in ("axis", "kind", "domain", "level", "setting", "part", "seed")}
            yield al.Record(row["metric"], row["value"], row["error"], row["count"], at | {"rows": rows}, row["unit"])


def test_a_finished_folder_is_read(tmp_path):
    make(tmp_path / "sweep")
    found = al.read_results(str(tmp_path / "sweep"))
    assert set(found.cells["axis"]) == {"task", "format"}
    assert al.heatmap(found.cells).axes


def test_threads_are_as_before(tiny):
    before = torch.get_num_threads()
    with api.threads(al.compose("threads=2")):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_the_command_has_the_same_weights_and_the_same_numbers(tmp_path, monkeypatch):
    words = [*TINY, "task.training=[F1F2]", "shift.axis=length", "shift.levels=[0,1]", "seed=2"]
    done = alchemy(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    command = al.read_results((tmp_path / done.stdout.splitlines()[-1]).parent)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # where no model is kept
    plan = al.compose(*words)
    model = al.train(plan)
    records = [json.loads((home / "model.json").read_text()) for home in (model.home, tmp_path / model.home)]
    assert records[0]["sha256"] == records[1]["sha256"]
    assert al.study(plan, model).equals(command.table)
    monkeypatch.chdir(tmp_path)  # where the command's are, which are read
    held = {path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/*/*/*")}
    again = al.compose(*words)
    assert al.study(again, al.train(again)).equals(command.table)
    assert held == {path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/*/*/*")}


@pytest.mark.slow
def test_the_lines_of_the_readme_do_what_they_say(tmp_path, monkeypatch):
    [lines] = re.findall(r"```python\n(import alchemy as al\n.*?)```", README, re.S)
    assert len(lines.split("\n\n")[1].splitlines()) == 10
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "outputs" / "mirage" / "TIME")
    told = {}
    exec(lines.replace("al.show(", "shown = al.show(").replace("al.heatmap(", "figure = al.heatmap("), told)
    assert set(told["shown"]["kind"]) == {"malformed"}
    assert {("task", 1), ("length", 2)} < set(told["cells"][["axis", "level"]].itertuples(index=False, name=None))
    assert told["figure"].axes
