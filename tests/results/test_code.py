"""No model and no cell outlives the code that made it, and none is made anew for a reworded sentence."""

import importlib
import sys

import pytest
from hydra import compose, initialize_config_dir

from alchemy.results import code
from alchemy.results.code import APART, code_digest, exports, used_by
from alchemy.runs.plan import plan
from tests.helpers.imports import imports
from tests.helpers.worlds import ROOT

STUDIES = [
    f"alchemy.studies.{path.stem}" + ".study" * path.is_dir()
    for path in sorted((ROOT / "alchemy" / "studies").glob("[!_]*"))
]
TASKS = [path.stem for path in sorted((ROOT / "conf" / "task").glob("*.yaml"))]
CODE = '"""What it is."""\nimport os\nfrom own.more import twice\n\n\ndef act(x):\n    """Says more."""\n'
CODE += "    if x < 0:\n        raise ValueError(f'{x} is below 0')\n    return twice(x) + 1  # so much\n"


def file_of(name):
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


def closure(*names):
    """These modules of ours, and all that they import, directly or not, wherever in a file it stands: by hand."""
    found, more = set(), set(names)
    while more:
        found |= more
        uses = {name for one in more for name, _ in imports(file_of(one))}
        uses = {name for name in uses if name.split(".")[0] in ("alchemy", "tasks") and not name.startswith(APART)}
        more = {name for name in uses if file_of(name).is_file()} - found
    return found


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes the files of a package of one's own, and gives the digest of own.main."""
    monkeypatch.syspath_prepend(tmp_path)

    def digest(package="own", **files):
        for name, text in files.items():
            path = tmp_path / package / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        for one in (code_digest, code.file_of, code.imports_of, code.meaning):
            one.cache_clear()
        importlib.invalidate_caches()
        return code_digest(f"{package}.main")

    yield digest
    for one in (code_digest, code.file_of, code.imports_of, code.meaning):
        one.cache_clear()


def test_a_closure_holds_what_is_imported_in_functions_and_from_the_package():
    assert set(used_by("alchemy.data.seeds")) == {"alchemy.data.seeds"}
    assert closure("alchemy.data.noise") == {f"alchemy.data.{name}" for name in ("noise", "batch", "vocabulary")}
    assert "alchemy.models.attention_kernels" in used_by("alchemy.measures.scores")  # imported where it is used
    assert {"tasks.published", "alchemy.data.task"} < set(used_by("tasks.cipher"))


@pytest.mark.parametrize("module", ["alchemy.training.fit", "alchemy.measures.cell", "tasks.mixture", *STUDIES])
def test_a_closure_is_all_that_is_imported(module):
    assert {name for name in used_by(module) if file_of(name).is_file()} == closure(module)


def test_training_does_not_hang_on_words_and_a_world_on_its_parser():
    trains = set(used_by("alchemy.training.fit"))
    assert not {"alchemy.data.shift", "alchemy.measures.cell", "alchemy.results.store"} & trains
    assert {"alchemy.training.packing", "alchemy.models.attention_kernels", "alchemy.data.batch"} < trains
    assert "tasks.published" in used_by("tasks.cipher")


@pytest.mark.parametrize("name", TASKS)
def test_a_plan_names_the_modules_of_its_world(name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", [f"task={name}", "shift.axis=task", "shift.levels=[0]", "model.context=256"])
    todo = plan(cfg)
    assert f"tasks.{name}" in todo.worlds
    assert todo.settings["code"] == code_digest("alchemy.training.fit", "alchemy.models.transformer", *todo.worlds)


def test_a_reworded_sentence_changes_no_digest(own):
    before = own(__init__="", more="def twice(x):\n    return 2 * x\n", main=CODE)
    for old, new in (
        ("What it is.", "What it was, and\nis."),
        ("Says more.", "Says less."),
        ("is below 0", "is too small: use 0 or more"),
        ("import os\n", "from pathlib import Path\nimport os\n"),
        ("  # so much", ""),
        ("    if x < 0:\n", "\n    if (x < 0):\n"),
    ):
        assert old in CODE
        assert own(main=CODE.replace(old, new)) == before, old


def test_a_changed_number_a_changed_import_and_another_condition_change_it(own):
    before = own(__init__="", more="def twice(x):\n    return 2 * x\n", main=CODE)
    found = {before, own(main=CODE.replace("+ 1", "+ 2")), own(main=CODE.replace("< 0", "<= 0"))}
    found |= {own(main=CODE, more="def twice(x):\n    return 3 * x\n")}
    found |= {own(main=CODE.replace("ValueError(", "KeyError(")), own(main=CODE.replace("below 0'", "below 0', x"))}
    assert len(found) == 6


def test_a_file_that_is_moved_changes_none(own):
    more = "def twice(x):\n    return 2 * x\n"
    before = own(__init__="", more=more, main=CODE)
    assert own("other", __init__="", more=more, main=CODE.replace("from own.", "from other.")) == before


def test_what_a_package_exports_lazily_is_found_by_its_stub(own, tmp_path, monkeypatch):
    monkeypatch.setattr(code, "LAB", ("alchemy", "tasks", "lazy"))
    (tmp_path / "lazy").mkdir()
    (tmp_path / "lazy" / "__init__.py").write_text("import lazy_loader\n")
    (tmp_path / "lazy" / "__init__.pyi").write_text("from .one import first as first\nfrom . import two as two\n")
    for name in ("one", "two"):
        (tmp_path / "lazy" / f"{name}.py").write_text("first = 1\n")
    own(__init__="", main="from lazy import first\n")
    exports.cache_clear()
    assert set(used_by("own.main")) == {"own.main", "lazy", "lazy.one"}
    own(main="import lazy\n")
    assert set(used_by("own.main")) == {"own.main", "lazy", "lazy.one", "lazy.two"}


def test_code_that_is_in_no_file_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "nowhere", sys)
    with pytest.raises(ValueError, match="nowhere is no file of Python"):
        code_digest("nowhere")
