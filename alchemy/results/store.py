"""Storage of trained models.

Each model is kept under a fingerprint of everything that decides its weights, and of nothing else.
"""

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

PAUSE = 30.0  # seconds, at least, between two saves of a training


class ModelRecord(TypedDict):
    """Contents of model.json, which describes a stored model, besides the checksum."""

    fingerprint: str
    settings: dict
    sha256: str  # of its weights
    snapshots: dict[str, str]  # name and SHA-256 of each file of weights kept during training
    parameters: int
    rows: int  # seen in training
    exact_match: float | None  # on held-out problems, at the end
    checks: tuple[dict[str, float | None], ...]  # during training, see alchemy.training.fit.Progress


class TrainingRecord(TypedDict):
    """Contents of training.json, which describes the saved state of an unfinished training, besides the checksum."""

    name: str  # of the folder of this file
    sha256: str  # of training.safetensors
    snapshots: dict[str, str]
    checks: tuple[dict[str, float | None], ...]


def fingerprint(settings: Settings) -> str:
    """Fingerprint of a model: 16 hex digits of a digest of everything that decides its weights.

    `settings` hold task, model, recipe, seed, code, device, precision, threads, tokens and slots. A class counts by its
    name and its code, whichever module it is in.
    """
    return digest(by_name(settings), 16)


def weights_digest(model: Any) -> str:
    """SHA-256 of a model's weights, computed as that in its model.json is."""
    from safetensors.torch import save

    return hashlib.sha256(save(model.state_dict())).hexdigest()


def by_name(settings: Any) -> Any:
    """The same settings, with each `_target_` cut to the last part of its dotted name."""
    if isinstance(settings, dict):
        named = {key: by_name(value) for key, value in settings.items()}
        if isinstance(target := named.get("_target_"), str):
            named["_target_"] = target.rpartition(".")[2]
        return named
    return [by_name(value) for value in settings] if isinstance(settings, list | tuple) else settings


def partial_of(home: Path) -> Path:
    """Folder of a model in training that is to be stored in `home`."""
    return home.with_name(f".{home.name}.partial")


def lock_of(home: Path) -> Path:
    """File whose lock a process holds while it trains the model that is to be stored in `home`."""
    return home.with_name(f".{home.name}.lock")


@dataclass
class Partial:
    """A model in training: the state that it resumes from, and its snapshots, in a folder that becomes the finished
    model's.

    `save` writes nothing if less than PAUSE seconds have passed since the last time, or since the start.
    """

    folder: Path
    last: float = field(default_factory=monotonic)
    kept: dict[str, str] = field(default_factory=dict)  # name and SHA-256 of each snapshot

    def resume(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """Saved state of the training and its checks so far; None if nothing valid is saved."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            content = (self.folder / "training.safetensors").read_bytes()
            facts = read_json(self.folder / "training.json")
            check("training.json", facts, TrainingRecord)
            if (facts["name"], facts["sha256"]) != (self.folder.name, hashlib.sha256(content).hexdigest()):
                return None  # it was stopped between writing the two files, or is another model's
            [*map(rows_of, facts["snapshots"])]  # raises for what is no name of a snapshot
            state = load(content)
        except (OSError, ValueError, SafetensorError):
            return None
        self.kept = facts["snapshots"]
        return state, facts["checks"]

    def clear(self) -> None:
        """Deletes everything that is saved."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.kept = {}

    def save(self, state: dict[str, Any], checks: list[dict[str, Any]]) -> None:
        """Saves the state of the training and its checks so far, at most once in PAUSE seconds."""
        from safetensors.torch import save

        if monotonic() - self.last < PAUSE:
            return
        self.last = monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        content = save({name: value.clone() for name, value in state.items()})  # they may share memory
        facts = {"name": self.folder.name, "sha256": hashlib.sha256(content).hexdigest()}
        write_aside(self.folder / "training.safetensors", content)
        write_json(self.folder / "training.json", facts | {"snapshots": self.kept, "checks": checks}, indent=None)

    def snapshot(self, rows: int, weights: dict[str, Any]) -> None:
        """Keeps weights as a snapshot, under the number of rows seen."""
        from safetensors.torch import save

        (self.folder / "snapshots").mkdir(parents=True, exist_ok=True)
        name, content = f"{rows}.safetensors", save({name: value.clone() for name, value in weights.items()})
        write_aside(self.folder / "snapshots" / name, content)
        self.kept[name] = hashlib.sha256(content).hexdigest()

    def close(self, home: Path, model: Any, settings: Settings, facts: Settings) -> None:
        """Writes the finished model and renames the folder to `home`, whole or not at all."""
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
    """A trained model as a study receives it: the `model`, and the folder `home` that it is kept in.

    >>> import alchemy as al  # doctest: +SKIP
    >>> trained = al.train(al.compose("train.snapshots=8"))  # doctest: +SKIP
    >>> early = trained.at(min(trained.snapshots().values()))  # doctest: +SKIP
    """

    model: Any
    home: Path

    def snapshots(self) -> dict[int, Path]:
        """Files of the weights kept during training, by rows seen, in ascending order."""
        names = read_model(self.home)["snapshots"]
        return {rows: self.home / "snapshots" / f"{rows}.safetensors" for rows in sorted(map(rows_of, names))}

    def at(self, snapshot: Path) -> Any:
        """Copy of the model with the weights of a snapshot. Raises Damaged if the file is gone or has changed."""
        from safetensors.torch import load

        try:
            content = snapshot.read_bytes()
        except OSError as error:
            raise Damaged(f"{snapshot} is gone: remove {self.home}, and it is trained again") from error
        if read_model(self.home)["snapshots"].get(snapshot.name) != hashlib.sha256(content).hexdigest():
            raise Damaged(f"{snapshot} has changed since it was written: remove {self.home}, and it is trained again")
        model = deepcopy(self.model)
        model.load_state_dict(load(content))
        return model


def rows_of(name: str) -> int:
    """Number of rows seen that the file name of a snapshot states. Raises Damaged for any other name."""
    number, _, ending = name.partition(".")
    if not number.isdigit() or ending != "safetensors":
        raise Damaged(f"{name} is no name of a snapshot")
    return int(number)


def read_model(folder: Path) -> Settings:
    """Checked record of the model in a folder.

    Raises Damaged if model.json is missing, has changed or is of another kind, or if its settings are not those of its
    fingerprint. Nothing that the record names is imported.
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


def load_weights(folder: Path, model: Any, settings: Settings) -> Settings:
    """Reads stored weights into `model`. Returns the record beside them.

    Raises Damaged if weights, record and `settings` do not agree.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    record = read_model(folder)
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
