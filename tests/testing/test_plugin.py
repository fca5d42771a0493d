"""The plugin of pytest, as a process of its own: what it costs, what it collects, and what it says."""

import os
import subprocess
import sys

import pytest

from tests.helpers.command import environment
from tests.helpers.worlds import ROOT

SHIFTS = '''
"""A shift to try."""
from alchemy.data.shift import asking


def narrow(task, level):
    """Only the first compositions of training."""
    if not 0 <= level < {most}:
        raise ValueError(f"shift.axis=narrow has no level {{level}}")
    return asking(task.train, task.train.compositions[:level]) if level else task.train
'''
NARROW = "# @package _global_\nshift: {own: {narrow: shifts_to_try.narrow}, axis: narrow, levels: [0, 1]}\n"


def pytest_of(folder, *words):
    """A run of pytest with this plugin alone, from a folder that knows nothing of the lab's tests."""
    command = [sys.executable, "-m", "pytest", "-p", "alchemy.testing.plugin", "-p", "no:cacheprovider", *words]
    known = {
        **environment(),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=known, timeout=300, check=False)


@pytest.fixture
def options(tmp_path):
    for group in ("task", "experiment", "train"):
        (tmp_path / "options" / group).mkdir(parents=True)
    (tmp_path / "options" / "train" / "mine.yaml").write_text("steps: 1\n")
    (tmp_path / "options" / "task" / "mine.yaml").write_text((ROOT / "conf" / "task" / "cipher.yaml").read_text())
    (tmp_path / "options" / "experiment" / "narrow.yaml").write_text(NARROW)
    (tmp_path / "shifts_to_try.py").write_text(SHIFTS.format(most=3))
    return tmp_path / "options"


def test_it_imports_next_to_nothing_until_it_is_asked():
    code = (
        "import sys, pytest; known = set(sys.modules); import alchemy.testing.plugin; print(*set(sys.modules) - known)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert not tops & {"torch", "pandas", "numpy", "numba", "hydra", "omegaconf", "hypothesis"}
    assert len(done.stdout.split()) < 20


def test_options_are_left_alone_where_no_laws_are_asked_for(options):
    done = pytest_of(options.parent, "-q", "options")
    assert done.returncode == 5, done.stdout
    assert "no tests ran" in done.stdout


@pytest.mark.slow
def test_worlds_and_axes_among_options_are_tested_law_by_law(options):
    done = pytest_of(options.parent, "-v", "--laws", "options")
    assert done.returncode == 0, done.stdout
    for law in (
        "options/task/mine.yaml::noise never touches gold PASSED",
        "options/task/mine.yaml::steps: rows are well formed PASSED",
        "options/experiment/narrow.yaml::narrow: level 0 is training PASSED",
    ):
        assert law in done.stdout
    assert "learns" not in done.stdout
    assert "train/mine.yaml" not in done.stdout
    chosen = pytest_of(options.parent, "-q", "--laws", "--learnable", "options/task", "-k", "heart")
    assert "1 passed" in chosen.stdout


def test_a_broken_law_is_told_without_a_trace(options):
    (options.parent / "shifts_to_try.py").write_text(SHIFTS.format(most=9))
    done = pytest_of(options.parent, "--laws", "options/experiment")
    assert done.returncode == 1
    assert (
        "Cipher, axis narrow breaks a law of the lab: no two levels are alike, and only level 0 is training"
        in done.stdout
    )
    assert "  prompt  " in done.stdout
    assert "Traceback" not in done.stdout
    assert ".py:" not in done.stdout


def test_an_option_that_no_run_could_use_is_told_in_a_sentence(options):
    (options / "task" / "mine.yaml").write_text("_target_: tasks.cipher.Ciphre\n")
    done = pytest_of(options.parent, "--laws", "options/task")
    assert done.returncode == 2
    assert "task._target_=tasks.cipher.Ciphre cannot be imported" in done.stdout
    assert ".py:" not in done.stdout


def test_laws_are_tests_of_ones_own_and_a_broken_one_shows_no_inside_of_the_lab(options):
    (options.parent / "shifts_to_try.py").write_text(SHIFTS.format(most=9))
    (options.parent / "test_mine.py").write_text(
        "from alchemy.testing import parametrize_with_laws, world_of\n"
        "from shifts_to_try import narrow\n\n"
        "@parametrize_with_laws({'mine': world_of('options/task/mine.yaml')}, [narrow])\n"
        "def test_mine(law):\n    law()\n"
    )
    done = pytest_of(options.parent, "-q", "test_mine.py")
    assert "1 failed" in done.stdout
    assert "test_mine[mine: narrow: no two levels are alike, and only level 0 is training]" in done.stdout
    assert "levels 0 and 3 ask for the same, as often" in done.stdout
    assert "alchemy/testing" not in done.stdout
