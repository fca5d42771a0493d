"""Records: one measured number with its unit and coordinates, one JSON line each."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from alchemy.results.files import write_aside

COORDINATES = ["axis", "kind", "domain", "level"]
UNITS = ("share", "bits", "nats", "tokens", "count", "ratio")  # a share lies from 0 to 1; a ratio may be any number


@dataclass(frozen=True)
class Record:
    """`value` of `metric` in its `unit`, one of UNITS, measured on `count` problems with a standard `error`, at the
    coordinates `at`.
    """

    metric: str
    value: float
    error: float
    count: int
    at: dict[str, str | int | float]
    unit: str


def write(path: Path, records: Iterable[Record]) -> dict[str, Any]:
    """Writes records, one a line; returns what they are known by: their `sha256`, and the number of `lines`."""
    lines = [json.dumps(asdict(record)) + "\n" for record in records]
    content = "".join(lines).encode()
    write_aside(path, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "lines": len(lines)}


def looked_at(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says besides its place. Raises ValueError, KeyError or TypeError if it is of another kind."""
    at, value, error, count = record["at"], record["value"], record["error"], record["count"]
    texts = (record["metric"], *(at[name] for name in ("axis", "kind", "domain", "setting", "part")))
    unit = record["unit"]
    numbers = type(value) in (int, float) and type(error) in (int, float) and type(count) is int
    places = type(at["level"]) is int and type(at["seed"]) is int
    own = all(type(its) in (str, int, float) for its in at.values())
    if (
        not (numbers and places and own and all(type(text) is str for text in texts))
        or count < 0
        or error < 0
        or unit not in UNITS
    ):
        raise ValueError("this is no record")
    if inf in (abs(value), error):
        raise ValueError("this is no number that the lab has measured")
    return {"metric": record["metric"], "unit": unit, "value": value, "error": error, "count": count}


def job_folder(folder: Path, number: int) -> Path:
    """Where job `number` of a sweep wrote; a single run has its files in the folder itself (number -1)."""
    return folder if number < 0 else folder / str(number)
