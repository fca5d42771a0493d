"""Where trained models and measured cells are kept: under a fingerprint of all that made them, and nothing else."""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from alchemy.records import write_aside
from alchemy.task import Distribution

Settings = dict[str, Any]
Values = dict[str, dict[str, float]]  # part -> metric -> value

ROWS = ("alchemy.batch", "alchemy.noise", "alchemy.seeds", "alchemy.shift", "alchemy.task", "alchemy.vocabulary")
TRAINING = (*ROWS, "alchemy.evaluate", "alchemy.model", "alchemy.train")  # the code that decides weights
MEASURING = (
    *ROWS,
    "alchemy.evaluate",
    "alchemy.model",
    "alchemy.replay",
    "alchemy.diagnose",
    "alchemy.score",
)  # and that decides scores


class Damaged(ValueError):
    """A stored model is not what its own record says."""


def digest(content: object, size: int) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:size]


def fingerprint(settings: Settings) -> str:
    """16 hex digits of everything that decides a model's weights: task, model, recipe, seed, code, device, threads."""
    return digest(settings, 16)


def save(folder: Path, model: Any, settings: Settings, facts: Settings) -> None:
    """Stores weights (safetensors) and their record (JSON) as `folder`, whole or not at all."""
    from safetensors.torch import save_file

    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        aside.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), aside / "model.safetensors")
        weights = hashlib.sha256((aside / "model.safetensors").read_bytes()).hexdigest()
        record = {"fingerprint": fingerprint(settings), "settings": settings, "sha256": weights, **facts}
        write_aside(aside / "model.json", json.dumps(record, indent=1))
        if folder.exists():  # a damaged one
            folder.rename(aside / "damaged")
        aside.rename(folder)
        shutil.rmtree(folder / "damaged", ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def load(folder: Path, model: Any, settings: Settings) -> Settings:
    """Reads stored weights into `model`; returns the record beside them. Raises Damaged if the two do not agree."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        record = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        named, weighed = record["fingerprint"], record["sha256"]
        content = (folder / "model.safetensors").read_bytes()
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{folder} cannot be read as a model ({error})") from error
    if named != fingerprint(settings):
        raise Damaged(f"{folder} holds the model {named}, not the one it is named for")
    if weighed != hashlib.sha256(content).hexdigest():
        raise Damaged(f"{folder / 'model.safetensors'} has changed since it was written")
    try:
        model.load_state_dict(load(content))
    except (SafetensorError, RuntimeError) as error:
        raise Damaged(f"{folder / 'model.safetensors'} does not fit its settings ({error})") from error
    return record


def code_digest(*modules: str) -> str:
    """Digest of the source of modules, so that no model and no result outlives the code that made it."""
    sources = [Path(str(import_module(name).__file__)).read_bytes() for name in modules]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


class Known(Protocol):
    """What a study asks of the cells measured so far; a dict will do."""

    def __contains__(self, where: object) -> bool: ...
    def __getitem__(self, where: Distribution) -> Values: ...
    def __setitem__(self, where: Distribution, values: Values) -> None: ...


class Cells:
    """Measured values of one model by Distribution, a small JSON file each; `key` is whatever else decides them."""

    def __init__(self, folder: Path, key: object) -> None:
        self.folder, self.key = folder, key

    def path(self, where: Distribution) -> Path:
        return self.folder / f"{digest([self.key, asdict(where)], 24)}.json"

    def __contains__(self, where: object) -> bool:
        try:
            return isinstance(where, Distribution) and self[where]["full"]["exact_match"] >= 0
        except (OSError, ValueError, KeyError, TypeError):  # absent, or not what was written: measured again
            return False

    def __getitem__(self, where: Distribution) -> Values:
        return json.loads(self.path(where).read_text(encoding="utf-8"))

    def __setitem__(self, where: Distribution, values: Values) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_aside(self.path(where), json.dumps(values))
