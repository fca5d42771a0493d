"""Checks that a configuration has only settings that the lab or Hydra reads, before any of them is used.

On the command line Hydra refuses a key that does not exist. In files, and after a +, it takes any; this module refuses
those too. A key of the user's own is accepted where another setting refers to it (${mine}), or where it has a _target_.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alchemy.data.kinds import check
from alchemy.data.shift import AXES
from alchemy.runs.hydra_settings import of_hydra
from alchemy.runs.targets import first_line, plain, unknown, within

VERSION = "1.3"  # of Hydra's behaviour
HERE = Path(__file__).resolve().parent.parent  # the package
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a checkout
BUILT = ("task", "model", "train", "study")  # groups that build an object: alchemy.runs.targets checks them
GLOBAL = ("experiment", "arm", "launcher")  # groups whose options change settings outside of the group
SEVERAL = re.compile(r"\+*(experiment|arm)=\[.*,.*\]")
REFERRED = re.compile(r"\$\{\s*(?:oc\.select:\s*)?(\w+)")


@cache
def own() -> dict[str, Any]:
    """Returns the settings of conf/config.yaml, without its groups and Hydra's own."""
    settings = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items() if name not in ("defaults", "hydra")}


def audit(cfg: DictConfig) -> None:
    """Checks a composed configuration. Raises ValueError, naming the setting to change.

    Nothing is called, and nothing is imported except a callback that the user has added.
    """
    if "hydra" in cfg:
        of_hydra(cfg)
    placed(cfg)
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    referred = set(REFERRED.findall(str(raw)))
    known = (*own(), *BUILT, "predictions", *GLOBAL)
    if lacking := [name for name in own() if name not in cfg]:
        raise ValueError(f"{lacking[0]} cannot be left out: set it, or leave it as it is")
    if lacking := [name for name in own()["shift"] if OmegaConf.is_dict(cfg.shift) and name not in cfg.shift]:
        raise ValueError(f"shift.{lacking[0]} cannot be left out: set it, or leave it as it is")
    for word in words_of(cfg.hydra) if "hydra" in cfg else ():
        if SEVERAL.fullmatch(word):
            raise ValueError(f"{word} names several: run them one at a time")
    for key in (str(key) for key in cfg if key != "hydra"):
        value = resolved(cfg, key)
        mine = isinstance(value, Mapping) and "_target_" in value and not get_close_matches(key, known, cutoff=0.8)
        if key not in known and key not in referred and not mine:
            raise ValueError(unknown(key, settings_known(), "python -m alchemy --cfg job lists them all"))
        if key not in BUILT and key in known:
            plain(key, value)
    within("shift", resolved(cfg, "shift"), own()["shift"], "settings, as in conf/config.yaml")
    check("shift.own", mine := resolved(cfg, "shift.own"), dict[str, str])
    within("shift.grid", resolved(cfg, "shift.grid"), (*AXES, *mine))
    if (minutes := resolved(cfg, "minutes")) is not None:
        within("minutes", minutes, ("model", "job"), "minutes of a core, such as {model: 3, job: 1}, or null")
        for name in ("model", "job"):
            check(f"minutes.{name}", minutes.get(name), float)


def words_of(hydra: Any) -> list[str]:
    """Returns the settings typed for this job, as they were typed."""
    words: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return [str(word) for word in words]


def placed(cfg: DictConfig) -> None:
    """Raises ValueError for an option of GLOBAL whose settings stand under the name of its group, and so do nothing."""
    choices = cfg.hydra.runtime.choices if "hydra" in cfg else {}
    for group in GLOBAL:
        node = OmegaConf.to_container(cfg[group]) if OmegaConf.is_dict(cfg.get(group)) else cfg.get(group)
        if node:
            raise ValueError(
                f"{group}={choices.get(group)} sets nothing where it stands: the first line of that file must be "
                "# @package _global_"
            )


def resolved(cfg: DictConfig, path: str) -> Any:
    """Returns the setting at `path` with its references resolved. Raises ValueError for one that cannot be."""
    try:
        value = OmegaConf.select(cfg, path, throw_on_missing=True)
        return (
            OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if OmegaConf.is_config(value) else value
        )
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key or path} has no value ({first_line(error)}): set it") from None
    except RecursionError:
        raise ValueError(f"{path} refers to itself: set it to a value") from None


@cache
def settings_known() -> tuple[str, ...]:
    """Returns the dotted names of all settings of conf/, and of its groups."""
    files = sorted(CONF.glob("*/*.yaml"))
    groups = dict.fromkeys(path.parent.name for path in files)
    return (*groups, *(key for path in (*files, CONF / "config.yaml") for key in keys(path)))


def keys(path: Path) -> list[str]:
    """Returns the dotted names of all settings in one file of conf/."""
    group = "" if path.parent == CONF else f"{path.parent.name}."

    def walk(node: object, prefix: str) -> list[str]:
        if not isinstance(node, dict):
            return [prefix]
        return [name for key, value in node.items() for name in walk(value, f"{prefix}.{key}" if prefix else str(key))]

    return [group + name for name in walk(OmegaConf.to_container(OmegaConf.load(path)), "")]
