"""Files that are whole or not there: written aside under another name, then renamed."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Another name to write a file under, which is then renamed: whole or, if the writing raises, not at all."""
    other = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield other
        other.replace(path)
    finally:
        other.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Another folder to write files in, which is then renamed: whole or, if the writing raises, not at all. Raises
    ValueError if there is one of that name with files in it.
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
    """Writes a file whole or not at all, piece by piece if it is pieces."""
    with aside(path) as other, other.open("wb") as file:
        pieces = [content] if isinstance(content, str | bytes) else content
        file.writelines(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
        file.flush()
        os.fsync(file.fileno())
