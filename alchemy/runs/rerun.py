"""Reproduces a result: `python -m alchemy rerun outputs/NAME/TIME[/JOB]` trains and measures it again, elsewhere.

Prints that every number is the same, bit for bit, or which ones differ and what else has changed since, with exit code
1. No target that the folder names is called unless an option of conf/, or of --config-dir, names it too.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from alchemy.errors import Parser, sentence
from alchemy.results.digests import sha256
from alchemy.results.jobs import job_of
from alchemy.results.provenance import provenance
from alchemy.runs.job import work
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from alchemy.runs.targets import named_in

SHOWN = 5  # numbers that differ, printed at most


def main(words: list[str]) -> int:
    """Runs the subcommand `rerun`, and returns its exit code: 0 if the numbers are the same."""
    parser = Parser("rerun", "Does a result come out again?", "outputs/NAME/TIME/JOB")
    parser.add_argument("folder", type=Path, help="outputs/NAME/TIME, or one job of a sweep, outputs/NAME/TIME/JOB")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own options, if the job used them")
    chosen = parser.parse_args(words)
    if chosen.config_dir and not chosen.config_dir.is_dir():
        raise ValueError(f"--config-dir {chosen.config_dir} is no folder: name that of your own options")
    said = compare(chosen.folder, named_in(CONF, *filter(None, [chosen.config_dir])))
    print("\n".join(said))
    return int(len(said) > 1)


def compare(folder: Path, known: Iterable[str]) -> list[str]:
    """Runs the job in `folder` again, and returns one line if its numbers are the same, else several on what differs.

    `known` are the targets that the job may name. Raises ValueError if the folder holds no finished job, or if its
    settings have changed since they were written.
    """
    run = job_of(folder)
    if run.get("status") != "ok":
        reason = run.get("error", "there is no run.json")
        raise ValueError(f"{folder} holds no finished job ({reason}): name a folder with records.jsonl")
    cfg = settings_of(folder, run)
    before = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as elsewhere:
        cfg.output, cfg.track = elsewhere, "none"
        again = work(cfg, plan(cfg, known), Path(elsewhere), 0)
        after = (Path(elsewhere) / "records.jsonl").read_text(encoding="utf-8").splitlines()
    if before == after:
        return [f"{folder}: all {len(before)} numbers are the same again"]
    different = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
    number = len(different) + abs(len(before) - len(after))
    said = [f"{folder}: {number} of {len(before)} numbers differ"]
    said += [f"  before {old}\n  after  {new}" for old, new in different[:SHOWN]]
    return said + changes(run, again | provenance())


def settings_of(folder: Path, run: dict[str, Any]) -> DictConfig:
    """Returns the settings that a job ran with. Raises ValueError if their file has changed or cannot be read."""
    path = folder / ".hydra" / "config.yaml"
    try:
        same = sha256(path) == run.get("config")
        cfg = OmegaConf.load(path) if same else None
    except Exception as error:  # a garbled file may raise anything
        raise ValueError(f"{path} cannot be read ({sentence(error)}): run that job again") from None
    if not isinstance(cfg, DictConfig):
        raise ValueError(f"{path} has changed since it was written: run that job again")
    cfg.setdefault("slots", None)  # which runs of before stacks do not have
    return cfg


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Returns a line on each other thing that has changed: settings and code, versions, commit, machine."""
    names = ("settings", "sha256", "versions", "commit", "dirty", "machine")
    return [
        f"  {name}: {before.get(name)} before, {after.get(name)} now"
        for name in names
        if before.get(name) != after.get(name)
    ] or ["  nothing else is known to have changed"]
