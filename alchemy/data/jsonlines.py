"""Files of JSON lines, one object a line, as people save them: with a byte order mark, Windows line ends, empty lines,
or packed by gzip.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

LONGEST_LINE = 100_000  # bytes
SPACE = 64  # bytes: a shorter line may consist of Unicode spaces alone, and counts as empty
MARK = b"\xef\xbb\xbf"  # byte order mark of UTF-8
GZIP = b"\x1f\x8b"
OTHERS = {  # first bytes of files that are not UTF-8 text, and what the message says of them
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
    b"\0\0\xfe\xff": "text in UTF-32: save it as UTF-8",
    b"PK\x03\x04": "packed by zip: unpack it, or pack it by gzip",
    b"BZh": "packed by bzip2: unpack it, or pack it by gzip",
    b"\xfd7zXZ": "packed by xz: unpack it, or pack it by gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstandard: unpack it, or pack it by gzip",
}


def lines(path: Path, name: str, asked: str) -> Iterator[tuple[int, Any]]:
    """Yields the line number and the parsed value of each line of a file. Empty lines are counted, but not yielded. If
    an object has a key twice, the last value holds, as in the released scorer.

    Raises ValueError for a file that is not there, is damaged or is not UTF-8 text, and for a line that is too long or
    not JSON. The message calls the file `name`, and says what a line should be, which is `asked`.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file" if path.exists() or path.is_symlink() else "not there"
        raise ValueError(f"{name} is {what}: name a file with {asked}")
    with path.open("rb") as stored:
        packed = stored.read(len(GZIP)) == GZIP
        stored.seek(0)
        if not packed:
            yield from parsed(stored, name, asked)
            return
        try:
            with io.BufferedReader(cast(io.RawIOBase, gzip.open(stored))) as file:
                yield from parsed(file, name, asked)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{name} is damaged ({error}): pack it anew by gzip, or unpack it") from None


def parsed(file: BinaryIO, name: str, asked: str) -> Iterator[tuple[int, Any]]:
    """Yields the same as `lines`, from an open file of unpacked bytes."""
    number, first = 0, True
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        where = f"{name} line {number}"
        if number == 1:
            check_kind(raw, name)
            raw = raw.removeprefix(MARK)
        text = raw.strip()
        if len(text) < SPACE and not text.decode("utf-8", "replace").strip() and len(raw) <= LONGEST_LINE:
            continue
        if first and text.startswith(b"["):
            raise ValueError(
                f"{name} is one JSON array, where one object a line is asked for: write each of its objects on a line "
                "of its own, without the brackets and commas"
            )
        first = False
        if len(raw) > LONGEST_LINE:
            raise ValueError(f"{where} has more than {LONGEST_LINE:,} bytes: shorten it or remove it")
        try:
            yield number, json.loads(text.decode("utf-8"))
        except UnicodeDecodeError:
            raise ValueError(f"{where} is not UTF-8: write the file anew in that encoding") from None
        except (ValueError, RecursionError) as error:
            begun = isinstance(error, json.JSONDecodeError) and error.pos >= len(error.doc) and text.startswith(b"{")
            what = "not JSON, but the beginning of an object" if begun else "not JSON"
            raise ValueError(f"{where} is {what}: {asked}") from None


def check_kind(raw: bytes, name: str) -> None:
    """Raises ValueError if a file whose first line is `raw` is not UTF-8 text."""
    for start, what in OTHERS.items():
        if raw.startswith(start):
            raise ValueError(f"{name} is {what}")
    if b"\0" in raw[:4]:
        raise ValueError(f"{name} is no text in UTF-8, since it begins with zeros: save it as UTF-8")
