"""A cache of compiled code with checksums: a damaged file is compiled again, and never loaded.

Numba keeps machine code, as pickles, in the package's __pycache__ (or in NUMBA_CACHE_DIR), and loads it unchecked. With
this cache, each file begins with the SHA-256 of its name and content.
"""

# mypy: allow-untyped-calls

import hashlib
import pickle
from pathlib import Path
from typing import Any

from numba.core.caching import IndexDataCacheFile

DIGEST = hashlib.sha256().digest_size  # bytes


class CheckedFiles(IndexDataCacheFile):
    """Numba's index and data files of one function, with checksums. A file that cannot be read counts as missing. If
    one cannot be written, the function is compiled again next time.
    """

    def _load_index(self) -> dict[Any, str]:
        try:
            version, stamp, overloads = self._read(Path(self._index_path))
        except (OSError, ValueError):
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(Path(self._data_path(name)))  # Numba takes an OSError to mean that there is no file

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    def _read(self, path: Path) -> Any:
        content = path.read_bytes()
        if content[:DIGEST] != hashlib.sha256(path.name.encode() + content[DIGEST:]).digest():
            raise OSError(f"{path} has changed since it was written")
        return pickle.loads(content[DIGEST:])  # noqa: S301 written by this class, as the checksum shows

    def _write(self, path: str, data: Any) -> None:
        content = self._dump(data)
        try:
            with self._open_for_write(path) as file:
                file.write(hashlib.sha256(Path(path).name.encode() + content).digest() + content)
        except OSError:  # a full disk: compiled again next time
            return


def keep_checked(function: Any) -> None:
    """Makes Numba check the cached files of a compiled function whenever it reads them."""
    cache = function._cache
    theirs = cache._cache_file
    cache._cache_file = CheckedFiles(
        cache_path=theirs._cache_path,
        filename_base=theirs._index_name.removesuffix(".nbi") + ".checked",
        source_stamp=theirs._source_stamp,
    )
