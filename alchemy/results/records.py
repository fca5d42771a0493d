"""Records: each is one measured number with its unit and coordinates, and is stored as one line of JSON."""

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
    """One measured number: the `value` of a `metric` in its `unit`, one of UNITS.

    It was measured on `count` problems and has the standard error `error`. `at` holds its coordinates: seed, axis,
    kind, domain, level, setting and part, and those that a study adds.

    >>> at = {"seed": 0, "axis": "task", "kind": "-", "domain": "-", "level": 1, "setting": "F2F2", "part": "answer"}
    >>> Record("exact_match", 0.75, 0.05, count=80, at=at, unit="share").value
    0.75
    """

    metric: str
    value: float
    error: float
    count: int
    at: dict[str, str | int | float]
    unit: str


def write_records(path: Path, records: Iterable[Record]) -> dict[str, Any]:
    """Writes records to a file, one a line. Returns their checksum (`sha256`) and their number (`lines`)."""
    lines = [json.dumps(asdict(record)) + "\n" for record in records]
    content = "".join(lines).encode()
    write_aside(path, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "lines": len(lines)}


def looked_at(record: dict[str, Any]) -> dict[str, Any]:
    """Contents of a record that was read from JSON, checked and without its coordinates.

    Raises ValueError, KeyError or TypeError if it is not a record.
    """
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
    """Folder of job `number` of a sweep. A single run, whose number is -1, has its files in `folder` itself."""
    return folder if number < 0 else folder / str(number)
