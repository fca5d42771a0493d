"""The command as a process of its own."""

import csv
import os
import subprocess
import sys

from tests.helpers.worlds import ROOT

TINY = ["train.steps=4", "train.batch=8", "train.check_every=2", "train.check_problems=8"]
TINY += ["model.layers=1", "model.heads=2", "study.count=16", "shift.kind=[insert]"]


def environment():
    """Of a new process, which keeps the bytecode of what it imports: without it, each spends seconds on compiling."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT), "HYDRA_FULL_ERROR": ""}


def alchemy(folder, *words, module="alchemy", path=ROOT):
    """Runs the command in `folder` as a process of its own; `path` has the lab."""
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment() | {"PYTHONPATH": str(path)},
        timeout=600,
        check=False,
    )


def cells(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))
