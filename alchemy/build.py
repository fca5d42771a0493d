"""Objects from settings: what a group of conf/ names, with each setting of the kind that it must be."""

import re
from inspect import isclass, signature
from typing import Any, cast, get_args, get_origin, get_type_hints

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from alchemy.task import Task
from alchemy.tokenizer import Tokenizer


def build(group: str, node: DictConfig) -> Any:
    """What conf/<group> names. Raises ValueError for a setting of the wrong kind, or one that it does not take."""
    name = str(node.get("_target_"))
    try:
        target = get_object(name)
    except Exception as error:
        raise ValueError(
            f"conf/{group} names {name}, which cannot be imported ({error}): correct its _target_, and see that no "
            f"file in this folder is called {name.split('.', maxsplit=1)[0]}.py"
        ) from error
    is_plain = isclass(target) and "__init__" in vars(target) and not hasattr(target, "__dataclass_fields__")
    hints = get_type_hints(target.__init__ if is_plain else target)
    settings = cast(dict[str, Any], OmegaConf.to_container(node, resolve=True))
    for key, value in settings.items():
        if key.startswith("_"):
            continue
        if key not in hints:
            known = ", ".join(f"{group}.{hint}" for hint in node if not str(hint).startswith("_") and hint in hints)
            raise ValueError(f"{group}.{key} is not a setting of {name}: use one of {known}")
        check(f"{group}.{key}", value, hints[key])
        build_nested(f"{group}.{key}", node[key])
    for key, parameter in signature(target).parameters.items():
        given_later = node.get("_partial_") and parameter.kind is not parameter.KEYWORD_ONLY
        if parameter.default is parameter.empty and key not in settings and not given_later:
            raise ValueError(f"{group}.{key} is missing: {name} needs it, so leave it in")
    try:
        return instantiate(node, _convert_="all")
    except Exception as error:
        raise (error.__cause__ or error) from None


def build_nested(name: str, node: Any) -> None:
    """Raises ValueError for a mistake in what a list, or names, among the settings name; what is nested says
    `group.setting`, as it does alone, and here that gets its place.
    """
    group, _, setting = name.partition(".")
    own = enumerate(node) if OmegaConf.is_list(node) else node.items() if OmegaConf.is_dict(node) else ()
    for key, item in own:
        if OmegaConf.is_dict(item) and "_target_" in item:
            try:
                build(f"{name}.{key}", item)
            except ValueError as error:
                said = re.sub(rf"\b{group}\.(?!{setting}\.)", f"{name}.{key}.", str(error))
                raise ValueError(said) from None


def build_model(task: Task, node: DictConfig, tokens: str, precision: str) -> Any:
    """An untrained model that reads the symbols of `task`, as they are or in pieces. Raises ValueError, as `build`."""
    tokenizer = Tokenizer(task.vocabulary) if tokens == "pieces" else None
    form = build("model", node)
    try:
        if "vocabulary" in signature(form).parameters:  # from elsewhere: it has a tokenizer of its own
            model = form(vocabulary=task.vocabulary)
        else:
            model = form(vocabulary_size=len(tokenizer or task.vocabulary))
            model.tokenizer = tokenizer
    except TypeError as error:
        raise ValueError(f"model lacks a setting that it needs, so leave it in ({error})") from None
    model.precision = precision
    return model


KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def check(name: str, value: Any, kind: Any) -> None:
    """Raises ValueError if a setting is not of the kind that a signature asks for."""
    if type(None) in get_args(kind):
        kind = None if value is None else get_args(kind)[0]
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{name}={value} must be a list, such as [{value}]")
        for item in value:
            check(name, item, get_args(kind)[0])
    elif get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{name}={value} must be settings by name")
        for key, item in value.items():
            check(f"{name}.{key}", item, get_args(kind)[1])
    elif kind in KINDS:
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{name}={value} must be {KINDS[kind]}")
