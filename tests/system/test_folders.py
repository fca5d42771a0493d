"""Folders and clocks that are not as they should be: one sentence, or no harm."""

import shutil
import subprocess

import pytest

from alchemy.results.digests import write_json
from alchemy.runs.sweep import close
from tests.helpers.command import TINY, alchemy
from tests.helpers.sweeps import SWEEP, finished, start, table, wait_for

ONE = [*TINY, "shift.axis=task", "shift.levels=[0,1]"]


def refused(folder, *words):
    done = alchemy(folder, *ONE, *words)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    [said] = [line for line in done.stderr.splitlines() if line.startswith("alchemy: ")]
    return said


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


def rarely(*values):
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.mark.parametrize("harm", [file, *rarely(loop, hanging, models_are_a_file, cells_are_a_loop)])
def test_outputs_that_cannot_be_written_to_are_named(tmp_path, harm):
    harm(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    said = refused(tmp_path)
    assert "outputs" in said
    assert "output=DIR" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_read_only_folder_is_named(tmp_path):
    disk = tmp_path / "outputs"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("a read-only folder needs the right to mount one")
    try:
        assert "Read-only file system" in refused(tmp_path)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("name", ["../elsewhere", *rarely("..", "a/../../b", ".")])
def test_a_run_s_name_does_not_lead_out_of_outputs(tmp_path, name):
    refused(tmp_path, f"name={name}")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_of_what_there_is_not_leaves_no_file(tmp_path):
    assert "arm=nope is not an option" in refused(tmp_path, "hydra.mode=MULTIRUN", "arm=none,nope")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


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
