"""The compiler's files on disk, each with its digest: a damaged one is compiled anew, and never loaded.

Numba keeps machine code, as pickles, in the package's __pycache__ (or where NUMBA_CACHE_DIR says), and takes it as it
lies there. Here a file begins with the SHA-256 of its name and the rest.
"""

# mypy: allow-untyped-calls

import hashlib
import pickle
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

DIGEST = hashlib.sha256().digest_size  # bytes


class CheckedFiles(IndexDataCacheFile):
    """Numba's index and data files of one function. One that cannot be read, or not be written, is as good as none."""

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = self._read(Path(self._index_path))
        except (OSError, ValueError):
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(Path(self._data_path(name)))  # an OSError is Numba's own sign for what is not there

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: Path) -> Any:
        content = path.read_bytes()
        if content[:DIGEST] != hashlib.sha256(path.name.encode() + content[DIGEST:]).digest():
            raise OSError(f"{path} has changed since it was written")
        return pickle.loads(content[DIGEST:])  # noqa: S301 our own, as it was written

    def _write(self, path: str, data: Any) -> None:
        content = self._dump(data)
        try:
            with self._open_for_write(path) as file:
                file.write(hashlib.sha256(Path(path).name.encode() + content).digest() + content)
        except OSError:  # a full disk: compiled again next time
            return


def keep_checked(function: Any) -> None:
    """Has the files of a function compiled by Numba checked whenever they are read."""
    cache = function._cache
    theirs = cache._cache_file
    cache._cache_file = CheckedFiles(
        cache_path=theirs._cache_path,
        filename_base=theirs._index_name.removesuffix(".nbi") + ".checked",
        source_stamp=theirs._source_stamp,
    )
