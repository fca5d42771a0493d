"""Composes settings in this process, as the command does: in a notebook, in a test, inside a Hydra app."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir, version
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from alchemy.runs.mistakes import explain
from alchemy.runs.plan import Plan, plan
from alchemy.runs.settings import CONF, VERSION


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
    words = [*words]
    if config_dir is not None:
        if not Path(config_dir).is_dir():
            raise ValueError(f"config_dir={config_dir} is no folder: name that of your own options")
        place = str(Path(config_dir).absolute()).replace("\\", "\\\\").replace("'", "\\'")
        words.append(f"hydra.searchpath=['file://{place}']")
    with hydra_apart(), initialize_config_dir(config_dir=str(CONF), version_base=VERSION):
        return compose("config", words)


@contextmanager
def hydra_apart() -> Iterator[None]:
    """Clears Hydra's global state within, as a running app keeps another from being composed, and puts it back."""
    held, base = GlobalHydra.instance().hydra, version.getbase()
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = held
        version.VersionBase.instance().version_base = base
