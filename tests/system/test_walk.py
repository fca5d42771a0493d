"""CONTRIBUTING.md leads to files and functions that are there, and what stands beside it is of one version."""

import ast
import re
import tomllib

import pytest
import yaml

import alchemy
from tests.helpers.worlds import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STOP = re.compile(r"^(\d+)\. \[`(\S+)`\]\((\S+)\): (`.+?`)\. ", re.M)
STOPS = STOP.findall(PAGE)


def defined(path):
    """What a file defines: its functions and classes, and the methods of these by both names."""

    def inside(node, before=""):
        for one in node.body:
            if isinstance(one, ast.FunctionDef | ast.ClassDef):
                yield f"{before}{one.name}"
                if isinstance(one, ast.ClassDef):
                    yield from inside(one, f"{one.name}.")

    return {*inside(ast.parse(path.read_text(encoding="utf-8")))}


def test_the_walk_has_ten_stops_in_order():
    assert [int(number) for number, *_ in STOPS] == [*range(1, 11)]


@pytest.mark.parametrize(("file", "link", "names"), [stop[1:] for stop in STOPS], ids=[stop[1] for stop in STOPS])
def test_a_stop_of_the_walk_is_there(file, link, names):
    assert file == link
    assert {*re.findall(r"`([\w.]+)`", names)} <= defined(ROOT / file)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_and_file_that_is_named_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (ROOT / link).exists(), link
    for path in re.findall(r"`((?:alchemy|conf|docs|tests|tasks|hydra_plugins|requirements)[\w/.]*[/.]\w*)`", text):
        assert (ROOT / path).exists(), path


def test_the_map_has_every_wing():
    wings = {path.parent.name for path in (ROOT / "alchemy").glob("*/__init__.py")}
    named = {*re.findall(r"^\| `alchemy/(\w+)/`", PAGE, re.M)}
    assert len(named) == 13
    assert named <= wings


def test_every_target_that_is_named_is_one_of_make():
    targets = {*re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)}
    assert {*re.findall(r"^make (\w+)", PAGE, re.M), *re.findall(r"`make (\w+)", PAGE)} <= targets


def test_the_licence_and_the_version_are_the_same_wherever_they_stand():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["license"] == project["license"] == "Apache-2.0"
    assert cited["version"] == alchemy.__version__
    assert [author["name"] for author in cited["authors"]] == [author["name"] for author in project["authors"]]
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in licence
    assert f"## [{alchemy.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_checks_before_a_commit_are_those_of_make_and_download_nothing():
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local"
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    entries = [hook["entry"] for hook in local["hooks"]]
    assert [entry.removeprefix(".venv/bin/") for entry in entries] == [
        "ruff check",
        "ruff format",
        "mypy",
        "lint-imports",
    ]


def test_a_lock_of_an_extra_pins_nothing_otherwise_than_the_others():
    pinned = {}
    for path in sorted(ROOT.glob("requirements*.lock")):
        if "ray" in path.name:  # it has an environment of its own
            continue
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", path.read_text(encoding="utf-8"), re.M):
            known = pinned.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
            assert known == version, f"{path.name}: {name}"
