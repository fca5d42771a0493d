"""Files and folders that are either whole or not there: each is written under a temporary name, then renamed."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yields a temporary name to write a file under, which is then renamed to `path`.

    If the writing raises, `path` stays as it was.
    """
    other = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield other
        other.replace(path)
    finally:
        other.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a temporary folder to write files in, which is then renamed to `path`.

    If the writing raises, the temporary folder is deleted. Raises ValueError if `path` already holds files.
    """
    if path.is_dir() and any(path.iterdir()):
        raise ValueError(f"{path} holds files already: name a new folder")
    other = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        other.mkdir(parents=True)
        yield other
        other.replace(path)
    finally:
        shutil.rmtree(other, ignore_errors=True)


def write_aside(path: Path, content: Iterable[str] | bytes) -> None:
    """Writes bytes, text or pieces of either to a file, whole or not at all."""
    with aside(path) as other, other.open("wb") as file:
        pieces = [content] if isinstance(content, str | bytes) else content
        file.writelines(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
        file.flush()
        os.fsync(file.fileno())
