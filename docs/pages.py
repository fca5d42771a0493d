"""Gathers the pages of the documentation in outputs/docs/pages: `make docs`.

Guides are the files of docs/ and of the project's root; a link from one to a module leads to that module's page. Pages
of modules and of settings are made from alchemy/, tasks/ and conf/, so no list of them is kept by hand.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from measured import shown  # beside this file

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "outputs" / "docs" / "pages"
FROM_ROOT = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
FILES = {"LICENSE": "LICENSE.txt", "CITATION.cff": "CITATION.cff"}  # as they are
FILES |= {"examples/first.ipynb": "examples/first.ipynb"}
GROUPS = ("task", "model", "train", "study", "arm", "launcher")  # the others are experiments and predictions


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, page in FROM_ROOT.items():
        write(page, LINK.sub(led_to, (ROOT / name).read_text(encoding="utf-8")))
    for path in PAGES.rglob("*.md"):
        path.write_text(shown(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, page in FILES.items():
        (PAGES / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, PAGES / page)
    guides = [[title(PAGES / path.name), path.name] for path in sorted((ROOT / "docs").glob("*.md"))]
    write("settings.md", settings())
    write("experiments.md", experiments())
    nav = ["- [Alchemy](index.md)", *(f"- [{name}]({path})" for name, path in guides), "- [Gallery](gallery/README.md)"]
    nav += ["- [Settings](settings.md)", "- [Experiments](experiments.md)", "- [Modules](api/index.md)"]
    nav += [f"    {line}" for line in modules(ROOT / "alchemy")]
    nav += ["- [Worlds](api/tasks/index.md)", *(f"    {line}" for line in modules(ROOT / "tasks"))]
    write("api/index.md", contents("Modules", "alchemy"))
    write("api/tasks/index.md", contents("Worlds", "tasks"))
    nav += ["- [How to take part](contributing.md)", "- [What has changed](changelog.md)"]
    write(".nav.md", "\n".join(nav) + "\n")


def write(page: str, text: str) -> None:
    path = PAGES / page
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def title(page: Path) -> str:
    """What the first heading of a page says."""
    return page.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def led_to(link: re.Match[str]) -> str:
    """A link of the project's root as the site has it."""
    before, target, anchor, after = link[1], link[2], link[3] or "", link[4]
    if known := (FROM_ROOT | FILES).get(target):
        target = known
    elif target.startswith("docs/"):
        target = target.removeprefix("docs/")
    elif target.endswith(".py") and (ROOT / target).is_file():
        target = page_of(ROOT / target)
    return f"{before}{target}{anchor}{after}"


def named(path: Path) -> str:
    """The name of a module by its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def page_of(path: Path) -> str:
    """The page of a module by its file; that of a package is the first one of its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "alchemy" else parts
    return "/".join(("api", *(part.replace("__init__", "index") for part in parts))) + ".md"


def first_sentence(path: Path) -> str:
    """Of the docstring of a module, what stands before its first empty line, in one line."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(said.partition("\n\n")[0].split())


def inside(folder: Path) -> list[Path]:
    """The modules of a package, a package within it by its first file."""
    found = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    return sorted([*found, *folder.glob("*/__init__.py")], key=named)


def row(path: Path, start: str) -> str:
    """A line of a table of modules: a link to the page from one that is below `start`, and what the module is for."""
    return f"| [`{named(path)}`]({page_of(path).removeprefix(start)}) | {first_sentence(path)} |"


def table(paths: list[Path], start: str) -> str:
    return "\n".join(["| module | what it is for |", "|---|---|", *(row(path, start) for path in paths), ""])


def modules(folder: Path) -> Iterator[str]:
    """Writes the pages of the modules of a package, and yields their lines of the navigation."""
    for path in inside(folder):
        name, page = named(path), page_of(path)
        short = name if path.name == "__init__.py" else name.rpartition(".")[2]
        shown = short.removeprefix("alchemy.").replace("_", "\\_")
        yield f"- [{shown}]({page})"
        if path.name != "__init__.py":
            write(page, f"::: {name}\n")
            continue
        start = page.removesuffix("index.md")
        write(page, f"# {name}\n\n{first_sentence(path)}\n\n{table(inside(path.parent), start)}")
        yield from (f"    {line}" for line in modules(path.parent))


def contents(name: str, top: str) -> str:
    """The first page of all modules of a package."""
    said = "What each module is for, in its own words. A page has all that its module defines, and the source."
    start = page_of(ROOT / top / "__init__.py").removesuffix("index.md")
    return f"# {name}\n\n{said}\n\n{table(inside(ROOT / top), start)}"


def settings() -> str:
    """A page of every setting with its default, as the files of conf/ have them."""
    parts = [
        "# Settings",
        "A setting is `group.name=value`. Its default stands here, as in `conf/`.",
        "## conf/config.yaml",
    ]
    parts.append(fenced(ROOT / "conf" / "config.yaml"))
    for group in GROUPS:
        parts.append(f"## {group}=")
        folder = ROOT / "conf" / group
        for path in sorted(folder.rglob("*.yaml")):
            parts += [f"### {group}={path.relative_to(folder).with_suffix('').as_posix()}", fenced(path)]
    return "\n\n".join(parts) + "\n"


def fenced(path: Path) -> str:
    return f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"


def experiments() -> str:
    """A page of every experiment, and what it says of itself."""
    folder = ROOT / "conf" / "experiment"
    parts = ["# Experiments", "Each is one file of `conf/experiment/`, and one command."]
    for path in sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path)):
        name = path.relative_to(folder).with_suffix("").as_posix()
        parts += [f"## {name}", f"```\npython -m alchemy experiment={name}\n```", fenced(path)]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
