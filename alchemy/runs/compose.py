"""Composes settings in this process, as the command does: in a notebook, in a test, inside a Hydra app."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir, version
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from alchemy.runs.mistakes import explain
from alchemy.runs.plan import Plan, plan
from alchemy.runs.settings import CONF, VERSION, audit, words_of


def compose_plan(words: Iterable[str], config_dir: str | Path | None = None) -> Plan:
    """Returns the checked plan of one job; nothing is trained and nothing is written.

    `words` and `config_dir` are those of `compose_settings`. Raises ValueError with the sentence that the command would
    print, or, with HYDRA_FULL_ERROR=1 in the environment, the error that it comes from.
    """
    try:
        return plan(compose_settings(words, config_dir))
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise ValueError(explain(error)) from None


def compose_settings(words: Iterable[str], config_dir: str | Path | None = None) -> DictConfig:
    """Returns the settings of one job: those of conf/, changed by `words` such as "task=cipher" or "seed=1".

    Hydra's own settings are left out. `config_dir` is a folder of the user's own options, laid out like conf/. An
    experiment that sweeps gives the job of its defaults. Raises ValueError if there is no such folder, and Hydra's
    errors for words that it cannot follow.

    >>> compose_settings(["model=gpt", "seed=1", "study.count=50"]).study.count
    50
    """
    words = [*words, *searched(config_dir)]
    with hydra_apart(), initialize_config_dir(config_dir=str(CONF), version_base=VERSION):
        return compose("config", words)


def compose_sweep(words: Iterable[str], config_dir: str | Path | None = None) -> list[DictConfig]:
    """Returns the settings of all jobs of a sweep, Hydra's own included, in the order of their numbers.

    `words` are what would be typed for the sweep, without -m; without anything swept they are one job. `config_dir` is
    that of `compose_settings`. Raises ValueError for a sweeper whose jobs are not known before they are run, and
    Hydra's errors for words that it cannot follow.
    """
    words = [*words, *searched(config_dir)]
    with hydra_apart(), initialize_config_dir(config_dir=str(CONF), version_base=VERSION):
        app = GlobalHydra.instance().hydra
        assert app is not None
        cfg = app.compose_config("config", words, RunMode.MULTIRUN)
        HydraConfig.instance().set_config(cfg)  # settings may refer to Hydra's
        audit(cfg)
        context = HydraContext(app.config_loader, Callbacks())
        sweeper = Plugins.instance().instantiate_sweeper(config=cfg, hydra_context=context, task_function=no_job)
        if not (planned := getattr(sweeper, "planned", None)):
            raise ValueError("this sweeper chooses its jobs while they run: leave hydra/sweeper as it is in conf/")
        return list(planned(words_of(cfg.hydra)))


def no_job(_: DictConfig) -> None:
    """Raises AssertionError, since a sweep that is composed is not run."""
    raise AssertionError("a sweep that is only composed runs no job")


def searched(config_dir: str | Path | None) -> list[str]:
    """Returns the setting that has Hydra look for options in a folder. Raises ValueError if it is none."""
    if config_dir is None:
        return []
    if not Path(config_dir).is_dir():
        raise ValueError(f"config_dir={config_dir} is no folder: name that of your own options")
    place = str(Path(config_dir).absolute()).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{place}']"]


@contextmanager
def hydra_apart() -> Iterator[None]:
    """Clears Hydra's global state within, as a running app keeps another from being composed, and puts it back."""
    held, base, own = GlobalHydra.instance().hydra, version.getbase(), HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = held, own
        version.VersionBase.instance().version_base = base
