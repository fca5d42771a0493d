"""Where trained models are kept: under a fingerprint of all that made them, and nothing else."""

import hashlib
import json
import shutil
from copy import deepcopy
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

from alchemy.records import write_aside

Settings = dict[str, Any]

PAUSE = 30.0  # seconds between two times that a training is put down
ROWS = (
    "alchemy.batch",
    "alchemy.noise",
    "alchemy.seeds",
    "alchemy.shift",
    "alchemy.task",
    "alchemy.tokenizer",
    "alchemy.vocabulary",
)
TRAINING = (
    *ROWS,
    "alchemy.attention",
    "alchemy.kernels",
    "alchemy.evaluate",
    "alchemy.model",
    "alchemy.pieces",
    "alchemy.train",
)  # the code that decides weights
MEASURING = (
    *ROWS,
    "alchemy.attention",
    "alchemy.kernels",
    "alchemy.evaluate",
    "alchemy.model",
    "alchemy.replay",
    "alchemy.maps",
    "alchemy.diagnose",
    "alchemy.diagnosis",
    "alchemy.trace",
    "alchemy.discrepancy",
    "alchemy.score",
    "alchemy.statistics",
    "alchemy.measure",
)  # and that decides scores


class Damaged(ValueError):
    """A stored model or cell is not what its own record says."""


def digest(content: object, size: int) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:size]


def fingerprint(settings: Settings) -> str:
    """16 hex digits of everything that decides a model's weights: task, model, recipe, seed, code, device, precision,
    threads, tokens.
    """
    return digest(settings, 16)


@dataclass
class Partial:
    """A model in training: what it needs to go on, and its snapshots, in a folder that becomes the model's own.

    What is put down within PAUSE seconds of the last time is not written.
    """

    folder: Path
    last: float = field(default_factory=monotonic)

    def resume(self) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            content = (self.folder / "training.safetensors").read_bytes()
            facts = json.loads((self.folder / "training.json").read_text(encoding="utf-8"))
            if facts["sha256"] != hashlib.sha256(content).hexdigest():
                return None  # stopped between the two files
            return load(content), facts["checks"]
        except (OSError, KeyError, TypeError, ValueError, SafetensorError):
            return None

    def put_down(self, state: dict[str, Any], checks: list[dict[str, Any]]) -> None:
        from safetensors.torch import save

        if monotonic() - self.last < PAUSE:
            return
        self.last = monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        content = save({name: value.contiguous() for name, value in state.items()})
        facts = {"sha256": hashlib.sha256(content).hexdigest(), "checks": checks}
        write_aside(self.folder / "training.safetensors", content)
        write_aside(self.folder / "training.json", json.dumps(facts))

    def snapshot(self, rows: int, weights: dict[str, Any]) -> None:
        from safetensors.torch import save

        (self.folder / "snapshots").mkdir(parents=True, exist_ok=True)
        write_aside(self.folder / "snapshots" / f"{rows}.safetensors", save(weights))

    def close(self, home: Path, model: Any, settings: Settings, facts: Settings) -> None:
        """Makes the folder the home of the finished model, whole or not at all."""
        from safetensors.torch import save

        self.folder.mkdir(parents=True, exist_ok=True)
        content = save(model.state_dict())
        weights = hashlib.sha256(content).hexdigest()
        kept = {path.name: sha256(path) for path in sorted((self.folder / "snapshots").glob("*.safetensors"))}
        record = {"fingerprint": fingerprint(settings), "settings": settings, "sha256": weights, "snapshots": kept}
        record |= facts
        write_aside(self.folder / "model.safetensors", content)
        write_aside(self.folder / "model.json", json.dumps(record, indent=1))
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
        found = {int(path.stem): path for path in (self.home / "snapshots").glob("*.safetensors")}
        return dict(sorted(found.items()))

    def at(self, snapshot: Path) -> Any:
        """A copy of the model with the weights of a snapshot. Raises Damaged if they are not what was written."""
        from safetensors.torch import load_file

        record = json.loads((self.home / "model.json").read_text(encoding="utf-8"))
        if record["snapshots"].get(snapshot.name) != sha256(snapshot):
            raise Damaged(f"{snapshot} has changed since it was written: remove {self.home}, and it is trained again")
        model = deepcopy(self.model)
        model.load_state_dict(load_file(snapshot))
        return model


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


def sha256(path: Path) -> str:
    """Of a file of any size, which is not held in memory."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def code_digest(*modules: str) -> str:
    """Digest of the source of modules, so that no model and no result outlives the code that made it."""
    sources = [Path(str(find_spec(name).origin)).read_bytes() for name in modules]  # type: ignore[union-attr]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()
