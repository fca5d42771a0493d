"""Hydra's hooks: check a run before anything is written, and finish a run or sweep once its jobs have ended."""

import shutil
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from alchemy.errors import sentence
from alchemy.plan import plan
from alchemy.records import job_folder, jobs


class Finish(Callback):
    """Hydra turns exceptions in hooks into warnings, but lets SystemExit through."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            plan(config)  # before Hydra makes a folder
        except Exception as error:
            sys.exit(f"alchemy: {sentence(error)}")
        refuse_used(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        refuse_used(Path(config.hydra.sweep.dir))

    def on_run_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.run.dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.sweep.dir))


def refuse_used(folder: Path) -> None:
    """Leaves if `folder` has files of something else, which a run would mix with its own."""
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(
            f"alchemy: {folder} holds files already: choose a new folder, or leave hydra.run.dir and sweep.dir out"
        )


def close(folder: Path) -> None:
    """Finishes a folder, and leaves with its exit code if anything failed; a run that never began leaves no files."""
    from alchemy.figures import finish  # drawing takes seconds to import: not in a training process

    status = finish(folder)
    runs = jobs(folder) if status else {}
    if runs and all(run.get("began") is False for run in runs.values()):
        for number in runs:
            home = job_folder(folder, number)
            shutil.rmtree(home / ".hydra", ignore_errors=True)
            for name in ("run.json", "alchemy.log"):
                (home / name).unlink(missing_ok=True)
            remove_if_empty(home)
        (folder / "multirun.yaml").unlink(missing_ok=True)
        remove_if_empty(folder)
    if status:
        sys.exit(status)


def remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
