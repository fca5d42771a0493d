"""What no linter of imports knows of the house; the arrows themselves are contracts in pyproject.toml."""

import ast
import re
import subprocess
import sys
from collections import defaultdict

import pytest

from tests.helpers.imports import imports
from tests.helpers.worlds import ROOT

FILES = [path for top in ("alchemy", "tasks", "hydra_plugins") for path in sorted((ROOT / top).rglob("*.py"))]
WINGS = sorted(path.name for path in (ROOT / "alchemy").iterdir() if (path / "__init__.py").exists())
STUDIES = sorted(path.stem for path in (ROOT / "alchemy" / "studies").iterdir() if not path.stem.startswith("_"))
LONGEST = {"file": 400, "function": 70}  # lines


def test_imports_keep_to_their_contracts():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST["file"]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST["function"], f"{path}:{node.lineno} {node.name}"


def test_the_house_has_at_most_twenty_rooms():
    rooms = [path for path in (ROOT / "alchemy").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(rooms) <= 20


def test_no_file_of_tests_imports_another():
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for name, line in imports(path):
            assert not re.match(r"tests\.(\w+\.)*(test_|conftest)", name), f"{path}:{line} imports {name}"


def test_the_tests_mirror_the_wings():
    folders = {path.name for path in (ROOT / "tests").iterdir() if (path / "__init__.py").exists()}
    assert set(WINGS) | {"worlds", "laws", "system", "helpers"} == folders


def test_the_map_names_every_wing_and_every_file():
    map_ = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Map")[2]
    for wing in WINGS:
        assert re.search(rf"^\s*{wing}/", map_, re.M), f"{wing} is not in the README's map"
    for name in re.findall(r"^\s*(\w+)/  ", map_.partition("```")[2].partition("```")[0], re.M):
        others = ("tasks", "conf", "tests", "outputs", "docs", "benchmarks", "examples", "hydra_plugins")
        assert name in (*WINGS, "alchemy", *others)


def test_no_two_functions_that_other_files_use_have_one_name():
    defined, used = defaultdict(set), set()
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    for module, path in files.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined[node.name].add(module)
        known = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                used |= {(node.module, alias.name) for alias in node.names}
                known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
                used.add((known[node.value.id], node.attr))
    twice = {name for name, homes in defined.items() if sum((home, name) in used for home in homes) > 1}
    assert not twice
