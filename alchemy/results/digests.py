"""Digests of contents and of files; and records in JSON that know their own (code.py has those of code).

A record is bound to what it says: `read_json` gives back what `write_json` wrote, or raises Damaged. What a record is
*for* (a model's settings, a cell's key) stands in it too, and whoever reads it compares that.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from alchemy.results.files import write_aside

CHECKSUM = "checksum"  # the entry of a record that holds the digest of all others


class Damaged(ValueError):
    """What is stored is not what was written, or not what it is named for."""


def digest(content: object, size: int = 64) -> str:
    """`size` hex digits of the SHA-256 of `content` as JSON, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:size]


def sha256(path: Path) -> str:
    """Of a file of any size, which is not held in memory."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_json(path: Path, content: dict[str, Any], indent: int | None = 1) -> None:
    """Writes a record with its checksum, whole or not at all. Raises TypeError for what JSON cannot hold."""
    plain = json.loads(json.dumps(content))  # as it will be read
    write_aside(path, json.dumps(plain | {CHECKSUM: digest(plain)}, indent=indent) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A record as `write_json` wrote it, without its checksum. Raises Damaged if it is not, and FileNotFoundError if
    there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        told = content.pop(CHECKSUM)
        if told == digest(content):
            return content
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} has changed since it was written, and cannot be read") from error
    raise Damaged(f"{path} has changed since it was written")


def seal(path: Path, of: str) -> None:
    """Writes beside a file, such as cells.csv, a record of its digest, and what it was made `of`: cells.json."""
    write_json(path.with_suffix(".json"), {"name": path.name, "sha256": sha256(path), "of": of})


def unsealed(path: Path, of: str) -> None:
    """Raises Damaged if a file is not what the record beside it says, or was made of something else. Where there is no
    record it is taken as it is, unless there is something that it should be made `of`.
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
