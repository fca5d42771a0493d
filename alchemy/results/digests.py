"""Digests of contents and of files, and JSON records that carry their own checksum. Digests of code are in code.py.

`read_json` returns what `write_json` wrote, or raises Damaged. What a record belongs to (the settings of a model, the
key of a cell) is part of the record, and whoever reads it compares that.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from alchemy.results.files import write_aside

CHECKSUM = "checksum"  # entry of a record that holds the digest of all other entries


class Damaged(ValueError):
    """Error for a stored file that is not what was written, or not what its name says."""


def digest(content: object, size: int = 64) -> str:
    """First `size` hex digits of the SHA-256 of `content` as JSON. The order of keys does not matter."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:size]


def sha256(path: Path) -> str:
    """SHA-256 of a file in hex digits. The file may be of any size, as it is never held in memory whole."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_json(path: Path, content: dict[str, Any], indent: int | None = 1) -> None:
    """Writes a record and its checksum to a JSON file, whole or not at all.

    Raises TypeError for content that JSON cannot hold.
    """
    plain = json.loads(json.dumps(content))  # as read_json will read it
    write_aside(path, json.dumps(plain | {CHECKSUM: digest(plain)}, indent=indent) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Record that `write_json` wrote, without its checksum.

    Raises FileNotFoundError if there is no file, and Damaged if its content is not what was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checksum = content.pop(CHECKSUM)
        if checksum == digest(content):
            return content
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} has changed since it was written, and cannot be read") from error
    raise Damaged(f"{path} has changed since it was written")


def seal(path: Path, of: str) -> None:
    """Writes a record beside a file, such as cells.json beside cells.csv.

    It holds the file's name and SHA-256, and `of`, a digest of what the file was made from.
    """
    write_json(path.with_suffix(".json"), {"name": path.name, "sha256": sha256(path), "of": of})


def unsealed(path: Path, of: str) -> None:
    """Checks a file against the record that `seal` wrote beside it.

    Raises Damaged if the file has changed, or was made from something else than `of`. A file without a record passes if
    `of` is empty.
    """
    try:
        record = read_json(path.with_suffix(".json"))
    except FileNotFoundError:
        record = {}
        if not of:
            return
    if (record.get("name"), record.get("sha256"), record.get("of")) != (path.name, sha256(path), of):
        again = f"python -m alchemy draw {path.parent} writes it anew"
        raise Damaged(f"{path} has changed since it was written: {again}")
