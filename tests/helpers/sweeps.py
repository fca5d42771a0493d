"""A small sweep, and how to start, watch and look at it from outside."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.command import environment

SWEEP = ["-m", "seed=0,1", "model.width=8,16", "shift.axis=task", "shift.levels=[0,1]", "study.count=64"]
SWEEP += ["train.mark=null", "train.steps=120", "train.check_every=4", "train.check_problems=64", "model.heads=2"]
SWEEP += ["model.layers=1", "train.batch=32"]


def start(folder, *words, before=()):
    """The command, with words `before` it, in a process group of its own, as a shell starts it."""
    command = [*before, sys.executable, "-m", "alchemy", *words]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_interrupts,  # noqa: PLW1509 no threads here
    )  # fmt: skip


def heed_interrupts():
    """As a shell in the foreground starts a command; what runs in the background is told to ignore them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def workers(pid):
    """Ids of the worker processes of a sweep."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


def wait_for(found, seconds=180):
    end = time.monotonic() + seconds
    while not (it := found()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return it


def table(folder, done):
    return (folder / done.stdout.splitlines()[-1]).with_name("cells.csv").read_text()


def finished(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "models").glob("[!.]*/model.safetensors")}


def holders(lock):
    """Ids of the processes that hold a lock on a file, as the kernel has them."""
    number = str(lock.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(words[4]) for words in lines if words[1] != "->" and words[5].rpartition(":")[2] == number]
