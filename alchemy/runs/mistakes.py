"""Turns errors in composing, building or using a configuration into one sentence that says what to change."""

import re
import traceback

import yaml
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import OmegaConfBaseException

from alchemy.errors import sentence, shortened
from alchemy.runs import moved
from alchemy.runs.settings import settings_known
from alchemy.runs.targets import first_line, unknown


def explain(error: BaseException) -> str:
    """Returns one sentence that says what to change after this error."""
    if isinstance(error, InstantiationException) and error.__cause__:
        return explain(error.__cause__)
    if isinstance(error, yaml.YAMLError):
        return shortened(unreadable(error))
    if isinstance(error, RecursionError):
        return "a setting refers to itself, or is nested too deeply: correct it"
    if isinstance(error, UnicodeDecodeError):
        return "a file of options is not UTF-8: write it anew in that encoding"
    if said := of_composing(error):
        return shortened(said)
    if isinstance(error, OmegaConfBaseException):
        return shortened(f"{error.full_key or 'a setting'} cannot be used ({first_line(error)}): correct it")
    if isinstance(error, HydraException | OSError | MemoryError) or (
        isinstance(error, ValueError) and not (type(error) is ValueError and in_hydra(error))
    ):
        return sentence(error)
    if in_hydra(error):
        return shortened(f"these settings cannot be put together ({first_line(error)}): correct what you changed last")
    return shortened(f"{type(error).__name__}: {first_line(error)} (HYDRA_FULL_ERROR=1 shows where)")


def of_composing(error: BaseException) -> str:
    """Returns what to change where options and settings could not be composed; "" for any other error."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        file = error.missing_cfg_file.removesuffix(".yaml")
        if "/" not in file:
            return f"there is no configuration {file}: leave --config-name and --config-path out"
        group, _, option = file.rpartition("/") if file.startswith("hydra/") else file.partition("/")
        if now := moved.option(group, option):
            return now
        options = ", ".join(error.options or ()) or f"the files in conf/{group}"
        return f"{group}={option} is not an option: use {group}= with one of {options}"
    if found := re.match("Additional config directory '(.*)' not found", str(error)):
        return f"--config-dir {found.group(1)} is no folder: name that of your own options"
    if isinstance(error, OverrideParseException):
        what = f"{error.override!r} cannot be read"
        return f"{what}: write it as key=value, such as seed=1 (lists as [1,2], no spaces)"
    if isinstance(error, ConfigCompositionException) and not str(error) and error.__cause__:
        return f"a file of options cannot be used ({first_line(error.__cause__)}): correct it"
    if isinstance(error, ConfigCompositionException) and (found := re.search(r"override '([^'=]+)", str(error))):
        return unknown_setting(found.group(1), error)
    if found := re.match(r"Error merging override (\S+)", str(error)):
        return f"{found.group(1)} is of another kind than that setting: python -m alchemy --cfg job shows what it is"
    if found := re.match(r"In '(\S+)': \w+ raised while composing config:\s*(.*)", str(error), re.S):
        return in_file(*found.groups())
    if "Config group override" in str(error) or (isinstance(error, TypeError) and in_hydra(error)):
        return "a group takes the name of one of its options, such as model=gpt: python -m alchemy --help lists them"
    return ""


def unreadable(error: yaml.YAMLError) -> str:
    """Returns what is wrong with a file of options that is not valid YAML."""
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name} line {mark.line + 1}".strip() if mark else "a file of options"
    problem = getattr(error, "problem", None) or first_line(error)
    return f"{where} cannot be read as settings ({problem}): write it as name: value lines"


def in_file(option: str, problem: str) -> str:
    """Returns what is wrong with an option that Hydra could not merge; `problem` is Hydra's message."""
    if (key := re.search(r"full_key: (\S+)", problem)) and "not in" in problem:
        return f"{unknown(key.group(1), (), 'Hydra has no such setting')}: correct {option}.yaml"
    problem = problem.partition("\n")[0].replace("DictConfig", "settings by name").replace("ListConfig", "a list")
    return f"{option}.yaml cannot be used ({problem}): write it as the options of conf/ are written"


def in_hydra(error: BaseException) -> bool:
    """Whether an error was raised inside Hydra or OmegaConf, which do not expect every value."""
    trace = traceback.extract_tb(error.__traceback__)
    return bool(trace) and any(name in trace[-1].filename for name in ("_internal", "omegaconf"))


def unknown_setting(name: str, error: Exception) -> str:
    """Returns a sentence on a setting that does not exist, with the one that was probably meant."""
    if "not in struct" not in str(error) + str(error.__cause__):
        return sentence(error.__cause__ or error)
    if name == "shift.own" or name.startswith("shift.own."):
        return "an axis of your own is put in with a +, such as +shift.own.narrow=mine.shifts.narrow"
    return unknown(name, settings_known(), "python -m alchemy --cfg job lists them all")
