"""Hydra's hooks: check a run before anything is written, and finish a run or sweep once its jobs have ended."""

import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from alchemy.errors import sentence
from alchemy.plan import plan


class Finish(Callback):
    """Hydra turns exceptions in hooks into warnings, but lets SystemExit through."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            plan(config)  # before Hydra makes a folder
        except (ValueError, OSError) as error:
            sys.exit(f"alchemy: {sentence(error)}")

    def on_run_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.run.dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.sweep.dir))


def close(folder: Path) -> None:
    """Finishes a folder, and leaves with its exit code if anything failed."""
    from alchemy.figures import finish  # drawing takes seconds to import: not in a training process

    if status := finish(folder):
        sys.exit(status)
