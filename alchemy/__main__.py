"""`python -m alchemy`: compose the configuration, run one job or a sweep of them, and draw what came out."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported; a second thread slows small models

import hydra
from hydra._internal import hydra as machinery
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log
from omegaconf import DictConfig

from alchemy.runs.mistakes import explain
from alchemy.runs.settings import CONF, VERSION, audit


class Audited(machinery.Hydra):
    """Hydra, but that what a run or sweep was composed of is checked before anything of it is used."""

    def compose_config(self, *words: Any, **more: Any) -> DictConfig:
        runs = more.pop("with_log_configuration", False)  # not for --cfg and --help
        cfg = super().compose_config(*words, **more)
        if runs:
            HydraConfig.instance().set_config(cfg)  # for what refers to it
            audit(cfg)
            configure_log(cfg.hydra.hydra_logging, cfg.hydra.verbose)
        return cfg


@hydra.main(version_base=VERSION, config_path=str(CONF), config_name="config")
def entry(cfg: DictConfig) -> float:
    from alchemy.runs.job import job

    return job(cfg)


def main() -> None:
    """The command `alchemy`; every failure is one sentence on stderr and an exit code other than 0."""
    if sys.argv[1:2] == ["rerun"]:
        from alchemy.runs.rerun import main as rerun

        sys.exit(rerun(sys.argv[2:]))
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a trace on the screen
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's way to say Ctrl-C
    tracing = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us
    vars(machinery)["Hydra"] = Audited  # Hydra has no other way to look at a configuration first
    try:
        look_at(sys.argv[1:])
        entry()
    except KeyboardInterrupt as stop:
        done = f" with {stop}" if str(stop) else ""
        sys.exit(f"alchemy: stopped{done}; models and measured cells are kept, the same command goes on from there")
    except Exception as error:
        if tracing:
            raise
        sys.exit(f"alchemy: {explain(error)}")


def look_at(words: list[str]) -> None:
    """Raises ValueError for options of the command that Hydra does not have, or that the lab does not follow."""
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ValueError(f"{message}: python -m alchemy --help shows how to write it")

    parser.error = refuse  # type: ignore[method-assign]
    chosen = parser.parse_args(words)
    if chosen.config_dir and (Path(chosen.config_dir) / "config.yaml").exists():
        raise ValueError(
            f"{chosen.config_dir}/config.yaml is never read: own options go into a group's folder, such as "
            f"{chosen.config_dir}/experiment/mine.yaml, which experiment=mine chooses"
        )
    if chosen.experimental_rerun:
        raise ValueError("--experimental-rerun would run a pickle: use python -m alchemy rerun outputs/NAME/TIME")


if __name__ == "__main__":
    main()
