"""Folders and clocks that are not as they should be: one sentence, or no harm."""

import json
import shutil
import subprocess
import sys

import pytest

from alchemy.digests import write_json
from alchemy.sweep import close
from tests.test_command import TINY, alchemy, environment
from tests.test_faults import SWEEP, finished, start, table, wait_for

ONE = [*TINY, "shift.axis=task", "shift.levels=[0,1]"]
COMMANDS = """
import json, os, sys
from alchemy.__main__ import main
import alchemy.measure, alchemy.run, alchemy.train, torch._dynamo
from alchemy.settings import CONF
from hydra import compose, initialize_config_dir
with initialize_config_dir(str(CONF), version_base="1.3"):
    alchemy.run.plan(compose("config"))
codes = []
for folder, words in json.loads(sys.argv[1]):
    if os.fork():
        codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
        continue
    os.chdir(folder)
    os.dup2(os.open(f"{folder}.said", os.O_WRONLY | os.O_CREAT), 2)
    os.dup2(2, 1)
    sys.argv[1:] = words
    main()
    break
else:
    print(json.dumps(codes))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    """By name of a case, its folder, what lay there before, and the one line that the command says there. Each is a
    process of its own, of one parent that has imported already what takes seconds.
    """
    home, cases = tmp_path_factory.mktemp("cases"), []
    for number, (name, (harm, words)) in enumerate(CASES.items()):
        folder = home / str(number)
        folder.mkdir()
        harm(folder)
        cases.append((name, folder, sorted(path.name for path in folder.iterdir()), [*ONE, *words]))
    asked = json.dumps([[str(folder), words] for _, folder, _, words in cases])
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, asked], capture_output=True, text=True, env=environment(), check=True
    )
    found = {}
    for (name, folder, before, _), code in zip(cases, json.loads(done.stdout), strict=True):
        text = folder.with_suffix(".said").read_text()
        assert code == 1, text
        assert "Traceback" not in text
        [said] = [line for line in text.splitlines() if line.startswith("alchemy: ")]
        found[name] = folder, before, said
    return found


def file(folder):
    (folder / "outputs").write_text("a letter")


def loop(folder):
    (folder / "outputs").symlink_to("outputs")


def hanging(folder):
    (folder / "outputs").symlink_to("nowhere/at/all")


def models_are_a_file(folder):
    (folder / "outputs").mkdir()
    (folder / "outputs" / "models").write_text("a letter")


def cells_are_a_loop(folder):
    (folder / "outputs").mkdir()
    (folder / "outputs" / "cells").symlink_to("cells")


def nothing(folder):
    pass


HARMS = {harm.__name__: harm for harm in (file, loop, hanging, models_are_a_file, cells_are_a_loop)}
NAMES = ("..", "../elsewhere", "a/../../b", ".")
CASES = {name: (harm, ()) for name, harm in HARMS.items()} | {name: (nothing, (f"name={name}",)) for name in NAMES}
CASES |= {"sweep": (nothing, ("hydra.mode=MULTIRUN", "arm=none,nope"))}


@pytest.mark.parametrize("harm", HARMS)
def test_outputs_that_cannot_be_written_to_are_named(refusals, harm):
    folder, before, said = refusals[harm]
    assert "outputs" in said
    assert "output=DIR" in said
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_read_only_folder_is_named(tmp_path):
    disk = tmp_path / "outputs"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("a read-only folder needs the right to mount one")
    try:
        done = alchemy(tmp_path, *ONE)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        [said] = [line for line in done.stderr.splitlines() if line.startswith("alchemy: ")]
        assert "Read-only file system" in said
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_s_name_does_not_lead_out_of_outputs(refusals, name):
    folder, _, said = refusals[name]
    assert f"name={name}" in said
    assert list(folder.iterdir()) == []


def test_a_sweep_of_what_there_is_not_leaves_no_file(refusals):
    folder, _, said = refusals["sweep"]
    assert "arm=nope is not an option" in said
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("jobs", [(), ("0", "1")])
def test_a_run_or_sweep_that_never_began_leaves_no_folder(tmp_path, jobs):
    home = tmp_path / "2026"
    for job in jobs or ("",):
        (home / job / ".hydra").mkdir(parents=True)
        write_json(home / job / "run.json", {"overrides": [], "began": False, "status": "failed", "error": "no"})
    if jobs:
        (home / "multirun.yaml").write_text("hydra: {}")
    with pytest.raises(SystemExit):
        close(home)
    assert not home.exists()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("faketime"), reason="no other clock: apt-get install faketime")
def test_a_clock_that_jumps_loses_nothing(tmp_path, undisturbed):
    """Begun in 2040, killed; gone on with in 1999, then today."""
    sweep = start(tmp_path, *SWEEP, before=["faketime", "2040-02-29 12:00:00"])
    known = wait_for(lambda: finished(tmp_path))
    sweep.kill()
    sweep.communicate(timeout=60)
    past = start(tmp_path, *SWEEP, before=["faketime", "1999-12-31 23:59:58"])
    stdout, stderr = past.communicate(timeout=300)
    assert past.returncode == 0, stderr
    assert "/1999-12-31_" in stdout or "/2000-01-01_" in stdout
    assert (tmp_path / stdout.splitlines()[-1]).with_name("cells.csv").read_text() == undisturbed
    today = alchemy(tmp_path, *SWEEP)
    assert table(tmp_path, today) == undisturbed
    assert today.stdout.count("done before") == 4
    assert {path: path.stat().st_mtime_ns for path in known} == known
