"""Whether a whole configuration says only what the lab, or Hydra, reads: checked before anything of it is used.

On the command line Hydra refuses a key that there is not. In files, and after a +, it takes any; here those are refused
too. A key of the user's own is taken where something refers to it (${mine}), or where it names what is to be built.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alchemy.kinds import check, shown
from alchemy.shift import AXES
from alchemy.targets import SPECIAL, imported, plain, unknown

VERSION = "1.3"  # of Hydra's behaviour
HERE = Path(__file__).resolve().parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a checkout
BUILT = ("task", "model", "train", "study")  # groups that are objects: alchemy.targets checks them
GLOBAL = ("experiment", "arm", "launcher")  # groups whose options set what stands elsewhere
FINISH = "alchemy.sweep.Finish"  # the callback that ends a sweep in its table
PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")
REFERRED = re.compile(r"\$\{\s*(?:oc\.select:\s*)?(\w+)")


@cache
def own() -> dict[str, Any]:
    """The settings of conf/config.yaml, but for its groups and Hydra's."""
    settings = OmegaConf.to_container(OmegaConf.load(CONF / "config.yaml"))
    assert isinstance(settings, dict)
    return {str(name): value for name, value in settings.items() if name not in ("defaults", "hydra")}


def audit(cfg: DictConfig) -> None:
    """Checks a composed configuration. Raises ValueError, naming the setting to change; nothing is imported or called
    but a callback that the user has added.
    """
    if "hydra" in cfg:
        of_hydra(cfg)
    placed(cfg)
    raw = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(raw, dict)
    referred = set(REFERRED.findall(str(raw)))
    known = (*own(), *BUILT, "predictions", *GLOBAL)
    for key in (str(key) for key in cfg if key != "hydra"):
        value = resolved(cfg, key)
        mine = isinstance(value, Mapping) and "_target_" in value and not get_close_matches(key, known, cutoff=0.8)
        if key not in known and key not in referred and not mine:
            raise ValueError(unknown(key, settings_known(), "python -m alchemy --cfg job lists them all"))
        if key not in BUILT and key in known:
            plain(key, value)
    within("shift", resolved(cfg, "shift"), own()["shift"])
    within("shift.grid", resolved(cfg, "shift.grid"), AXES)
    if (minutes := resolved(cfg, "minutes")) is not None:
        within("minutes", minutes, ("model", "job"), "minutes of a core, such as {model: 3, job: 1}, or null")
        for name in ("model", "job"):
            check(f"minutes.{name}", minutes.get(name), float)


def of_hydra(cfg: DictConfig) -> None:
    """What the lab asks of Hydra's own settings. Raises ValueError."""
    hydra = cfg.hydra
    if hydra.job.chdir:
        raise ValueError(
            "hydra.job.chdir=true would keep models and cells in the job's own folder: leave it out, and name another "
            "place for all with output=DIR"
        )
    if hydra.output_subdir != ".hydra":
        raise ValueError(
            f"hydra.output_subdir={hydra.output_subdir} leaves a run without its settings in .hydra, by which it is "
            "known again: leave it out"
        )
    for name, folder in (("run.dir", hydra.run), ("sweep.dir", hydra.sweep)):
        try:
            str(folder.dir)
        except OmegaConfBaseException as error:
            raise ValueError(f"hydra.{name} cannot be resolved ({first_line(error)}): correct it") from None
    if OmegaConf.to_container(hydra.sweep, resolve=False)["subdir"] != "${hydra.job.num}":  # type: ignore[index, call-overload]
        raise ValueError(
            "hydra.sweep.subdir cannot be changed: jobs are known by their numbers, and run.json has each one's "
            "settings; leave it out, and name the sweep's folder with hydra.sweep.dir=DIR"
        )
    callbacks = OmegaConf.to_container(hydra.callbacks) if OmegaConf.is_dict(hydra.callbacks) else {}
    assert isinstance(callbacks, dict)
    if callbacks.get("finish") != {"_target_": FINISH}:
        raise ValueError("hydra.callbacks.finish ends a run in its table and pictures: leave it as it is")
    for key, settings in callbacks.items():
        path = f"hydra.callbacks.{key!s}"
        if key == "finish":
            continue
        if not isinstance(settings, dict) or not is_callback(settings.get("_target_")):
            raise ValueError(f"{path}={shown(settings)} must be settings whose _target_ is a Callback of Hydra")
        plain(path, {name: value for name, value in settings.items() if name != "_target_"})
    for kind in ("launcher", "sweeper"):
        plugin(f"hydra.{kind}", OmegaConf.to_container(hydra[kind]) if OmegaConf.is_dict(hydra[kind]) else None)


def is_callback(name: Any) -> bool:
    try:
        target = imported(str(name))
    except Exception:  # whatever an import of the user's own leads to
        return False
    return isinstance(target, type) and issubclass(target, Callback)


def plugin(path: str, settings: Any) -> None:
    """Raises ValueError if what Hydra is to build here is no plugin of its own, or would build something else."""
    if not isinstance(settings, dict) or not str(settings.get("_target_")).startswith(PLUGINS):
        raise ValueError(f"{path}={shown(settings)} is no plugin of Hydra: leave it out, or name one by its option")
    its = {key: value for key, value in settings.items() if key != "_target_"}
    if isinstance(sampler := its.get("sampler"), dict) and str(sampler.get("_target_")).startswith("optuna.samplers."):
        its["sampler"] = {key: value for key, value in sampler.items() if key != "_target_"}
    plain(path, its)


def placed(cfg: DictConfig) -> None:
    """Raises ValueError for an option whose settings have landed under the name of its group."""
    choices = cfg.hydra.runtime.choices if "hydra" in cfg else {}
    for group in GLOBAL:
        node = OmegaConf.to_container(cfg[group]) if OmegaConf.is_dict(cfg.get(group)) else cfg.get(group)
        if node:
            raise ValueError(
                f"{group}={choices.get(group)} sets nothing where it stands: the first line of that file must be "
                "# @package _global_"
            )


def resolved(cfg: DictConfig, path: str) -> Any:
    """The setting at `path`, with all that it refers to. Raises ValueError if it refers to what there is not."""
    try:
        value = OmegaConf.select(cfg, path, throw_on_missing=True)
        return (
            OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if OmegaConf.is_config(value) else value
        )
    except OmegaConfBaseException as error:
        raise ValueError(f"{error.full_key or path} has no value ({first_line(error)}): set it") from None
    except RecursionError:
        raise ValueError(f"{path} refers to itself: set it to a value") from None


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def within(path: str, settings: Any, known: Any, what: str = "") -> None:
    """Raises ValueError for settings under `path` that are none of the `known` ones."""
    if not isinstance(settings, Mapping):
        if what:
            raise ValueError(f"{path}={shown(settings)} must be {what}")
        return
    for name in settings:
        if name in SPECIAL or name not in known:
            raise ValueError(unknown(f"{path}.{name}", [f"{path}.{one}" for one in known], f"use {', '.join(known)}"))


@cache
def settings_known() -> tuple[str, ...]:
    """Dotted names of all settings of conf/, and its groups."""
    files = sorted(CONF.glob("*/*.yaml"))
    groups = dict.fromkeys(path.parent.name for path in files)
    return (*groups, *(key for path in (*files, CONF / "config.yaml") for key in keys(path)))


def keys(path: Path) -> list[str]:
    """Dotted names of all settings in one file of conf/."""
    group = "" if path.parent == CONF else f"{path.parent.name}."

    def walk(node: object, prefix: str) -> list[str]:
        if not isinstance(node, dict):
            return [prefix]
        return [name for key, value in node.items() for name in walk(value, f"{prefix}.{key}" if prefix else str(key))]

    return [group + name for name in walk(OmegaConf.to_container(OmegaConf.load(path)), "")]
