"""The one command: its words, what it says to others, where it finds worlds, and completion by the tab key."""

import re
import shutil
import subprocess
import sys
import time
import tomllib
from functools import partial

import pytest

from alchemy.__main__ import answer
from alchemy.errors import exit_code_of, extra, fault, settings_at
from alchemy.runs import moved
from alchemy.runs.settings import CONF, settings_known
from alchemy.runs.words import WORDS, misplaced, table
from tests.helpers.command import alchemy, environment
from tests.helpers.mistakes import said
from tests.helpers.worlds import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPT = """#!{python}
import sys
from alchemy.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""  # as pip writes it


@pytest.fixture
def programs(tmp_path):
    """A folder with the script `alchemy`, and a `python` that has the lab."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "alchemy").write_text(SCRIPT.format(python=sys.executable))
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    return folder


# ---- what there is


@pytest.mark.parametrize("word", WORDS)
def test_help_on_a_word_shows_its_usage_and_an_example(word, capsys):
    with pytest.raises(SystemExit) as ended:
        answer([word, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: python -m alchemy {word} ")
    assert f"\nsuch as: python -m alchemy {word} " in told


def test_help_lists_the_words_and_the_settings(tmp_path):
    done = alchemy(tmp_path, "--help")
    assert done.returncode == 0
    assert table() in done.stdout
    assert [line.split()[0] for line in table().splitlines()] == list(WORDS)
    assert "Settings (change with key=value):" in done.stdout


@pytest.mark.parametrize("text", [README, (CONF / "config.yaml").read_text(encoding="utf-8")], ids=["readme", "help"])
def test_every_word_that_is_shown_is_one(text):
    shown = re.findall(r"python -m alchemy ([a-z][\w-]*)(?![\w.=/-])", text)
    assert shown
    assert set(shown) <= set(WORDS)


def test_no_module_of_the_lab_has_a_main_of_its_own():
    mains = [path for path in (ROOT / "alchemy").rglob("*.py") if 'if __name__ == "__main__"' in path.read_text()]
    assert [path.name for path in mains] == ["__main__.py"]


def test_the_command_begins_without_what_takes_seconds_to_import():
    code = "import sys, alchemy.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert not {"torch", "pandas", "matplotlib", "hydra"} & set(done.stdout.split())


@pytest.mark.slow
def test_help_comes_within_two_seconds(tmp_path):
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        alchemy(tmp_path, "--help")
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 2


# ---- what is said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["drwa", "outputs/x"], "drwa is not a word of the command: did you mean python -m alchemy draw?"),
        (["export_model"], "did you mean python -m alchemy export-model?"),
        (["-m", "reprot"], "did you mean python -m alchemy report?"),
        (["banana"], "banana is neither a word of the command nor key=value: python -m alchemy --help"),
        (["outputs/mirage/now"], "outputs/mirage/now is neither a word of the command nor key=value"),
        (["seed=1", "draw"], "draw must come first: python -m alchemy draw --help"),
        (["--colour"], "unrecognized arguments: --colour: python -m alchemy --help shows how to write it"),
        (["draw"], "python -m alchemy draw --help shows how to write it"),
        (["draw", "nowhere"], "nowhere is not the folder of a run or sweep"),
        (["draw", "x", "--format", "gif"], "python -m alchemy draw --help shows how to write it"),
        (["report", "a", "b"], "report takes one folder: what moved from one to another is python -m alchemy compare"),
        (["compare", "a"], "python -m alchemy compare --help shows how to write it"),
        (["query", "nowhere"], "nowhere holds no cells.csv"),
        (["rerun", "nowhere"], "nowhere holds no finished job"),
        (["paper", "fast=true"], "fast=true is not a setting of the paper"),
        (["figures", "nowhere.csv"], "nowhere.csv cannot be used"),
        (["laws", "nowhere"], "nowhere"),
        (["register", "nowhere.yaml"], "nowhere.yaml cannot be used"),
    ],
    ids=" ".join,
)
def test_a_mistake_is_one_sentence(words, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert answer(words) == 1
    out, line = capsys.readouterr()
    assert out == ""
    assert line.startswith("alchemy: ")
    assert line.count("\n") == 1
    assert what in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("typed", ["seed=1", "~seed", "+mine=1", "shift.axis=[task", "", "--cfg"])
def test_a_setting_is_no_word(typed):
    assert misplaced(typed) == ""


def stopped(*words):
    raise KeyboardInterrupt(*words)


def failed(error):
    raise error


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (stopped, "stopped; all is kept"),
        (partial(stopped, "2 of 3 jobs done"), "stopped with 2 of 3 jobs done; all is kept"),
        (partial(failed, ValueError("a\nb")), "a b"),
        (partial(failed, OSError(28, "full", "x")), "x cannot be used (full): mend that, or write elsewhere with HERE"),
        (partial(failed, KeyError("x")), "KeyError: 'x' (HYDRA_FULL_ERROR=1 shows where)"),
    ],
)
def test_every_failure_becomes_a_sentence_in_one_place(act, line, monkeypatch, capsys):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    assert exit_code_of(act, partial(fault, elsewhere="HERE"), "all is kept") == 1
    assert capsys.readouterr().err == f"alchemy: {line}\n"


def test_a_trace_is_shown_to_those_who_ask_for_it(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(KeyError):
        exit_code_of(partial(failed, KeyError("x")), partial(fault, elsewhere=""), "")


def test_advice_to_install_names_an_extra_of_a_checkout():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "alchemy").rglob("*.py")]
    named = {name for text in sources for _, name in re.findall(r"\bextra\((['\"])(\w+)\1\)", text)}
    assert named >= {"hf", "slurm", "ray", "track"}
    assert named <= set(extras)
    assert extra("hf") == "pip install '.[hf]' in the lab's checkout"
    texts = [
        *(path.read_text(encoding="utf-8") for path in (*CONF.rglob("*.yaml"), *ROOT.glob("docs/**/*.md"))),
        README,
    ]
    for text in (*sources, *texts):
        assert "shift-alchemy[" not in text, "no index has it"


# ---- where things were before


@pytest.mark.parametrize("module", moved.MODULES)
def test_the_old_spelling_of_a_command_is_answered_with_the_new(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", module, "outputs/x", "--out", "y"],
        cwd=tmp_path, capture_output=True, text=True, env=environment(), check=False,
    )  # fmt: skip
    new = moved.MODULES[module]
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"alchemy: python -m {module} is now python -m alchemy {new}\n"
    assert new in WORDS or set(re.findall(r"[a-z]+(?:-[a-z]+)*", new)) - {"with", "or"} <= set(WORDS)


def test_a_module_is_imported_as_ever():
    code = "import alchemy.figures, alchemy.interop, alchemy.paper; print(alchemy.__version__)"
    done = subprocess.run([sys.executable, "-c", code, "-m"], capture_output=True, env=environment(), check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("old", moved.SETTINGS)
def test_a_setting_that_has_moved_is_answered_with_its_new_name(old):
    new = moved.SETTINGS[old]
    assert moved.setting(old) == f"{old}= is now {new}="
    assert moved.setting(f"{old}.x") == f"{old}.x= is now {new}.x="
    if new in settings_known():
        assert said([f"{old}=1"]) == f"{old}= is now {new}="
    assert moved.setting(f"{old}x") == ""


@pytest.mark.parametrize(("group", "old"), [(group, old) for group, names in moved.OPTIONS.items() for old in names])
def test_an_option_that_has_moved_is_answered_with_its_new_name(group, old):
    new = moved.OPTIONS[group][old]
    assert moved.option(group, old) == f"{group}={old} is now {group}={new}"
    if (CONF / group / f"{new}.yaml").is_file():
        assert said([f"{group}={old}"]) == f"{group}={old} is now {group}={new}"


# ---- the places of settings


@pytest.mark.parametrize(
    ("path", "told", "placed"),
    [
        ("study.recipe", "steps=0 is too small", "study.recipe.steps=0 is too small"),
        ("study.recipe", "steps is empty", "study.recipe.steps is empty"),
        ("task.worlds.sums", "task.steps names x", "task.worlds.sums.steps names x"),
        ("task", "task.steps names x", "task.steps names x"),
        ("train", "stepsize=0 is too small", "stepsize=0 is too small"),
        ("train", "train.rate=0", "train.rate=0"),
        ("train", "the file x holds train.steps=3", "the file x holds train.steps=3"),
    ],
)
def test_what_begins_with_the_name_of_a_setting_gets_its_place(path, told, placed):
    with pytest.raises(ValueError, match=f"^{re.escape(placed)}$"), settings_at(path, ["steps", "clip"]):
        raise ValueError(told)


# ---- the script


def test_the_script_finds_a_world_in_the_current_folder(programs, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine.py").write_text("from tasks.cipher import Cipher\n\n\nclass World(Cipher):\n    pass\n")
    words = ["task._target_=mine.World", "study.count=0"]
    done = subprocess.run(
        [programs / "alchemy", *words], cwd=here, capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("alchemy: study.count=0 leaves nothing to measure"), "the world was there"


# ---- the tab key

BASH = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
DRIVEN = """eval "$({install} -sc install=bash)" && complete -p {program} >&2
COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_WORDBREAKS=' ='
_alchemy {program} '{word}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(programs, install, line):
    """What bash is offered for the last word of a line, which it breaks at = as it does by itself."""
    word = re.split(r"[ =]", line)[-1]
    script = DRIVEN.format(install=install, program=install.split()[0], line=line, word=word)
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment() | path, check=True)
    assert "-F _alchemy" in done.stderr
    return done.stdout.split()


@BASH
@pytest.mark.slow
@pytest.mark.parametrize("install", ["alchemy", "python -m alchemy"])
def test_the_tab_key_completes_words_settings_and_options(install, programs):
    assert completed(programs, install, f"{install} dr") == ["draw"]
    assert completed(programs, install, f"{install} exp") == ["export", "export-model", "export-tasks", "experiment"]
    assert completed(programs, install, f"{install} task=ci") == ["cipher"]
    assert completed(programs, install, f"{install} -m seed=0,1 model.wid") == ["model.width="]
    assert completed(programs, install, f"{install} shift.axis=") == ["all"]
    assert completed(programs, install, f"{install} draw outp") == [], "a folder, which bash knows"
    assert set(WORDS) < set(completed(programs, install, f"{install} "))


@BASH
@pytest.mark.slow
def test_the_tab_key_leaves_other_programs_of_python_alone(programs):
    assert completed(programs, "python -m alchemy", "python scri") == []
    assert completed(programs, "python -m alchemy", "python -m pytest dr") == []
    gone = """eval "$(alchemy -sc install=bash)"; eval "$(alchemy -sc uninstall=bash)"; complete -p alchemy"""
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", gone], capture_output=True, env=environment() | path, check=False)
    assert done.returncode == 1


def test_the_readme_says_how_to_install_completion():
    for program in ("python -m alchemy", "alchemy"):
        assert f'`eval "$({program} -sc install=bash)"`' in " ".join(README.split())
