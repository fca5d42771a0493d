"""Mutation testing: python -m benchmarks.mutants [modules=score,noise] [most=100] [seed=0] [again=no]

Each mutant has one small mistake in a module (see benchmarks.mutations), and the tests that run the changed line are
run, the quickest first. If one fails or takes far too long, the mutant is killed; if none does, it survives, and no
test checks what that line does.

All modules are imported once, and each mutant is a fork of that process, which imports again the mutated module and all
that use it. Of a module's mutants `most` are drawn with `seed`. Results are added to outputs/mutants/mutants.json: a
killed mutant stays so while its module is the same; others are tried again once tests have changed, or with again=yes.
"""

import ast
import hashlib
import importlib.util
import json
import multiprocessing
import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any

import pytest

from alchemy.errors import sentence
from alchemy.results.files import write_aside
from alchemy.runs.plan import given
from benchmarks.mutations import EQUIVALENT, equivalent, mutants

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "outputs" / "mutants" / "mutants.json"
TESTS = {  # module: its quick test files
    "score": ("score", "conformance", "degradation"),
    "diagnose": ("diagnose", "cipher"),
    "diagnosis": ("diagnose", "degradation"),
    "replay": ("diagnose", "conformance", "degradation"),
    "discrepancy": ("discrepancy", "degradation"),
    "noise": ("conformance", "discrepancy", "cipher"),
    "shift": ("cipher", "discrepancy", "laws"),
    "policy": ("policy",),
    "likelihood": ("likelihood", "knowledge", "information"),
    "knowledge": ("knowledge", "information"),
    "information": ("information",),
    "restore": ("restore",),
    "statistics": ("statistics", "knowledge", "report"),
    "contrast": ("tax",),
    "verdicts": ("tax",),
}
HEAVY = ("nltk.translate.bleu_score", "sacrebleu.metrics.bleu", "tests.conftest", "tests.made")
FORK = multiprocessing.get_context("fork")
LEAST, MOST = 20.0, 20.0  # seconds that a mutant has at least; seconds of tests, the quickest, that it runs


class Mutated:
    """An import finder that gives one module this code instead of its own."""

    def __init__(self, name: str, file: Path, code: CodeType) -> None:
        self.name, self.file, self.code = name, file, code

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name != self.name:
            return None
        loader = SourceFileLoader(name, str(self.file))
        loader.get_code = lambda _: self.code  # type: ignore[method-assign, assignment]
        return importlib.util.spec_from_file_location(name, self.file, loader=loader)


class Watch:
    """A pytest plugin that records the time of each test and the lines of a file it runs; "" is outside of tests."""

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file, self.test = name, str(file), ""
        self.seconds: dict[str, float] = {}
        self.ran: dict[str, set[int]] = {"": set()}

    def trace(self, frame: FrameType, *_: object) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        self.ran.setdefault(self.test, set()).add(frame.f_lineno)
        return self.trace

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        for value in vars(sys.modules[self.name]).values():
            getattr(value, "cache_clear", lambda: None)()
        self.test, begun = item.nodeid, perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[self.test], self.test = perf_counter() - begun, ""


class Chosen:
    """A pytest plugin that runs only these tests, in this order."""

    def __init__(self, tests: list[str]) -> None:
        self.tests = {test: number for number, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        some = [item for item in items if item.nodeid in self.tests]
        items[:] = sorted(some, key=lambda item: self.tests[item.nodeid])


def run(found: Mutated, files: list[str], plugin: object) -> int:
    """Runs test files with a mutated module, and returns pytest's exit code. The process cannot be used afterwards."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.meta_path.insert(0, found)
    words = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--hypothesis-seed=0", "--tb=no", "--assert=plain"]
    if isinstance(plugin, Watch):
        sys.settrace(plugin.trace)
    return int(pytest.main([*words, *files], plugins=[plugin]))


def forked(work: Callable[[], Any], seconds: float) -> Any:
    """Returns what `work` returns in a forked process; None if that ends without, or takes more than `seconds`."""
    mine, its = FORK.Pipe(duplex=False)
    process = FORK.Process(target=lambda: its.send(work()))
    process.start()
    its.close()
    told = None
    with suppress(EOFError):
        told = mine.recv() if mine.poll(seconds) else None
    process.kill()
    process.join()
    return told


def closure(name: str) -> set[str]:
    """Returns a module and all imported modules of the lab that use it, directly or through others."""
    ours = {each for each in sys.modules if each.split(".")[0] in ("alchemy", "tasks", "tests", "hydra_plugins")}
    uses = {each: imported(each) & ours for each in ours}
    found, more = {name}, {name}
    while more:
        more = {each for each, its in uses.items() if its & found} - found
        found |= more
    return found


def imported(name: str) -> set[str]:
    """Returns every module that this one imports, anywhere in its code."""
    file = getattr(sys.modules[name], "__file__", None)
    tree = ast.parse(Path(file).read_text(encoding="utf-8")) if file else ast.Module([], [])
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def judge(
    name: str, most: int, seed: int, known: set[str], open_: set[str], tell: Callable[[tuple[str, str]], None]
) -> None:
    """Tries the drawn and the `open_` mutants of a module, except the `known` ones, and calls `tell` with each result.

    It runs in a process of its own.
    """
    module, file = f"alchemy.{name}", ROOT / "alchemy" / f"{name}.py"
    for each in closure(module):
        parent, _, child = each.rpartition(".")
        if sys.modules.pop(each, None) and hasattr(sys.modules.get(parent), child):
            delattr(sys.modules[parent], child)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    files = [str(ROOT / "tests" / f"test_{each}.py") for each in TESTS[name]]

    def as_it_is() -> tuple[int, dict[str, float], dict[str, set[int]]]:
        watch = Watch(module, file)
        return run(Mutated(module, file, compile(tree, str(file), "exec")), files, watch), watch.seconds, watch.ran

    nothing: tuple[int, dict[str, float], dict[str, set[int]]] = (-1, {}, {})
    code, seconds, ran = forked(as_it_is, 900) or nothing
    if code:
        sys.exit(f"benchmarks: the tests of {name} fail as it is, so mutants would prove nothing")
    chosen = [one for one in mutants(tree) if not equivalent(name, one.name)]
    drawn = random.Random(f"{seed} {name}").sample(chosen, min(most, len(chosen)))  # noqa: S311
    for one in chosen:
        if (one in drawn or one.name in open_) and one.name not in known:
            lines = set(one.lines)
            outside = bool(ran[""] & lines)  # outside of tests: the line runs when the module is imported
            of = [test for test, its in ran.items() if test in seconds and (outside or its & lines)]
            of = shown(of, seconds)
            one.put()
            its = Mutated(module, file, compile(ast.fix_missing_locations(tree), str(file), "exec"))
            one.back()
            some = [path for path in files if any(path.endswith(test.partition("::")[0]) for test in of)]
            time = LEAST + 5 * sum(seconds[test] for test in of)
            code = forked(partial(run, its, some, Chosen(of)), time) if of else 0
            said = f"survived {len(of)} tests, line {one.lines.start}" if code == 0 else "killed"
            tell((one.name, said if code is not None else "killed, no end"))


def shown(tests: list[str], seconds: dict[str, float]) -> list[str]:
    """Returns the quickest of these tests, as many as take less than MOST seconds together."""
    ordered = sorted(tests, key=lambda test: seconds[test])
    return [
        test for test, sum_ in zip(ordered, accumulate(seconds[its] for its in ordered), strict=True) if sum_ < MOST
    ]


def main() -> None:
    known = {"modules": ",".join(TESTS), "most": "100", "seed": "0", "again": "no"}
    try:
        settings = given(sys.argv[1:], known, "a setting: use modules=score,noise, most=100, seed=0 or again=yes")
        names, most, seed = settings["modules"].split(","), int(settings["most"]), int(settings["seed"])
        if wrong := [name for name in names if name not in TESTS]:
            raise ValueError(f"modules={wrong[0]} is none of {', '.join(TESTS)}")
    except ValueError as error:
        sys.exit(f"benchmarks: {sentence(error)}")
    ready()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(summary(name, tried(name, most, seed, settings["again"] == "yes")), flush=True)


def tried(name: str, most: int, seed: int, again: bool) -> dict[str, str]:
    """Tries mutants of a module, and returns all results, with those of earlier runs; each is stored as it comes."""
    kept: dict[str, Any] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    made_of: dict[str, str] = {"source": digest(ROOT / "alchemy" / f"{name}.py")}
    made_of |= {"tests": digest(*(ROOT / "tests" / f"test_{each}.py" for each in TESTS[name]))}
    old: dict[str, Any] = kept.get(name) or {"mutants": {}}
    found = old["mutants"] if old.get("source") == made_of["source"] and not again else {}
    same = old.get("tests") == made_of["tests"]
    found = {one: said for one, said in found.items() if not equivalent(name, one)}
    known = {one for one, said in found.items() if same or said.startswith("killed")}
    queue: Any = FORK.SimpleQueue()
    base = FORK.Process(target=judge, args=(name, most, seed, known, set(found) - known, queue.put))
    base.start()
    while base.is_alive() or not queue.empty():
        base.join(0.2)
        while not queue.empty():
            found |= [queue.get()]
            write_aside(OUT, json.dumps(kept | {name: made_of | {"mutants": found}}, indent=1))
    return found


def digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def ready() -> None:
    """Imports the modules that tests need, and trains the model that they share."""
    from hypothesis import settings

    settings.register_profile("mutants", database=None)
    settings.load_profile("mutants")
    os.chdir(ROOT)
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in (ROOT / "alchemy").rglob("[!_]*.py")]
    for name in [*sorted(names), *HEAVY]:
        with suppress(ImportError):
            importlib.import_module(name)
    from tests.helpers.knowing import trained

    trained()


def summary(name: str, found: dict[str, str]) -> str:
    left = sorted((said, one) for one, said in found.items() if said.startswith("survived"))
    equal = sum(key.partition(".")[0] == name for key in EQUIVALENT)
    share = 1 - len(left) / max(len(found), 1)
    head = f"{name}: {len(found)} mutants, {len(found) - len(left)} killed, {share:.0%}; {equal} known as equivalent"
    return "\n".join([head, *(f"  {said}: {one}" for said, one in left)])


if __name__ == "__main__":
    main()
