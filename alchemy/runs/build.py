"""Objects from settings: what a group of conf/ names, once all of it is checked (see alchemy.runs.targets)."""

from collections.abc import Iterable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from omegaconf import DictConfig, OmegaConf

from alchemy.data.shift import AXES, Move
from alchemy.data.task import Task
from alchemy.data.tokenizer import Tokenizer
from alchemy.errors import settings_at
from alchemy.runs.targets import find, imported, place, verify


def build(group: str, node: DictConfig, known: Iterable[str] | None = None) -> Any:
    """What conf/<group> names. Raises ValueError for a setting of the wrong kind, or one that it does not take, before
    anything is called. `known` are the targets that a stored record may name; None: they are the user's own settings.
    """
    settings = OmegaConf.to_container(node, resolve=True)
    verify(group, settings, place(group), known)
    return made(group, settings)


def made(path: str, settings: Any) -> Any:
    """What settings that have been verified name, those nested in them first. What is wrong with one is said of its
    whole name: the class that refuses it begins with its own name for it, and `path` is put before that.
    """
    if not isinstance(settings, Mapping):
        return settings
    given = {str(key): made(f"{path}.{key}", value) for key, value in settings.items()}
    if "_target_" not in settings:
        return given
    target, later = imported(given.pop("_target_")), given.pop("_partial_", False)
    if later:
        return partial(target, **given)
    with settings_at(path, given):
        return target(**given)


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
    elsewhere = "vocabulary" in signature(form).parameters  # it has a tokenizer of its own
    symbols = {"vocabulary": task.vocabulary} if elsewhere else {"vocabulary_size": len(tokenizer or task.vocabulary)}
    with settings_at("model", form.keywords):
        model = form(**symbols)
    if not elsewhere:
        model.tokenizer = tokenizer
    model.precision = precision
    return model
