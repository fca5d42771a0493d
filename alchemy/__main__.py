"""`python -m alchemy`: compose the configuration, run one job or a sweep of them, and draw what came out."""

import difflib
import logging
import os
import re
import signal
import sys
import traceback
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported; a second thread slows small models

import hydra
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from alchemy.plan import CONF, VERSION


@hydra.main(version_base=VERSION, config_path=str(CONF), config_name="config")
def entry(cfg: DictConfig) -> float:
    from alchemy.run import job

    return job(cfg)


def main() -> None:
    """The command `alchemy`; every failure is one sentence on stderr and an exit code other than 0."""
    if sys.argv[1:2] == ["rerun"]:
        from alchemy.rerun import main as rerun

        return rerun(sys.argv[2:])
    logging.raiseExceptions = False  # a log that cannot be written is no reason for a trace on the screen
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's way to say Ctrl-C
    tracing = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors through to us
    try:
        entry()
    except KeyboardInterrupt as stop:
        done = f" with {stop}" if str(stop) else ""
        sys.exit(f"alchemy: stopped{done}; models and measured cells are kept, the same command goes on from there")
    except Exception as error:
        if tracing:
            raise
        sys.exit(f"alchemy: {explain(error)}")


def explain(error: Exception) -> str:
    """One sentence that says what to change."""
    from alchemy.errors import sentence

    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.partition("/")
        options = ", ".join(error.options or ())
        return f"{group}={option} is not an option: use {group}= with one of {options or 'the files in conf/' + group}"
    if isinstance(error, OverrideParseException):
        return f"{error.override!r} cannot be read: write it as key=value, such as seed=1 (lists as [1,2], no spaces)"
    if isinstance(error, ConfigCompositionException) and (found := re.search(r"override '([^'=]+)", str(error))):
        return unknown_setting(found.group(1), error)
    if found := re.match(r"Error merging override (\S+)", str(error)):
        return f"{found.group(1)} is of another kind than that setting: python -m alchemy --cfg job shows what it is"
    if "Config group override" in str(error) or (isinstance(error, TypeError) and in_hydra(error)):
        return "a group takes the name of one of its options, such as model=gpt: python -m alchemy --help lists them"
    if isinstance(error, HydraException | OmegaConfBaseException):
        return sentence(error)
    return sentence(error) if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {sentence(error)}"


def in_hydra(error: Exception) -> bool:
    """Whether an error arose in Hydra's own composing, which does not expect every value."""
    trace = traceback.extract_tb(error.__traceback__)
    return bool(trace) and "_internal" in trace[-1].filename


def unknown_setting(name: str, error: Exception) -> str:
    """Names the setting that was probably meant."""
    from alchemy.errors import sentence

    if "not in struct" not in str(error) + str(error.__cause__):
        return sentence(error.__cause__ or error)
    files = [*sorted(CONF.glob("*/*.yaml")), CONF / "config.yaml"]
    known = [path.parent.name for path in files[:-1]] + [key for path in files for key in keys(path)]
    group, _, last = name.rpartition(".")
    known = [key for key in known if key != name]  # a setting of another option
    siblings = [key for key in known if key.rpartition(".")[0] == group]
    near = difflib.get_close_matches(last, [key.rpartition(".")[2] for key in siblings], n=1, cutoff=0.6)
    near = [f"{group}.{near[0]}".lstrip(".")] if near else difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    meant = f"did you mean {near[0]}?" if near else "python -m alchemy --cfg job lists them all"
    return f"{name} is not a setting: {meant}"


def keys(path: Path) -> list[str]:
    """Dotted names of all settings in one file of conf/."""
    group = "" if path.parent == CONF else f"{path.parent.name}."

    def walk(node: object, prefix: str) -> list[str]:
        if not isinstance(node, dict):
            return [prefix]
        return [name for key, value in node.items() for name in walk(value, f"{prefix}.{key}" if prefix else str(key))]

    return [group + name for name in walk(OmegaConf.to_container(OmegaConf.load(path)), "")]


if __name__ == "__main__":
    main()
