"""Objects from settings: what a group of conf/ names, once all of it is checked (see alchemy.runs.targets)."""

import re
from collections.abc import Iterable
from inspect import signature
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from alchemy.data.shift import AXES, Move
from alchemy.data.task import Task
from alchemy.data.tokenizer import Tokenizer
from alchemy.runs.targets import find, place, verify


def build(group: str, node: DictConfig, known: Iterable[str] | None = None) -> Any:
    """What conf/<group> names. Raises ValueError for a setting of the wrong kind, or one that it does not take, before
    anything is called. `known` are the targets that a stored record may name; None: they are the user's own settings.
    """
    settings = OmegaConf.to_container(node, resolve=True)
    verify(group, settings, place(group), known)
    try_nested(group, settings)
    return made(settings)


def made(settings: Any) -> Any:
    try:
        return instantiate(settings, _convert_="all")
    except Exception as error:
        raise (error.__cause__ or error) from None


def try_nested(path: str, settings: Any) -> None:
    """Raises ValueError for a mistake in what is nested among the settings. That says `group.setting`, as it does
    alone, and here gets its place.
    """
    group, _, within = path.partition(".")
    for key, item in settings.items() if isinstance(settings, dict) else ():
        try_nested(f"{path}.{key}", item)
        if isinstance(item, dict) and "_target_" in item:
            try:
                made(item)
            except ValueError as error:
                place = f"{within}.{key}.".lstrip(".")
                said = re.sub(rf"\b{group}\.(?!{re.escape(place)})", f"{path}.{key}.", str(error))
                raise ValueError(said) from None


def build_axes(own: dict[str, str], known: Iterable[str] | None = None) -> dict[str, Move]:
    """The functions of axes of one's own, by their names, as `shift.own` has them. Raises ValueError for a name that no
    axis can have, and as `build`.
    """
    for axis in own:
        if axis in (*AXES, "all") or not axis.isidentifier():
            raise ValueError(
                f"shift.own.{axis} cannot name an axis of your own: use letters, digits and _, and a new name"
            )
    return {axis: find(f"shift.own.{axis}", name, place("shift"), known) for axis, name in own.items()}


def build_model(task: Task, node: DictConfig, tokens: str, precision: str, known: Iterable[str] | None = None) -> Any:
    """An untrained model that reads the symbols of `task`, as they are or in pieces. Raises ValueError, as `build`."""
    tokenizer = Tokenizer(task.vocabulary) if tokens == "pieces" else None
    form = build("model", node, known)
    if "vocabulary" in signature(form).parameters:  # from elsewhere: it has a tokenizer of its own
        model = form(vocabulary=task.vocabulary)
    else:
        model = form(vocabulary_size=len(tokenizer or task.vocabulary))
        model.tokenizer = tokenizer
    model.precision = precision
    return model
