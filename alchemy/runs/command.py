"""The command without a subcommand: composes the settings, runs one job or a sweep, and draws the results."""

import logging
import os
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal import hydra as machinery
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import DictConfig

from alchemy.errors import COMMAND
from alchemy.runs.completion import Completion
from alchemy.runs.settings import CONF, VERSION, audit
from alchemy.runs.words import misplaced, table


class Ours(machinery.Hydra):
    """Hydra, except that it checks the settings of a run or sweep before it uses any of them, and that its help and tab
    completion know the subcommands.
    """

    def compose_config(self, *words: Any, **more: Any) -> DictConfig:
        runs = more.pop("with_log_configuration", False)  # not for --cfg
        cfg = super().compose_config(*words, **more)
        if runs:
            HydraConfig.instance().set_config(cfg)  # settings may refer to Hydra's
            audit(cfg)
            configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
        return cfg

    def get_help(self, *words: Any, **more: Any) -> str:
        return super().get_help(*words, **more).replace("$WORDS", table())

    def shell_completion(self, config_name: str | None, overrides: list[str]) -> None:
        for word in overrides:
            what, _, shell = word.partition("=")
            if shell == "bash" and what in ("install", "uninstall", "query"):
                return Completion(self.config_loader).answer(what, config_name)
        return super().shell_completion(config_name, overrides)


@hydra.main(version_base=VERSION, config_path=str(CONF), config_name="config")
def entry(cfg: DictConfig) -> float:
    from alchemy.runs.job import job

    return job(cfg)


def run_with_hydra(words: list[str]) -> int:
    """Runs what the settings say and returns 0; exits with another code if a job failed."""
    logging.raiseExceptions = False  # no trace on the screen where a log cannot be written
    before = os.environ.get("HYDRA_FULL_ERROR", "")
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises errors, which it would print
    try:
        look_at(words)
        vars(machinery)["Hydra"] = Ours  # Hydra has no other way to check a configuration first
        entry()
    finally:
        os.environ["HYDRA_FULL_ERROR"] = before
    return 0


def look_at(words: list[str]) -> None:
    """Raises ValueError for command-line options that Hydra lacks or the lab does not support, and for any other word
    that is no setting.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}: {COMMAND} --help shows how to write it")

    parser.error = refuse  # type: ignore[method-assign]
    chosen = parser.parse_args(words)
    for typed in [] if chosen.shell_completion else chosen.overrides:
        if wrong := misplaced(typed):
            raise ValueError(wrong)
    if chosen.config_dir and (Path(chosen.config_dir) / "config.yaml").exists():
        raise ValueError(
            f"{chosen.config_dir}/config.yaml is never read: own options go into a group's folder, such as "
            f"{chosen.config_dir}/experiment/mine.yaml, which experiment=mine chooses"
        )
    if chosen.experimental_rerun:
        raise ValueError(f"--experimental-rerun would run a pickle: use {COMMAND} rerun outputs/NAME/TIME")
