"""Builds the objects that settings name, once all of the settings are checked (see alchemy.runs.targets)."""

from collections.abc import Iterable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from omegaconf import DictConfig, OmegaConf

from alchemy.data.shift import AXES, Move
from alchemy.data.task import Task
from alchemy.data.tokenizer import Tokenizer
from alchemy.errors import settings_at
from alchemy.runs.targets import find, imported, place, verify_settings


def build(group: str, node: DictConfig, known: Iterable[str] | None = None) -> Any:
    """Checks the settings of one group of conf/, and returns the object that they name.

    `known` are the targets that a stored record may name; None means that the settings are the user's own. Raises
    ValueError, before anything is called, for a setting of the wrong kind, or one that the target does not take.
    """
    settings = OmegaConf.to_container(node, resolve=True)
    verify_settings(group, settings, place(group), known)
    return made(group, settings)


def made(path: str, settings: Any) -> Any:
    """Returns the object that verified settings name, built after the objects nested in them; plain values as they are.

    Where the target raises a ValueError that begins with the name of one of its settings, `path` is put before that
    name, so that the message names the setting in full.
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
    """Returns the functions that `shift.own` names for the user's own axes, by axis.

    Raises ValueError for a name that no axis can have, and for functions as `build` does for targets.
    """
    for axis in own:
        if axis in (*AXES, "all") or not axis.isidentifier():
            raise ValueError(
                f"shift.own.{axis} cannot name an axis of your own: use letters, digits and _, and a new name"
            )
    return {axis: find(f"shift.own.{axis}", name, place("shift"), known) for axis, name in own.items()}


def build_model(task: Task, node: DictConfig, tokens: str, precision: str, known: Iterable[str] | None = None) -> Any:
    """Returns an untrained model for the symbols of `task`, whole or split into pieces as `tokens` says.

    Raises ValueError, as `build`.
    """
    tokenizer = Tokenizer(task.vocabulary) if tokens == "pieces" else None
    form = build("model", node, known)
    elsewhere = "vocabulary" in signature(form).parameters  # a model with a tokenizer of its own
    symbols = {"vocabulary": task.vocabulary} if elsewhere else {"vocabulary_size": len(tokenizer or task.vocabulary)}
    with settings_at("model", form.keywords):
        model = form(**symbols)
    if not elsewhere:
        model.tokenizer = tokenizer
    model.precision = precision
    return model
