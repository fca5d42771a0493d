"""The documentation, built as `make docs` builds it, with warnings as errors: every link leads somewhere, and nothing
is loaded from elsewhere.
"""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.helpers.worlds import ROOT

FOLDERS = ("examples", "alchemy", "conf", "docs", "tasks")
FILES = ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md", "zensical.toml")
LOADED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}


def copied(folder):
    """What the documentation is made of, so that a test leaves outputs/docs/ as it is."""
    for name in (*FOLDERS, *FILES):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    return folder


class Page(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loads.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)


def test_every_module_has_a_page_of_the_site(tmp_path):
    """docs/pages.py needs nothing that is installed with the extra docs."""
    root = copied(tmp_path)
    subprocess.run([sys.executable, "docs/pages.py"], cwd=root, check=True, timeout=60)
    pages = root / "outputs" / "docs" / "pages"
    for page in ("index.md", "headline.md", "gallery/README.md"):
        assert "<!--" not in (pages / page).read_text(encoding="utf-8"), page
    nav = (pages / ".nav.md").read_text(encoding="utf-8")
    for top in ("alchemy", "tasks"):
        for path in (root / top).rglob("*.py"):
            if path.name != "__init__.py":
                name = ".".join(path.relative_to(root).with_suffix("").parts)
                [page] = [page for page in pages.rglob("*.md") if page.read_text(encoding="utf-8") == f"::: {name}\n"]
                assert f"({page.relative_to(pages).as_posix()})" in nav
    for page in re.findall(r"\]\((\S+)\)", nav):
        assert (pages / page).is_file(), page


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not find_spec("zensical"):
        pytest.skip("needs the extra docs: make .venv/.docs")
    root = copied(tmp_path_factory.mktemp("docs"))
    build = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    for command in ([sys.executable, "docs/pages.py"], build):
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    folder = root / "outputs" / "docs" / "site"
    return folder, {path: Page(path) for path in folder.rglob("*.html")}


@pytest.mark.slow
def test_every_link_of_the_site_leads_to_a_page_and_a_place_on_it(site):
    folder, pages = site
    assert len(pages) > 100
    for path, page in pages.items():
        if path.name == "404.html":  # its links are those of the place that it is shown at
            continue
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme in ("https", "http", "mailto", "data"):
                continue
            target = Path(path.parent, unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(folder)}: {link}"
            if target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.relative_to(folder)}: {link}"


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    folder, pages = site
    for path, page in pages.items():
        for link in page.loads:
            assert urlsplit(link).scheme in ("", "data"), f"{path.relative_to(folder)}: {link}"
    for path in folder.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(@import\s+|url\()[\"']?(https?:)?//", text), path


@pytest.mark.slow
def test_prose_is_shown_as_it_was_written_and_a_stop_of_the_walk_leads_to_its_module(site):
    folder, pages = site
    cipher = (folder / "api" / "tasks" / "cipher.html").read_text(encoding="utf-8")
    assert "&lt;answer&gt;" in cipher
    assert "<answer>" not in cipher
    walk = [link for link in pages[folder / "contributing.html"].links if link.startswith("api/")]
    assert "api/runs/job.html" in walk
    assert len(set(walk)) >= 10
