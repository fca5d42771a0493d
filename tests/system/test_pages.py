"""The how-to pages, done as they say, in a copy of the project: the files written, the laws run, the commands typed."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.helpers.command import TINY, environment
from tests.helpers.worlds import ROOT

PAGES = sorted((ROOT / "docs").glob("how_to_*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
COPIED = ("alchemy", "conf", "docs", "hydra_plugins", "tasks", "tests", "README.md", "pyproject.toml")


def blocks(page):
    """(language, content) of each block of code."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(page):
    return [line for language, text in blocks(page) if not language for line in text.splitlines() if line]


def mistakes(page):
    """(command, what is said to it) of each mistake that a page shows."""
    for language, text in blocks(page):
        if language == "console":
            yield from re.findall(r"^\$ (.+)\n(.+)$", text, re.M)


def follow(page, root):
    """Writes every block where its first line says: `# FILE`, or `# FILE, above: LINE`, or `# FILE, below: LINE`."""
    for language, text in blocks(page):
        if language not in ("python", "yaml", "csv"):
            continue
        first, _, rest = text.partition("\n")
        path, side, line = re.fullmatch(r"# ([\w/.]+)(?:, (above|below): (.+))?", first).groups()
        file = root / path
        if not side:
            assert not file.exists(), f"{path} is there already"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(rest if rest.startswith("# @package") else text, encoding="utf-8")  # that must stand first
            continue
        known = file.read_text(encoding="utf-8")
        assert known.count(line + "\n") == 1, f"{page.name}: {path} has no such line, or several: {line}"
        both = (rest, line + "\n") if side == "above" else (line + "\n", rest)
        file.write_text(known.replace(line + "\n", ("\n\n" if side == "above" else "").join(both)), encoding="utf-8")


def type_in(root, command, *more):
    """Runs one command of a page as a process of its own."""
    words = [*shlex.split(command), *more]
    assert words[:2] == ["python", "-m"], command
    plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "alchemy.testing.plugin,pytest_timeout"}
    known = {**environment(), **plugins, "PYTHONPATH": str(root)}  # the copy's own plugin, whatever is installed
    return subprocess.run(
        [sys.executable, *words[1:]], cwd=root, capture_output=True, text=True, env=known, timeout=900, check=False
    )


def test_there_are_pages_and_the_readme_names_each():
    assert [page.stem for page in PAGES] == [
        "how_to_add_a_shift",
        "how_to_add_a_study",
        "how_to_add_a_world",
        "how_to_register",
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"(docs/{page.name})" in readme


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_can_be_done_as_it_stands(page, tmp_path):
    for name in COPIED:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    follow(page, tmp_path)
    pictures, registered = 0, page.stem == "how_to_register"
    for command in commands(page):
        tiny = TINY if "-m alchemy" in command and not registered else ()  # a model as small as can be
        done = type_in(tmp_path, command, *tiny)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if registered and "experiment=" in command:  # is what was registered
            for line in next(text for language, text in blocks(page) if language == "text").splitlines():
                assert re.search(re.escape(line).replace("…", ".*"), done.stdout), line
        last = done.stdout.splitlines()[-1]
        pictures += last.endswith(".png") and (tmp_path / last).read_bytes().startswith(b"\x89PNG")
    assert pictures, "no command of the page ends in a picture"
    before = set(tmp_path.rglob("outputs/*/*"))
    shown = list(mistakes(page))
    assert len(shown) >= 4
    for command, said in shown:
        done = type_in(tmp_path, command)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, said)
    assert set(tmp_path.rglob("outputs/*/*")) == before
