"""What goes wrong from outside, for real: nothing finished is lost or done twice, and nothing damaged is used.

benchmarks/faults.py does the same at many more moments.
"""

import json
import os
import pickle
import random
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from alchemy.data.seeds import stream
from alchemy.results.digests import read_json
from alchemy.runs.mistakes import explain
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from alchemy.runs.workers import spread
from tests.helpers.command import alchemy, cells, word
from tests.helpers.jobs import answer
from tests.helpers.made import change_records
from tests.helpers.sweeps import SWEEP, finished, holders, start, table, wait_for, workers


def go_on(folder, undisturbed, known=()):
    """The same command again ends in the undisturbed table, and trains none of the `known` models again."""
    again = alchemy(folder, *SWEEP)
    assert again.returncode == 0, again.stderr
    assert table(folder, again) == undisturbed
    for weights, written in dict(known).items():
        assert weights.stat().st_mtime_ns == written, f"{weights} was trained again"
    return again


@pytest.mark.slow
def test_a_killed_worker_costs_its_job_alone(tmp_path, undisturbed):
    sweep = start(tmp_path, *SWEEP)
    wait_for(lambda: list((tmp_path / "outputs" / "models").glob(".*.lock")))
    os.kill(workers(sweep.pid)[0], signal.SIGKILL)
    stdout, stderr = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "Traceback" not in stderr
    [said] = [line for line in stderr.splitlines() if line.startswith("alchemy: ")]
    assert "its process was killed (signal 9), as happens when memory runs out" in said
    folder = (tmp_path / stdout.splitlines()[-1]).parent
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob("?/run.json"))]
    assert sorted(run["status"] for run in runs) == ["failed", "ok", "ok", "ok"]
    assert {row["seeds"] for row in cells(folder / "cells.csv")} == {"1", "2"}
    [command] = [line.partition("python -m alchemy ")[2] for line in stderr.splitlines() if "that job alone" in line]
    alone = alchemy(tmp_path, *shlex.split(command))
    assert alone.returncode == 0, alone.stderr
    assert len(finished(tmp_path)) == 4
    assert go_on(tmp_path, undisturbed, finished(tmp_path)).stdout.count("done before") == 4


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_says_how_far_it_is_and_goes_on(tmp_path, undisturbed, sign):
    sweep = start(tmp_path, *SWEEP)
    known = wait_for(lambda: finished(tmp_path))
    (os.killpg if sign == signal.SIGINT else os.kill)(sweep.pid, sign)  # a terminal tells the whole group
    team = workers(sweep.pid)
    _, stderr = sweep.communicate(timeout=120)  # a second or two; more where much else runs
    assert sweep.returncode == 1
    assert "of 4 jobs done; models and measured cells are kept, the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    assert not [pid for pid in team if Path(f"/proc/{pid}/exe").exists()], "workers were left behind"
    go_on(tmp_path, undisturbed, known)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [2.0, 5.0, 7.0, 9.0])
def test_a_killed_sweep_goes_on_to_the_same_table(tmp_path, undisturbed, moment):
    sweep = start(tmp_path, *SWEEP)
    time.sleep(moment)
    sweep.kill()  # its workers end by themselves
    sweep.communicate(timeout=120)
    go_on(tmp_path, undisturbed, finished(tmp_path))


@pytest.mark.slow
def test_two_sweeps_at_once_share_what_they_train(tmp_path, undisturbed):
    both = [start(tmp_path, *SWEEP) for _ in range(2)]
    said = [sweep.communicate(timeout=600) for sweep in both]
    for sweep, (stdout, stderr) in zip(both, said, strict=True):
        assert sweep.returncode == 0, stderr
        assert (tmp_path / stdout.splitlines()[-1]).with_name("cells.csv").read_text() == undisturbed
    assert sum(stdout.count("rows in") for stdout, _ in said) == 4
    assert sum(stdout.count("done before") for stdout, _ in said) == 4


@pytest.mark.slow
def test_sixteen_ask_for_one_model_whose_trainer_is_killed(tmp_path):
    """It is trained to its end once, by another; and the fifteen have one result."""
    words = [word for word in SWEEP if word not in ("-m", "seed=0,1", "model.width=8,16")] + ["train.steps=1500"]
    team = [start(tmp_path, *words, f"name=run{number}") for number in range(16)]
    locks = wait_for(lambda: list((tmp_path / "outputs" / "models").glob(".*.lock")))
    holder = wait_for(lambda: [pid for pid in holders(locks[0]) if pid in {process.pid for process in team}])[0]
    time.sleep(1)
    os.kill(holder, signal.SIGKILL)
    said = [process.communicate(timeout=600) for process in team]
    ends = [process.returncode for process in team]
    assert sorted(ends) == [-signal.SIGKILL] + [0] * 15
    assert sum(stdout.count("rows in") for stdout, _ in said) == 1
    tables = {path.read_text() for path in (tmp_path / "outputs").glob("run*/*/cells.csv")}
    assert len(tables) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a full disk needs the right to mount one")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [0, 8, 40, 80, 120, 200, 400])
def test_a_full_disk_is_one_sentence_and_space_is_all_it_takes_to_go_on(small_disk, kilobytes, undisturbed):
    (small_disk / "films").write_bytes(bytes((512 - kilobytes) * 1024))
    full = alchemy(small_disk, *SWEEP)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert "No space left on device" in full.stderr
    known = finished(small_disk)
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    go_on(small_disk, undisturbed, known)


@pytest.mark.slow
@pytest.mark.parametrize("room", ["size=12k", "size=40k", "size=40k,nr_inodes=12", "size=200k,nr_inodes=6"])
def test_a_disk_that_cannot_even_take_run_json_is_named(tmp_path, room):
    """One run alone; with room, the same command comes to its end."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", room, "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs the right to mount one")
    words = [word for word in SWEEP if word not in ("-m", "seed=0,1", "model.width=8,16")]
    words += ["train.steps=8", "study.count=32", f"output={disk}/o"]
    try:
        full = alchemy(tmp_path, *words)
        assert full.returncode == 1
        assert "No space left on device" in full.stderr
        assert full.stderr.count("\n") == 1
        subprocess.run(["mount", "-o", "remount,size=64m,nr_inodes=10000", disk], check=True)
        assert alchemy(tmp_path, *words).returncode == 0
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.slow
def test_force_measures_again_and_a_job_comes_out_again(tmp_path, capsys):
    words = [word for word in SWEEP if word not in ("-m", "seed=0,1", "model.width=8,16")] + ["model.width=8"]
    done = alchemy(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "outputs" / "cells").glob("*/*.json")}
    assert kept
    again = alchemy(tmp_path, *words, "force=true")
    assert table(tmp_path, again) == table(tmp_path, done)
    assert all(path.stat().st_mtime_ns > written for path, written in kept.items())
    folder = (tmp_path / done.stdout.splitlines()[-1]).parent
    facts = read_json(folder / "run.json")
    assert {"versions", "commit", "dirty", "machine", "began_at", "settings", "seed"} <= set(facts)
    assert word("rerun")([str(folder)]) == 0
    assert capsys.readouterr().out.endswith("numbers are the same again\n")
    number = facts["records"]["lines"]
    change_records(folder, lambda text: re.sub(r'"value": [^,]*', '"value": 0.123', text, count=1))
    assert word("rerun")([str(folder)]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[0].endswith(f"1 of {number} numbers differ")
    assert "nothing else is known to have changed" in said
    (folder / ".hydra" / "config.yaml").write_text("seed: 7\n")
    assert word("rerun")([str(folder)]) == 1
    assert "config.yaml has changed since it was written: run that job again" in capsys.readouterr().err
    assert word("rerun")(["nowhere"]) == 1
    assert "nowhere holds no finished job" in capsys.readouterr().err


def test_every_job_has_one_answer_or_one_end():
    jobs = [1, "die", 2, "leave", 3, "raise"]
    came = {number: (value, lost) for number, value, lost in spread(answer, jobs, 2)}
    assert [came[number][0] for number in range(6)] == [2, None, 4, None, 6, None]
    assert [bool(came[number][1]) for number in range(6)] == [False, True, False, True, False, True]
    assert "exit code 7" in came[3][1]
    assert came[5][1] == "no such job"


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "cell.json", "training.safetensors"])
@pytest.mark.parametrize("harm", ["cut", "flip", "pickle", "header"])
def test_what_is_damaged_is_never_used(tmp_path, name, harm):
    """In every store: the same command gives the same numbers, and no code of a file is run."""
    words = [word for word in SWEEP if word not in ("-m", "seed=0,1", "model.width=8,16")] + ["model.width=8"]
    done = alchemy(tmp_path, *words)
    rng = random.Random(f"{name} {harm}")
    [path] = [
        path
        for path in (tmp_path / "outputs").rglob("*.json" if name == "cell.json" else "model.*")
        if (
            path.parent.parent.name == "cells"
            if name == "cell.json"
            else path.name == name.replace("training", "model")
        )
    ][:1]
    if name.startswith("training"):  # as if stopped while it trained
        home = path.parent
        path = home.with_name(f".{home.name}.partial") / name
        path.parent.mkdir()
        path.write_bytes((home / "model.safetensors").read_bytes())
        path.with_suffix(".json").write_text(json.dumps({"sha256": "0" * 64, "checks": []}))
        for file in home.iterdir():
            file.unlink()
        home.rmdir()
    content = bytearray(path.read_bytes())
    if harm == "cut":
        content = content[: rng.randrange(len(content))]
    elif harm == "flip":
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif harm == "pickle":
        content = bytearray(pickle.dumps(Trap()))
    else:
        content = bytearray(b"\xff" * 7 + b"\x7f" + b'{"__metadata__":{}}')
    path.write_bytes(content)
    again = alchemy(tmp_path, *words)
    assert again.returncode == 0, again.stderr
    assert table(tmp_path, again) == table(tmp_path, done)
    assert not list(tmp_path.rglob("trapped"))


WORDS = [
    "0",
    "-1",
    "null",
    "true",
    "nan",
    "inf",
    "''",
    "[]",
    "[0,0]",
    "{}",
    "x",
    "1e400",
    "/",
    "..",
    "ß",
    "[",
    "a=b",
    "${",
]
KEYS = [
    "seed",
    "workers",
    "name",
    "tokens",
    "precision",
    "device",
    "output",
    "force",
    "launcher",
    "nowhere",
    "shift.axis",
]
KEYS += ["task", "task.length", "task.rules", "task.training", "task.cot", "model", "model.width", "model.positions"]
KEYS += ["train", "train.batch", "train.betas", "train.loss", "train.padding", "study", "study.count", "shift"]
KEYS += ["shift.levels", "shift.kind", "shift.domain", "shift.grid", "model.context", "study.temperature", "threads"]


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, 5))])
def test_bad_settings_are_answered_in_one_sentence(part):
    """A hundred in each part, but thirty in the first."""
    rng = stream(part, "mistakes")
    refused = 0
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        for _ in range(100 if part else 30):
            pairs = [(rng.choice(KEYS), rng.choice(WORDS)) for _ in range(rng.integers(1, 3))]
            words = [f"{rng.choice(['', '', '', '+', '~'])}{key}={value}" for key, value in pairs]
            try:
                plan(compose("config", words))
            except (ValueError, OSError, HydraException, OmegaConfBaseException, TypeError) as error:
                said = explain(error)
                assert "\n" not in said, words
                assert 10 < len(said) < 600, words
                assert not re.match(r"[A-Z]\w+: ", said), f"{words}: {said}"
                refused += 1
            except Exception as error:
                pytest.fail(f"{words}: {type(error).__name__}: {error}")
    assert refused > (60 if part else 18)
