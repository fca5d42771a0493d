"""Checks that values from a file or a command have the types that settings declare: plain values, lists and dicts."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
SHOWN = 60  # characters of a value that a sentence shows


def check(name: str, value: Any, kind: Any) -> None:
    """Raises ValueError if `value`, called `name` in the message, is not of the type `kind`.

    `kind` is int, float, str or bool, one of them or None, a Literal (any text passes), a tuple (which a file writes as
    a list), a dict, or a TypedDict. Values of any other type are not checked.
    """
    if get_origin(kind) in (Union, UnionType):
        if value is None and type(None) in get_args(kind):
            return
        kind = next(one for one in get_args(kind) if one is not type(None))
    origin, inner = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        check_names(name, value, kind)
    elif origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name}={quoted(value)} must be a list, such as [{quoted(value)}]")
        for item in value:
            check(name, item, inner[0])
    elif dict in (origin, kind):
        if not isinstance(value, dict):
            raise ValueError(f"{name}={quoted(value)} must be settings by name")
        for key, item in value.items() if inner else ():
            check(f"{name}.{key}", item, inner[1])
    elif kind in NAMES or origin is Literal:
        plain = str if origin is Literal else kind
        fits = isinstance(value, (int, float) if plain is float else plain)
        if not fits or (isinstance(value, bool) and plain is not bool):
            raise ValueError(f"{name}={quoted(value)} must be {NAMES[plain]}")


def check_names(name: str, value: Any, kind: Any) -> None:
    """Raises ValueError if `value` lacks a required key of the TypedDict `kind`, or has a value of another type. Keys
    that `kind` lacks are not checked.
    """
    if not isinstance(value, dict) or not kind.__required_keys__ <= set(value):
        raise ValueError(f"{name}={quoted(value)} must have {', '.join(sorted(kind.__required_keys__))}")
    for key, its in get_type_hints(kind).items():
        if key in value:
            check(f"{name}.{key}", value[key], its)


def quoted(value: Any) -> str:
    """The value as text for a message, cut to SHOWN characters."""
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
