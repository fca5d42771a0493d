"""Origin of a number: package versions, commit, machine and time."""

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "numba", "hydra-core", "rapidfuzz", "sacrebleu")
HERE = Path(__file__).resolve().parent.parent.parent


def provenance() -> dict[str, Any]:
    """Entries of run.json about the code, the machine and the present time (UTC)."""
    return {"began_at": now(), **code(), **machine()}


def now() -> str:
    """Present time (UTC), to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def code() -> dict[str, Any]:
    """Package versions, and the commit of the checkout.

    `dirty` says whether tracked files differ from the commit. Both are None if there is no checkout.
    """
    commit = git("rev-parse", "HEAD") if (HERE / ".git").exists() else None
    changed = git("status", "--porcelain", "--untracked-files=no") if commit else None
    versions = {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
    return {"versions": versions, "commit": commit, "dirty": bool(changed) if commit else None}


def machine() -> dict[str, Any]:
    """Host name, processor and number of cores."""
    return {"machine": {"host": platform.node(), "processor": processor(), "cores": os.cpu_count()}}


def processor() -> str:
    """Name of the processor, as far as the system reports it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def unsaved(paths: Iterable[str], at: Path = HERE) -> list[str]:
    """Files below these paths of the repository at `at` that differ from its commit, or that no commit has.

    Raises ValueError if git cannot tell.
    """
    lines = git("status", "--porcelain", "--untracked-files=all", "--", *paths, at=at)
    if lines is None:
        raise ValueError(f"git status of {at} fails, so nobody can tell what has changed there: mend that")
    return [line.split(maxsplit=1)[1] for line in lines.splitlines()]


def git(*words: str, at: Path = HERE) -> str | None:
    """Output of a git command in this checkout, or in the one at `at`; None if the command fails."""
    try:
        done = subprocess.run(["git", "-C", at, *words], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
