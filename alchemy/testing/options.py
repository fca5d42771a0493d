"""Worlds and axes from files of options, with the settings that they have in a run."""

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from omegaconf import DictConfig

from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.runs.build import build, build_axes
from alchemy.runs.compose import compose_settings
from alchemy.runs.mistakes import explain
from alchemy.runs.settings import audit, resolved
from alchemy.testing.checks import laws_of, laws_of_shift
from alchemy.testing.law import Check

GROUPS = ("task", "experiment")  # groups whose options choose a world, or name axes of one's own


def world_of(path: str | PathLike[str]) -> Task:
    """Returns the world of a file of options, task/NAME.yaml or experiment/NAME.yaml in a folder laid out like conf/.

    Raises ValueError for a file that no run could use, with what to change.

    >>> from alchemy.runs.settings import CONF
    >>> world_of(CONF / "task" / "arithmetic.yaml").train.length
    4

    A world of one's own is checked as check_world(world_of("options/task/adding.yaml")).
    """
    return build("task", settings_with(Path(path)).task)


def laws_in(path: Path, learnable: bool = False) -> Iterator[tuple[str, Check]]:
    """Yields the laws for a file of options, by name, each with the function that checks it, as `laws_of` does.

    For task/NAME.yaml they are those of its world; for experiment/NAME.yaml those of the axes in its `shift.own`, in
    the world that it chooses. Raises ValueError, as `world_of`.
    """
    cfg = settings_with(path)
    task = build("task", cfg.task)
    if group_of(path).name == "task":
        yield from laws_of(task, learnable=learnable)
    for axis, moves in build_axes(resolved(cfg, "shift.own")).items():
        yield from laws_of_shift(Shift(axis, (), moves=moves), task)


def group_of(path: Path) -> Path:
    """Returns the folder of a file's group. Raises ValueError if the file is in no group that chooses a world."""
    for folder in path.resolve().parents:
        if folder.name in GROUPS:
            return folder
    raise ValueError(f"{path} chooses no world: name a file in a folder {' or '.join(GROUPS)}")


def settings_with(path: Path) -> DictConfig:
    """Returns all settings of a run with this option. Raises ValueError, with what to change."""
    group = group_of(path)
    option = path.resolve().relative_to(group).with_suffix("")
    try:
        cfg = compose_settings([f"{group.name}={option}"], group.parent)
        audit(cfg)
    except Exception as error:
        raise ValueError(explain(error)) from error
    return cfg
