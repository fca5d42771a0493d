"""Checks Hydra's own settings, before Hydra builds or calls anything that they name."""

import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields
from logging.config import DictConfigurator
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alchemy.data.kinds import quoted
from alchemy.runs.targets import first_line, imported, plain, unknown, within

FINISH = "alchemy.runs.Finish"  # the callback that ends a sweep in its table
PACKED = "hydra_plugins.packed.launcher.PackedLauncher"
ENGINES = ("local", "slurm", "ray")
PLUGINS = ("hydra_plugins.", "hydra._internal.core_plugins.")
LOGGING = ("version", "formatters", "filters", "handlers", "loggers", "root", "disable_existing_loggers", "incremental")


def of_hydra(cfg: DictConfig) -> None:
    """Raises ValueError if one of Hydra's own settings cannot be used, naming the setting to change."""
    hydra = cfg.hydra
    known = [f"hydra.{name}" for name in (*(field.name for field in fields(HydraConf)), "env")]
    if strange := sorted({f"hydra.{name}" for name in hydra} - set(known)):
        raise ValueError(unknown(strange[0], known, "leave it out"))
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
    if "/" in hydra.job.name:
        raise ValueError(f"hydra.job.name={quoted(hydra.job.name)} names the log file: leave / out of it")
    if not isinstance(hydra.verbose, bool | str) and not OmegaConf.is_list(hydra.verbose):
        raise ValueError(f"hydra.verbose={quoted(hydra.verbose)} must be true, false, or names of loggers")
    if lacking := [name for name in hydra.job.env_copy if name not in os.environ]:
        raise ValueError(
            f"hydra.job.env_copy names {quoted(lacking[0])}, which is not in the environment: leave it out"
        )
    folders(hydra)
    for name in ("hydra_logging", "job_logging"):
        if OmegaConf.is_dict(hydra[name]):
            logs(f"hydra.{name}", OmegaConf.to_container(hydra[name]))
    callbacks(OmegaConf.to_container(hydra.callbacks) if OmegaConf.is_dict(hydra.callbacks) else {})
    for kind in ("launcher", "sweeper"):
        plugin(f"hydra.{kind}", OmegaConf.to_container(hydra[kind]) if OmegaConf.is_dict(hydra[kind]) else None)


def folders(hydra: DictConfig) -> None:
    """Raises ValueError for folders of a run, of a sweep or of options that cannot be used."""
    for name, folder in (("run.dir", hydra.run), ("sweep.dir", hydra.sweep)):
        try:
            where = str(folder.dir)
        except OmegaConfBaseException as error:
            raise ValueError(f"hydra.{name} cannot be resolved ({first_line(error)}): correct it") from None
        if "${" in where or not where:
            raise ValueError(f"hydra.{name}={quoted(where)} cannot name a folder: correct it")
    sweep: Any = OmegaConf.to_container(hydra.sweep, resolve=False)
    if sweep["subdir"] != "${hydra.job.num}":
        raise ValueError(
            "hydra.sweep.subdir cannot be changed: jobs are known by their numbers, and run.json has each one's "
            "settings; leave it out, and name the sweep's folder with hydra.sweep.dir=DIR"
        )
    for place in hydra.searchpath:
        if str(place).startswith("file://") and not Path(str(place).removeprefix("file://")).is_dir():
            raise ValueError(f"hydra.searchpath names {quoted(place)}, which is no folder: correct it")


def callbacks(settings: Any) -> None:
    """Raises ValueError if the lab's own callback is missing or changed, or another one is no Callback of Hydra."""
    if settings.get("finish") != {"_target_": FINISH}:
        raise ValueError("hydra.callbacks.finish ends a run in its table and pictures: leave it as it is")
    for name, its in settings.items():
        if name == "finish":
            continue
        path = f"hydra.callbacks.{name}"
        if not isinstance(its, dict) or not is_callback(its.get("_target_")):
            raise ValueError(f"{path}={quoted(its)} must be settings whose _target_ is a Callback of Hydra")
        plain(path, {key: value for key, value in its.items() if key != "_target_"})


def logs(path: str, settings: Any) -> None:
    """Raises ValueError if these settings cannot set up logging, or name other classes than those of logging."""
    within(path, settings, LOGGING)
    within(f"{path}.root", settings.get("root", {}), ("level", "handlers", "filters", "propagate"))
    for name, its in pieces(settings):
        if name == "()" or (name == "class" and not str(its).startswith(("logging.", "colorlog."))):
            raise ValueError(f"{path} would call {quoted(its)}: only the classes of logging may be named there")
    dry = deepcopy(settings)
    for handler in (dry.get("handlers") or {}).values() if isinstance(dry.get("handlers", {}), dict) else ():
        if isinstance(handler, dict) and "filename" in handler:
            handler.pop("filename")
            handler.pop("mode", None)
            handler["class"] = "logging.NullHandler"
    if "${" in str(dry):  # a value that is only known later
        return
    try:
        DictConfigurator(dry | {"incremental": False}).configure()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} cannot be set up ({first_line(error)}): correct it, or leave it out") from None


def pieces(settings: Any) -> Iterator[tuple[str, Any]]:
    """Yields every name and value in settings, at any depth."""
    inner = (
        settings.items() if isinstance(settings, dict) else enumerate(settings) if isinstance(settings, list) else ()
    )
    for name, value in inner:
        yield str(name), value
        yield from pieces(value)


def is_callback(name: Any) -> bool:
    try:
        target = imported(str(name))
    except Exception:  # importing a module of the user's may raise anything
        return False
    return isinstance(target, type) and issubclass(target, Callback)


def plugin(path: str, settings: Any) -> None:
    """Raises ValueError if a launcher or sweeper is no plugin of Hydra, or its settings would build another object."""
    if not isinstance(settings, dict) or not str(settings.get("_target_")).startswith(PLUGINS):
        raise ValueError(f"{path}={quoted(settings)} is no plugin of Hydra: leave it out, or name one by its option")
    its = {key: value for key, value in settings.items() if key != "_target_"}
    if settings["_target_"] == PACKED:
        within(path, its, ("workers", "engine", "jobs_each", "requeues", "parameters"))
        if its.get("engine") not in ENGINES:
            raise ValueError(f"{path}.engine={quoted(its.get('engine'))} is unknown: use launcher=local, slurm or ray")
    if isinstance(sampler := its.get("sampler"), dict) and str(sampler.get("_target_")).startswith("optuna.samplers."):
        its["sampler"] = {key: value for key, value in sampler.items() if key != "_target_"}
    plain(path, its)
