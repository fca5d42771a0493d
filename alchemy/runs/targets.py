"""Decides what settings may build, and where: no other module gives a meaning to a `_target_`.

A `_target_` is accepted where conf/ has one (task, model, train, study, and what their signatures ask for in turn), for
the kind of object that belongs there, and nowhere else. It is checked, with all that is nested in it, before anything
is called. From a stored record (of a model or a run) only those targets are accepted that option files name: the files
of conf/, and those of a folder that the user names with --config-dir. Nothing else that a record names is imported.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, reduce
from importlib import import_module
from inspect import Parameter, isclass, isfunction, signature
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf

from alchemy.data.kinds import NAMES, check, quoted
from alchemy.data.task import Task
from alchemy.runs import moved

DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
STUDY = ("bench",)  # the argument of a study before its own settings
MODEL = ("vocabulary_size", "vocabulary")
SHIFT = ("task", "level")
SPECIAL = ("_args_", "_recursive_", "_convert_", "_partial_", "_target_")


@dataclass(frozen=True)
class Place:
    """Where a `_target_` may stand: what belongs there in words, a test of whether an object does, and the names of the
    arguments that it only gets when it is called (with `_partial_`).
    """

    what: str
    fits: Callable[[Any], bool]
    later: tuple[str, ...] = ()


def place(group: str) -> Place:
    """Returns the Place of a group of conf/. Kinds that need PyTorch are imported only when they are needed."""
    if group == "task":
        return Place("a world: a class like tasks.cipher.Cipher, or a function that says it returns one", is_a(Task))
    if group == "train":
        from alchemy.training.fit import Recipe

        return Place("a recipe: alchemy.training.Recipe", is_a(Recipe))
    if group == "study":
        return Place(f"a study: a function of {STUDY[0]}, and its own settings", is_study, STUDY)
    if group == "shift":
        return Place(f"a shift: a function of {' and '.join(SHIFT)}, as in alchemy/data/shift.py", is_shift, SHIFT)
    assert group == "model", group
    return Place("a model: a class like alchemy.models.Transformer", is_form, MODEL)


def is_a(kind: Any) -> Callable[[Any], bool]:
    """Returns a test of whether an object makes instances of `kind`: a class of that kind, or a function annotated so.

    Where `kind` is a protocol, a class must have its methods; attributes may be set when an instance is made.
    """

    def fits(target: Any) -> bool:
        made = target if isclass(target) else returned(target)
        if not isclass(made):
            return False
        if getattr(kind, "_is_protocol", False):
            return all(callable(getattr(made, name, None)) for name in methods(kind))
        return issubclass(made, kind)

    return fits


def methods(protocol: Any) -> list[str]:
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False)]
    return [name for base in bases for name, its in vars(base).items() if isfunction(its) and not name.startswith("_")]


def is_study(target: Any) -> bool:
    if not isfunction(target):
        return False
    given = [one.name for one in parameters_of(target).values() if one.kind is not one.KEYWORD_ONLY]
    return tuple(given) == STUDY


def is_shift(target: Any) -> bool:
    """Whether an object is a function of a task and a level, whose other arguments all have defaults."""
    if not isfunction(target):
        return False
    own = list(parameters_of(target).values())
    return tuple(one.name for one in own[:2]) == SHIFT and all(one.default is not one.empty for one in own[2:])


def is_form(target: Any) -> bool:
    """Whether a class or function makes models, given the size of a vocabulary or the vocabulary itself."""
    made = target if isclass(target) else returned(target)
    if not isclass(made) or not {*MODEL} & set(parameters_of(target)):
        return False
    return callable(getattr(made, "logits", None)) or callable(getattr(made, "complete", None))


def parameters_of(target: Any) -> Mapping[str, Parameter]:
    """Returns the arguments of a class or function; none, if its signature cannot be read."""
    try:
        return signature(target).parameters
    except (TypeError, ValueError):
        return {}


def returned(target: Any) -> Any:
    """Returns what a function is annotated to return; None without annotation, or for anything but a plain function."""
    return hints_of(target).get("return") if isfunction(target) else None


def hints_of(target: Any) -> dict[str, Any]:
    """Returns the annotated kind of each argument of a class or function."""
    plain = isclass(target) and not hasattr(target, "__dataclass_fields__")
    try:
        return get_type_hints(target.__init__ if plain else target)
    except (NameError, TypeError, AttributeError):
        return {}


def imported(name: str) -> Any:
    """Returns the object of a dotted name, from the module that has it. Raises whatever importing it raises."""
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        try:
            found = import_module(module)
        except ModuleNotFoundError as error:
            if not f"{module}.".startswith(f"{error.name}."):
                raise  # a module that this one imports is missing
        else:
            return reduce(getattr, parts[end:], found)
    raise ImportError(f"there is no module {parts[0]}")


def find(path: str, name: Any, where: Place, known: Iterable[str] | None) -> Any:
    """Returns the object that the setting at `path` names. Raises ValueError for one that does not belong there.

    Unless `known` is None, it also raises ValueError for a name that is not in `known`, before anything is imported.
    """
    if not isinstance(name, str) or not DOTTED.fullmatch(name):
        raise ValueError(f"{path}={quoted(name)} names nothing: it must be {where.what}")
    if known is not None and name not in known:
        raise ValueError(
            f"{path}={quoted(name)} is from a stored record, and no option of conf/ names it, so it is not "
            "called: if it is yours, name the folder of your options with --config-dir DIR"
        )
    try:
        target = imported(name)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{path}={quoted(name)} cannot be imported ({reason}): correct it, and see that no other file in this "
            f"folder is called {name.partition('.')[0]}.py"
        ) from error
    if not where.fits(target):
        raise ValueError(f"{path}={quoted(name)} does not belong there: it must be {where.what}")
    return target


def verify_settings(path: str, settings: Any, where: Place, known: Iterable[str] | None = None) -> None:
    """Checks the settings of one object, and of those nested in it, without calling anything.

    Raises ValueError for a setting of the wrong kind, a missing one or an unknown one, naming it. `known` is that of
    `find`.
    """
    if not isinstance(settings, Mapping) or "_target_" not in settings:
        raise ValueError(f"{path}={quoted(settings)} must be settings with a _target_, as in conf/: {where.what}")
    target = find(f"{path}._target_", settings["_target_"], where, known)
    if settings.get("_partial_", False) is not bool(where.later):
        told = "true: more is given later" if where.later else "left out"
        raise ValueError(f"{path}._partial_={quoted(settings.get('_partial_'))} must be {told}")
    parameters, hints = parameters_of(target), hints_of(target)
    own = [name for name, one in parameters.items() if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)]
    free = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for key, value in settings.items():
        if key in ("_target_", "_partial_"):
            continue
        if key in SPECIAL or key in where.later or (key not in own and not free):
            takes = [f"{path}.{name}" for name in own if name not in where.later]
            raise ValueError(unknown(f"{path}.{key}", takes, f"{settings['_target_']} takes {', '.join(takes)}"))
        belongs(f"{path}.{key}", value, hints.get(key, Any), known)
    for name in own:
        if parameters[name].default is Parameter.empty and name not in (*settings, *where.later):
            raise ValueError(f"{path}.{name} is missing: {settings['_target_']} needs it, so leave it in")


def belongs(path: str, value: Any, kind: Any, known: Iterable[str] | None) -> None:
    """Checks one setting: a plain value, or an object where the signature asks for one. Raises as `verify`."""
    inner = [one for one in get_args(kind) if one is not type(None)]
    if value is not None and len(inner) == 1 and builds(inner[0]) and type(None) in get_args(kind):
        kind = inner[0]
    if get_origin(kind) is dict and inner and builds(inner[1]) and isinstance(value, Mapping):
        for name, its in value.items():
            belongs(f"{path}.{name}", its, inner[1], known)
    elif builds(kind):
        verify_settings(path, value, Place(f"of the kind {kind.__name__}", is_a(kind)), known)
    else:
        plain(path, value)
        check(path, value, kind)
        if value != value:  # noqa: PLR0124 only NaN differs from itself
            raise ValueError(f"{path}={value} is no number: set it to one")


def builds(kind: Any) -> bool:
    """Whether an argument of this kind is an object that is built from settings."""
    return isclass(kind) and get_origin(kind) is None and kind not in (*NAMES, dict, list, tuple, type(None), object)


def plain(path: str, value: Any) -> None:
    """Raises ValueError where a value, or one nested in it at any depth, names an object to be built."""
    if isinstance(value, Mapping):
        for name, its in value.items():
            if name in SPECIAL:
                raise ValueError(f"{path}.{name} has no place there: nothing is built from {path}, so leave it out")
            plain(f"{path}.{name}", its)
    elif isinstance(value, list | tuple):
        for number, its in enumerate(value):
            plain(f"{path}.{number}", its)


def unknown(name: str, known: Iterable[str], otherwise: str) -> str:
    """Returns a sentence on a setting that does not exist: its new name, the one probably meant, or `otherwise`."""
    if now := moved.setting(name):
        return now
    group, _, last = name.rpartition(".")
    siblings = {one.rpartition(".")[2]: one for one in known if one.rpartition(".")[0] == group and one != name}
    near = [siblings[one] for one in get_close_matches(last, siblings, n=1, cutoff=0.6)]
    near = near or get_close_matches(name, [one for one in known if one != name], n=1, cutoff=0.8)
    return f"{name} is not a setting: {f'did you mean {near[0]}?' if near else otherwise}"


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def within(path: str, settings: Any, known: Any, what: str = "") -> None:
    """Raises ValueError for settings under `path` that are not `known`; with `what`, also for anything else."""
    if not isinstance(settings, Mapping):
        if what:
            raise ValueError(f"{path}={quoted(settings)} must be {what}")
        return
    for name in settings:
        if name in SPECIAL or name not in known:
            raise ValueError(unknown(f"{path}.{name}", [f"{path}.{one}" for one in known], f"use {', '.join(known)}"))


@cache
def named_in(*folders: Path) -> frozenset[str]:
    """Returns every `_target_`, and every function of a user's own axis, in the option files of these folders."""
    files = [file for folder in folders for file in sorted(folder.rglob("*.yaml"))]
    options = [OmegaConf.to_container(OmegaConf.load(file)) for file in files]
    return frozenset(name for settings in options for name in (*named(settings), *own_axes(settings).values()))


def own_axes(settings: Any) -> dict[str, str]:
    """Returns the dotted names of functions in `shift.own`, by axis; none, if there are no such settings."""
    shift = settings.get("shift") if isinstance(settings, Mapping) else None
    own = shift.get("own") if isinstance(shift, Mapping) else None
    return {axis: name for axis, name in own.items() if isinstance(name, str)} if isinstance(own, Mapping) else {}


def named(settings: Any) -> Iterator[str]:
    """Yields every `_target_` in settings, at any depth, the outermost first."""
    if isinstance(settings, Mapping) and isinstance(settings.get("_target_"), str):
        yield settings["_target_"]
    inner = settings.values() if isinstance(settings, Mapping) else settings if isinstance(settings, list) else ()
    for value in inner:
        yield from named(value)
