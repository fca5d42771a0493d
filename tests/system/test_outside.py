"""A project of one's own beside an installed lab: its world and its shift, under the laws, in a run and in a sweep."""

import os
import re
import subprocess
import sys
import sysconfig
import venv

import pytest

from tests.helpers.command import TINY, cells
from tests.helpers.worlds import ROOT

WORLD = '''
"""Letters that are turned round, or moved on."""

from tasks.cipher import Cipher


class Mine(Cipher):
    """A cipher of one's own."""
'''
SHIFTS = '''
"""How often training's first composition is asked for."""

from dataclasses import replace


def lean(task, level):
    """The first composition is asked for `level` times as often again as each other one; 0 is training itself."""
    if not 0 <= level <= 3:
        raise ValueError(f"shift.axis=lean has no level {level}: use 0 to 3 in shift.levels")
    others = len(task.train.compositions) - 1
    shares = (1.0 + level, *[1.0] * others)
    return replace(task.train, shares=tuple(share / sum(shares) for share in shares)) if level else task.train


def describe(task, where):
    return f"{where.shares[0]:.0%} {task.spell(where.compositions[0])}" if where.shares else ""
'''
FILES = {
    "mine/__init__.py": "",
    "mine/world.py": WORLD,
    "mine/shifts.py": SHIFTS,
    "options/task/mine.yaml": (ROOT / "conf" / "task" / "cipher.yaml")
    .read_text(encoding="utf-8")
    .replace("tasks.cipher.Cipher", "mine.world.Mine"),
    "options/experiment/lean.yaml": "# @package _global_\ndefaults:\n  - override /task: mine\nname: lean\n"
    "shift:\n  own: {lean: mine.shifts.lean}\n  grid: {lean: [0, 1, 3]}\n  axis: [lean, length]\n",
    "tests/test_mine.py": "from alchemy.testing import check_shift, parametrize_with_laws, world_of\n"
    "from mine.shifts import lean\n\nMINE = world_of('options/task/mine.yaml')\n\n\n"
    "@parametrize_with_laws({'mine': MINE}, ['task', lean])\ndef test_mine(law):\n    law()\n\n\n"
    "def test_lean():\n    check_shift(lean, MINE)\n",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment in which the wheel is installed, beside what is installed here but the lab."""
    folder = tmp_path_factory.mktemp("outside")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    wheel = next((folder / "dist").glob("shift_alchemy-*.whl"))
    venv.create(folder / "venv", with_pip=False)
    own = folder / "venv" / "bin" / "python"
    site = subprocess.run(
        [own, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", site, str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    # what is installed here is found after it; a .pth file in it, such as that of this checkout, is not read
    with open(os.path.join(site, "beside.pth"), "w", encoding="utf-8") as beside:  # noqa: PTH123, PTH118
        beside.write(sysconfig.get_path("purelib") + "\n")
    return own


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.lstrip("\n"), encoding="utf-8")
    return folder


def type_in(python, project, *words):
    """A module of the environment's interpreter with its words, or with -c a line of Python."""
    known = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    command = [python, *([] if words[0] == "-c" else ["-m"]), *words]
    return subprocess.run(command, cwd=project, env=known, capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.slow
def test_a_project_of_ones_own_is_tested_run_swept_and_drawn(python, project):
    where = type_in(python, project, "-c", "import alchemy, tasks; print(alchemy.__file__, *tasks.__path__)").stdout
    assert where.count(str(python.parent.parent)) == 2
    laws = type_in(python, project, "pytest", "-q", "-p", "no:cacheprovider", "--laws", "options", "tests")
    assert laws.returncode == 0, laws.stdout
    assert int(re.search(r"(\d+) passed", laws.stdout)[1]) > 150
    run = type_in(python, project, "alchemy", "--config-dir", "options", "experiment=lean", *TINY)
    assert run.returncode == 0, run.stderr
    assert (project / run.stdout.splitlines()[-1]).read_bytes().startswith(b"\x89PNG")
    sweep = ("alchemy", "-m", "--config-dir", "options", "experiment=lean", "seed=0,1", *TINY)
    done = type_in(python, project, *sweep)
    assert done.returncode == 0, done.stderr
    picture = project / done.stdout.splitlines()[-1]
    assert picture.name == "heatmap.png"
    table = cells(picture.with_name("cells.csv"))
    told = {(row["axis"], row["level"], row["setting"]) for row in table}
    assert {("lean", "0", ""), ("lean", "1", "50% F1F1"), ("lean", "3", "67% F1F1"), ("length", "1", "l = 5")} <= told
    page = picture.with_name("report.html").read_text(encoding="utf-8")
    assert "67% F1F1" in page
    measured = set((project / "outputs" / "cells").glob("*/*.json"))
    trained = set((project / "outputs" / "models").glob("*/model.json"))
    assert len(trained) == 2

    again = type_in(python, project, *sweep)
    assert again.returncode == 0, again.stderr
    assert set((project / "outputs" / "cells").glob("*/*.json")) == measured
    shifts = project / "mine" / "shifts.py"
    shifts.write_text(shifts.read_text(encoding="utf-8").replace("1.0 + level", "1.5 + level"), encoding="utf-8")
    changed = type_in(python, project, *sweep)
    assert changed.returncode == 0, changed.stderr
    assert len(set((project / "outputs" / "cells").glob("*/*.json"))) >= 2 * len(
        measured
    )  # not one cell of before is used
    assert set((project / "outputs" / "models").glob("*/model.json")) == trained  # and every model is

    job = f"{(project / run.stdout.splitlines()[-1]).parent}"
    refused = type_in(python, project, "alchemy", "rerun", job)
    assert refused.returncode == 1
    assert "is from a stored record, and no option of conf/ names it" in refused.stderr


@pytest.mark.slow
def test_the_plugin_is_found_where_the_lab_is_installed_and_leaves_other_tests_alone(python, tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\n\ndef test_other():\n    assert 'alchemy.testing.plugin' in sys.modules\n"
        "    assert not {'torch', 'pandas', 'numba', 'alchemy.data'} & set(sys.modules)\n"
    )
    done = type_in(python, tmp_path, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    assert done.returncode == 0, done.stdout
    assert "--laws" in type_in(python, tmp_path, "pytest", "--help").stdout
