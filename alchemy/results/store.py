"""Where trained models are kept: under a fingerprint of all that made them, and nothing else."""

import hashlib
import shutil
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, TypedDict

from alchemy.data.kinds import check
from alchemy.results.digests import Damaged, digest, read_json, write_json
from alchemy.results.files import write_aside

Settings = dict[str, Any]

PAUSE = 30.0  # seconds between two times that a training is put down


class ModelRecord(TypedDict):
    """What model.json says of a stored model, besides its checksum."""

    fingerprint: str
    settings: dict
    sha256: str  # of its weights
    snapshots: dict[str, str]  # name and SHA-256 of each file of weights kept during training
    parameters: int
    rows: int  # seen in training
    exact_match: float | None  # on held-out problems, at the end
    checks: tuple[dict[str, float | None], ...]  # of the training, as alchemy.training.fit.Progress has them


class TrainingRecord(TypedDict):
    """What training.json says of a training that was put down, besides its checksum."""

    name: str  # of the folder that it lies in
    sha256: str  # of training.safetensors
    snapshots: dict[str, str]
    checks: tuple[dict[str, float | None], ...]


def fingerprint(settings: Settings) -> str:
    """16 hex digits of everything that decides a model's weights: task, model, recipe, seed, code, device, precision,
    threads, tokens. A class counts by its name and its code, wherever it stands.
    """
    return digest(by_name(settings), 16)


def weights_digest(model: Any) -> str:
    """The SHA-256 of a model's weights, as model.json has that of the weights beside it."""
    from safetensors.torch import save

    return hashlib.sha256(save(model.state_dict())).hexdigest()


def by_name(settings: Any) -> Any:
    """The same settings, where each `_target_` is the last of its dotted names."""
    if isinstance(settings, dict):
        named = {key: by_name(value) for key, value in settings.items()}
        if isinstance(target := named.get("_target_"), str):
            named["_target_"] = target.rpartition(".")[2]
        return named
    return [by_name(value) for value in settings] if isinstance(settings, list | tuple) else settings


@dataclass
class Partial:
    """A model in training: what it needs to go on, and its snapshots, in a folder that becomes the model's own.

    What is put down within PAUSE seconds of the last time is not written.
    """

    folder: Path
    last: float = field(default_factory=monotonic)
    kept: dict[str, str] = field(default_factory=dict)  # name and SHA-256 of each snapshot

    def resume(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            content = (self.folder / "training.safetensors").read_bytes()
            facts = read_json(self.folder / "training.json")
            check("training.json", facts, TrainingRecord)
            if (facts["name"], facts["sha256"]) != (self.folder.name, hashlib.sha256(content).hexdigest()):
                return None  # stopped between the two files, or another model's
            [*map(rows_of, facts["snapshots"])]  # raises for what is no name of a snapshot
            state = load(content)
        except (OSError, ValueError, SafetensorError):
            return None
        self.kept = facts["snapshots"]
        return state, facts["checks"]

    def clear(self) -> None:
        """Takes away all that lies there."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.kept = {}

    def put_down(self, state: dict[str, Any], checks: list[dict[str, Any]]) -> None:
        from safetensors.torch import save

        if monotonic() - self.last < PAUSE:
            return
        self.last = monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        content = save({name: value.contiguous() for name, value in state.items()})
        facts = {"name": self.folder.name, "sha256": hashlib.sha256(content).hexdigest()}
        write_aside(self.folder / "training.safetensors", content)
        write_json(self.folder / "training.json", facts | {"snapshots": self.kept, "checks": checks}, indent=None)

    def snapshot(self, rows: int, weights: dict[str, Any]) -> None:
        from safetensors.torch import save

        (self.folder / "snapshots").mkdir(parents=True, exist_ok=True)
        name, content = f"{rows}.safetensors", save(weights)
        write_aside(self.folder / "snapshots" / name, content)
        self.kept[name] = hashlib.sha256(content).hexdigest()

    def close(self, home: Path, model: Any, settings: Settings, facts: Settings) -> None:
        """Makes the folder the home of the finished model, whole or not at all."""
        from safetensors.torch import save

        self.folder.mkdir(parents=True, exist_ok=True)
        content = save(model.state_dict())
        record = {"fingerprint": fingerprint(settings), "settings": settings, "snapshots": self.kept}
        record |= {"sha256": hashlib.sha256(content).hexdigest()} | facts
        write_aside(self.folder / "model.safetensors", content)
        write_json(self.folder / "model.json", record)
        for name in ("training.safetensors", "training.json"):
            (self.folder / name).unlink(missing_ok=True)
        if home.exists():  # a damaged one
            shutil.rmtree(home)
        self.folder.rename(home)


@dataclass(frozen=True)
class Trained:
    """A trained model as a study gets it: itself, and where it is kept."""

    model: Any
    home: Path

    def snapshots(self) -> dict[int, Path]:
        """Files of the weights kept during training, by rows seen."""
        names = read(self.home)["snapshots"]
        return {rows: self.home / "snapshots" / f"{rows}.safetensors" for rows in sorted(map(rows_of, names))}

    def at(self, snapshot: Path) -> Any:
        """A copy of the model with the weights of a snapshot. Raises Damaged if they are not what was written."""
        from safetensors.torch import load

        try:
            content = snapshot.read_bytes()
        except OSError as error:
            raise Damaged(f"{snapshot} is gone: remove {self.home}, and it is trained again") from error
        if read(self.home)["snapshots"].get(snapshot.name) != hashlib.sha256(content).hexdigest():
            raise Damaged(f"{snapshot} has changed since it was written: remove {self.home}, and it is trained again")
        model = deepcopy(self.model)
        model.load_state_dict(load(content))
        return model


def rows_of(name: str) -> int:
    """The rows seen by a snapshot of this name. Raises Damaged for another name."""
    number, _, ending = name.partition(".")
    if not number.isdigit() or ending != "safetensors":
        raise Damaged(f"{name} is no name of a snapshot")
    return int(number)


def read(folder: Path) -> Settings:
    """The record of the model in a folder: whole, of the kind that it must be, and of the settings that it is named
    for. Nothing that it names is imported. Raises Damaged if it is not so.
    """
    path = folder / "model.json"
    try:
        record = read_json(path)
        check("model.json", record, ModelRecord)
    except FileNotFoundError as error:
        raise Damaged(f"{folder} cannot be read as a model (there is no model.json)") from error
    except ValueError as error:
        raise Damaged(f"{folder} cannot be read as a model ({error})") from error
    if record["fingerprint"] != fingerprint(record["settings"]):
        raise Damaged(f"{path} has changed since it was written: its settings are not those of its fingerprint")
    return record


def load(folder: Path, model: Any, settings: Settings) -> Settings:
    """Reads stored weights into `model`; returns the record beside them. Raises Damaged if the two do not agree."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    record = read(folder)
    if (named := record["fingerprint"]) != fingerprint(settings):
        raise Damaged(f"{folder} holds the model {named}, not the one it is named for")
    path = folder / "model.safetensors"
    try:
        content = path.read_bytes()
        if record["sha256"] != hashlib.sha256(content).hexdigest():
            raise Damaged(f"{path} has changed since it was written")
        model.load_state_dict(load(content))
    except OSError as error:
        raise Damaged(f"{folder} cannot be read as a model ({error})") from error
    except (SafetensorError, RuntimeError) as error:
        raise Damaged(f"{path} does not fit its settings ({error})") from error
    return record
