"""Builds the plan of one job from its settings, and checks all of it before anything is trained or written."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from importlib.metadata import version
from itertools import product
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from alchemy.data.kinds import check, quoted
from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS
from alchemy.data.sampling import draw, span
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, Move, Shift, check_axis, number_of
from alchemy.data.task import Task
from alchemy.results.code import code_digest
from alchemy.results.digests import sha256
from alchemy.runs.build import build, build_axes, build_model
from alchemy.runs.settings import BUILT, audit, resolved
from alchemy.runs.targets import named, place, verify_settings
from alchemy.runs.track import available
from alchemy.stats.predictions import predictions

log = logging.getLogger(__name__)

KINDS_OF_A_RUN: dict[str, type] = dict.fromkeys(("seed", "threads", "workers"), int)
KINDS_OF_A_RUN |= dict.fromkeys(("name", "device", "precision", "tokens", "output", "track"), str) | {
    "force": bool,
    "target": float,
}
# The least and the largest value of a setting: beyond these a process hangs or is killed without a message.
BOUNDS: dict[str, tuple[float | None, float]] = {
    "seed": (0, 2**63 - 1),
    "threads": (1, 1024),
    "workers": (1, 10_000),
    "slots": (1, 65_536),
    "study.count": (None, 10**8),
    "train.steps": (1, 10**9),
    "train.batch": (1, 10**7),
    "train.warmup": (0, 10**9),
    "train.check_every": (1, 10**9),
    "train.check_problems": (1, 10**8),
    "train.snapshots": (0, 10**6),
    "train.learning_rate": (0, 1e12),
    "model.context": (1, 10**6),
    "model.layers": (1, 10_000),
    "model.width": (1, 10**6),
    "model.heads": (1, 10_000),
}
SLOTS, SMALL = 64, 1 << 20  # of a stack on a GPU, and the most weights of a model that has so many
FARTHEST = 10_000  # the largest number of a level, on either side of training
LONGEST_NAME = 4  # rules of a composition that is selected by name


@dataclass(frozen=True)
class Plan:
    """One job: its world, model, recipe, study and shifts, all checked before anything is trained or written.

    >>> from alchemy.runs.compose import compose_plan
    >>> compose_plan(["shift.axis=length", "shift.levels=[0,1]"]).shifts[0].levels
    (0, 1)
    """

    task: Task
    model: Any = field(repr=False)  # an untrained Transformer, or one from elsewhere
    recipe: Any  # how to train it; None for one from elsewhere
    study: partial[Any]
    shifts: tuple[Shift, ...]
    settings: dict[str, Any] = field(repr=False)  # what decides the model's weights
    worlds: tuple[str, ...]  # the modules of the task and of all that its settings name
    cfg: DictConfig = field(repr=False)  # all settings of the job


def examine(cfg: DictConfig, known: Iterable[str] | None = None) -> None:
    """Checks all settings of a job without calling anything that they name. Raises ValueError, naming what to change.

    `known` are the targets that a stored configuration may name (see alchemy.runs.targets); None means that the
    configuration is the user's own.
    """
    for name in (*BUILT, "shift", "predictions"):
        if not OmegaConf.is_dict(cfg.get(name)):
            raise ValueError(f"{name}={cfg.get(name)} is no group of settings: leave it out, or name an option of it")
    audit(cfg)
    for name, kind in KINDS_OF_A_RUN.items():
        check(name, cfg.get(name), kind)
    check("slots", cfg.slots, int | None)
    bounds = [(path, its) for name, its in BOUNDS.items() for path in places_of(cfg, name)]
    for name, (least, most) in bounds:
        value = OmegaConf.select(cfg, name)
        if isinstance(value, int | float) and least is not None and value < least:
            raise ValueError(f"{name}={value} is too small: set {name} to {least} or more")
        if isinstance(value, int | float) and value > most:
            raise ValueError(f"{name}={quoted(value)} is too large: set {name} to {most} or less")
    if not 0 <= cfg.target <= 1:
        raise ValueError(f"target={cfg.target} must be an exact match, from 0 to 1")
    if any(not part.strip(".") or len(part.encode()) > 255 or "${" in part for part in cfg.name.split("/")):
        raise ValueError(
            f"name={quoted(cfg.name)} cannot name a folder: use letters, digits and _, and / for a folder in it"
        )
    for group in BUILT:
        verify_settings(group, OmegaConf.to_container(cfg[group], resolve=True), place(group), known)
    build_axes(resolved(cfg, "shift.own"), known)
    predicted(cfg)


def places_of(cfg: DictConfig, name: str) -> list[str]:
    """Returns the dotted names of all places of a setting: one of `train` may also stand in recipes of the study."""
    group, _, last = name.rpartition(".")
    nested = [key for key, its in cfg.study.items() if OmegaConf.is_dict(its) and group == "train"]
    target = OmegaConf.select(cfg, f"{group}._target_")
    return [name, *(f"study.{key}.{last}" for key in nested if cfg.study[key].get("_target_") == target)]


def plan(cfg: DictConfig, known: Iterable[str] | None = None, sketch: bool = False) -> Plan:
    """Builds and checks everything that a job needs, and returns it. Raises ValueError, naming the setting to change.

    `known` is that of `examine`. A `sketch` has a model without weights, which needs neither its device nor its memory.
    """
    examine(cfg, known)
    available(cfg.track)
    task, recipe, study = (build(group, cfg[group], known) for group in ("task", "train", "study"))
    if cfg.study.get("count", 1) < 1:
        raise ValueError(f"study.count={cfg.study.count} leaves nothing to measure: set it to 1 or more, such as 2000")
    if cfg.tokens not in ("symbols", "pieces"):
        raise ValueError(f"tokens={cfg.tokens} is unknown: use symbols or pieces")
    if cfg.precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision={cfg.precision} is unknown: use float32 or bfloat16")
    model = modelled(task, cfg, known, sketch)
    if look := getattr(import_module(study.func.__module__), "check", None):
        look(task, None if hasattr(model, "made_of") else recipe, **study.keywords)
    needs_room(task, model, "task.length", "training", task.train)
    draw(task, task.train, 1, stream(0, "plan"), "valid")  # a file of problems may have none on that side
    shifts = possible_shifts(task, model, cfg.shift)
    nested = [type(world).__module__ for world in getattr(task, "worlds", ())]
    mentioned = [target.rpartition(".")[0] for target in named(OmegaConf.to_container(cfg.task))]
    worlds = tuple(dict.fromkeys([type(task).__module__, *mentioned, *nested]))
    groups = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("task", "model", "train")}
    made_by = {name: cfg[name] for name in ("seed", "device", "precision", "threads", "tokens")}
    made_by["slots"] = slots(cfg, task, model, recipe)
    training = "alchemy.training.population" if made_by["slots"] else "alchemy.training.fit"
    code = {"code": code_digest(training, type(model).__module__, *worlds)}
    if source := cfg.task.get("source"):
        made_by["source"] = sha256(Path(source))
    settings = groups | made_by | code
    if files := getattr(model, "made_of", None):
        recipe, settings = None, from_elsewhere(settings, files, study_of(cfg), (type(model).__module__, *worlds))
    return Plan(task, model, recipe, study, shifts, settings, worlds, cfg)


def modelled(task: Task, cfg: DictConfig, known: Iterable[str] | None, sketch: bool) -> Any:
    """Returns the untrained model on its device; as a sketch, one that has shapes and no weights."""
    import torch

    if not sketch:
        return build_model(task, cfg.model, cfg.tokens, cfg.precision, known).to(device(cfg.device))
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):  # drawing weights on the meta device imports half of PyTorch: 1.5 s
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return kwargs["tensor"] if function is torch.nn.init.normal_ else function(*args, **(kwargs or {}))

    with torch.device("meta"), Unfilled():
        return build_model(task, cfg.model, cfg.tokens, cfg.precision, known)


def slots(cfg: DictConfig, task: Task, model: Any, recipe: Any) -> int | None:
    """Returns the slots of the stack that a model is trained in; None if it is in no stack, as those are that cannot
    share one, and all on a CPU if no number is set. On a GPU it is then SLOTS for a small model, and one for others.
    """
    on_gpu = str(cfg.device).startswith("cuda")
    if hasattr(model, "made_of") or not (cfg.slots or on_gpu):
        return None
    from alchemy.training.population import form

    small = sum(weight.numel() for weight in model.parameters()) <= SMALL
    asked = int(cfg.slots or (SLOTS if small else 1))
    return asked if form(task, model, recipe) else None


def study_of(cfg: DictConfig) -> ModuleType:
    """Returns the module or package of the study that the settings name; they must be verified before."""
    return import_module(str(cfg.study._target_).rpartition(".")[0])


def predicted(cfg: DictConfig) -> list[dict[str, Any]]:
    """Returns the predictions of a study as plain settings; none, if there are none.

    Raises ValueError for predictions that cannot be used, and, where the study has a function `design`, for predictions
    or settings of the study that it refuses.
    """
    told = OmegaConf.to_container(cfg.predictions, resolve=True) if cfg.predictions else {}
    check("predictions", told, dict[str, dict])
    listed = [*cast(dict[str, Any], told).values()]
    if look := getattr(study_of(cfg), "design", None):
        look(listed, resolved(cfg, "study"))
    else:
        predictions(listed)
    return listed


def from_elsewhere(
    settings: dict[str, Any], files: dict[str, str], study: ModuleType, code: tuple[str, ...]
) -> dict[str, Any]:
    """Returns the settings that decide a model which the lab does not train.

    They have its files, though not the path to them, and the library that reads them, but no recipe and no seed.

    Raises ValueError for a study that needs the training, and for tokens=pieces.
    """
    if getattr(study, "NEEDS_TRAINING", False):
        name = study.__name__.rpartition(".")[2]
        raise ValueError(f"study={name} needs a model that is trained here, and model=hf is not: use study=degradation")
    if settings["tokens"] != "symbols":
        raise ValueError("tokens=pieces is for models that are trained here, and model=hf is not: leave tokens out")
    kept = {key: value for key, value in settings.items() if key not in ("train", "seed", "tokens", "slots")}
    where = {key: value for key, value in settings["model"].items() if key != "path"}
    return kept | {"model": where, "files": files, "library": version("transformers"), "code": code_digest(*code)}


def possible_shifts(task: Task, model: Any, node: DictConfig) -> tuple[Shift, ...]:
    """Returns the shifts that `node`, settings like those under `shift`, selects, with the levels that the world has.

    Raises ValueError, as `chosen_shifts` and `has` do.
    """
    return tuple(
        replace(shift, levels=tuple(level for level in shift.levels if has(task, model, node, shift, level)))
        for shift in chosen_shifts(task, node, build_axes(dict(node.get("own") or {})))
    )


def has(task: Task, model: Any, node: DictConfig, shift: Shift, level: int) -> bool:
    """Whether the world has problems at a level of a shift, and the model room for them.

    Raises ValueError if not, except where shift.axis=all selects the levels of shift.grid and the world lacks one other
    than 0: that is logged, and False is returned.
    """
    try:
        where = shift.at(task, level)
        draw(task, where, 1, stream(0, "plan"))
    except ValueError as error:
        if node.axis != "all" or node.levels is not None or level == 0:
            raise
        log.warning("left out: %s", error)
        return False
    what = f"shift.axis={shift.axis} level {level} ({shift.describe(task, level)})"
    needs_room(task, model, "shift.levels", what, where)
    return True


def given(words: list[str], known: dict[str, str], usage: str) -> dict[str, str]:
    """Returns the settings of a command: `known` ones with their defaults, changed by `words` of the form key=value.

    Raises ValueError for any other word, saying that it is not `usage`.
    """
    settings = dict(known)
    for word in words:
        key, _, value = word.partition("=")
        if key not in known or not value:
            raise ValueError(f"{word} is not {usage}")
        settings[key] = value
    return settings


def device(name: Any) -> Any:
    import torch

    try:
        chosen = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={name} is not a device of PyTorch: use cpu or cuda") from None
    if chosen.type not in ("cpu", "cuda"):
        raise ValueError(f"device={name} cannot train here: use cpu or cuda")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device={name} needs a GPU, and PyTorch sees none here: use device=cpu")
    return chosen


def look_at(node: DictConfig) -> None:
    """Raises ValueError for settings of shifts that are of the wrong kind, whether this run uses them or not."""
    if not OmegaConf.is_dict(node.grid):
        raise ValueError(f"shift.grid={node.grid} must give the levels of each axis: set shift.levels instead")
    for name in ("axis", "kind", "domain"):
        for value in listed(node.get(name)):
            check(f"shift.{name}", value, str)
    for name, known in (("kind", NOISE_KINDS), ("domain", NOISE_DOMAINS)):
        if wrong := [value for value in listed(node.get(name)) if value not in known]:
            raise ValueError(f"shift.{name}={wrong[0]} is unknown: use one of {', '.join(known)}")
    for axis, levels in node.grid.items():
        if not OmegaConf.is_list(levels):
            raise ValueError(f"shift.grid.{axis}={levels} must be a list of levels, such as [0,1,2]")


def chosen_shifts(task: Task, node: DictConfig, own: Mapping[str, Move] = MappingProxyType({})) -> tuple[Shift, ...]:
    """Returns a Shift for each selected axis, and on the format axis for each kind and domain of noise.

    `levels` in `node` holds for all of them, null for those of its grid; `own` are the functions of the user's own
    axes. Raises ValueError, naming the setting to change.
    """
    look_at(node)
    axes = listed(node.axis)
    axes = [str(axis) for axis in node.grid] if axes == ["all"] else axes
    kinds, domains = listed(node.kind), listed(node.domain)
    shifts = []
    for axis in axes:
        check_axis(axis, (*own, *AXES))
        if node.levels is None and axis not in node.grid:
            raise ValueError(f"shift.grid lacks the axis {axis}: add levels as shift.grid.{axis}, or set shift.levels")
        levels = listed(node.grid.get(axis, []) if node.levels is None else node.levels)
        if axis == "composition":
            levels = [composition_level(task, level) for level in levels]
        if any(isinstance(level, bool) or not isinstance(level, int) for level in levels):
            raise ValueError(f"shift.levels={quoted(levels)} must be whole numbers, such as [0,1,2]")
        if far := [level for level in levels if abs(level) > FARTHEST and axis != "composition"]:
            raise ValueError(f"shift.levels names {quoted(far[0])}, which no world has: use {FARTHEST} at most")
        levels = list(dict.fromkeys(levels)) if axis == "composition" else levels  # training's own name is 0
        if len(set(levels)) < len(levels):
            raise ValueError(f"shift.levels={levels} names a level twice: name each once")
        pairs = [(kind, domain) for domain in domains for kind in kinds] if axis == "format" else [("-", "-")]
        shifts += [Shift(axis, tuple(levels), kind, domain, own.get(axis)) for kind, domain in pairs]
    for name, chosen in (("axis", axes), ("kind", kinds), ("domain", domains)):
        if not chosen or len(set(map(str, chosen))) < len(chosen):
            raise ValueError(f"shift.{name}={chosen} must name at least one, and each once")
    if not any(shift.levels for shift in shifts):
        raise ValueError("shift.levels is empty: name at least one level, such as [0,1]")
    return tuple(shifts)


def composition_level(task: Task, level: Any) -> Any:
    """Returns the level of a composition given by its name, and any other level as it is.

    Raises ValueError for a name that the world does not have.
    """
    if not isinstance(level, str):
        return level
    rules = range(len(task.vocabulary.rules))
    for k in range(1, LONGEST_NAME + 1):
        for composition in product(rules, repeat=k):
            if task.spell(composition) == level:
                return 0 if task.train.compositions == (composition,) else number_of(composition, len(rules))
    raise ValueError(
        f"shift.levels names the composition {level}, which the world does not have: write it such as "
        f"{task.spell(tuple(rules)[:1] * 2)}, of up to {LONGEST_NAME} of its rules"
    )


def listed(value: Any) -> list[Any]:
    value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return value if isinstance(value, list) else [value]


def needs_room(task: Task, model: Any, setting: str, what: str, where: Any) -> None:
    """Raises ValueError if the longest row of `where` does not fit the model's context."""
    if where.also:
        for part in where.parts():
            needs_room(task, model, setting, what, part)
        return
    prompt, completion = span(task, where, model.tokenizer)
    grows = where.noise is not None and where.noise.kind in ("insert", "hybrid")
    inserted = getattr(model.tokenizer, "noise", 2) if model.tokenizer else 1  # tokens of one noise token
    if (tokens := prompt * (1 + grows * inserted) + completion) > model.context:
        raise ValueError(
            f"{what} needs rows of up to {tokens} tokens, and model.context={model.context} holds no more: "
            f"set model.context={tokens} or more, or lower {setting}"
        )
