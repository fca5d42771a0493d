"""Digests of contents, of files and of code; and records in JSON that know their own.

A record is bound to what it says: `read_json` gives back what `write_json` wrote, or raises Damaged. What a record is
*for* (a model's settings, a cell's key) stands in it too, and whoever reads it compares that.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from importlib.util import find_spec, resolve_name
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


def code_digest(*modules: str) -> str:
    """Digest of the source of modules, so that no model and no result outlives the code that made it."""
    sources = [Path(str(find_spec(name).origin)).read_bytes() for name in modules]  # type: ignore[union-attr]
    return hashlib.sha256(b"\0".join(sources)).hexdigest()


def used_by(*modules: str) -> tuple[str, ...]:
    """These modules, all of their own packages that they import, directly or not, and what those import of the lab."""
    own = {name.partition(".")[0] for name in modules}
    found: list[str] = []
    more = [*modules]
    while more:
        name = more.pop(0)
        if name in found:
            continue
        found.append(name)
        if name.partition(".")[0] in own:
            more += [one for one in imports_of(name) if one.partition(".")[0] in (*own, "alchemy") and is_module(one)]
    return tuple(found)


def imports_of(module: str) -> Iterator[str]:
    """Dotted names of all that a module imports, anywhere in it; also of what may be a module or be in one."""
    spec = find_spec(module)
    assert spec is not None, module
    for node in ast.walk(ast.parse(Path(str(spec.origin)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = spec.parent if spec.submodule_search_locations is None else module
            name = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def is_module(name: str) -> bool:
    """Whether this is the name of a module that is a file of Python."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return False
    return spec is not None and str(spec.origin).endswith(".py")


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
