"""Where measured cells are kept: under a digest of all that decides them, and nothing else."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from numpy.typing import NDArray

from alchemy.records import aside, write_aside
from alchemy.store import Damaged, digest
from alchemy.task import Distribution

log = logging.getLogger(__name__)

Values = dict[str, dict[str, tuple[float, float]]]  # part -> metric -> value and its standard error over rows
Rows = dict[str, NDArray]  # column -> one entry a row, (B,)


@dataclass(frozen=True)
class Cell:
    """What was measured at one Distribution; `rows`, what each row came to, stay in their file when it is read back."""

    values: Values
    rows: Rows | None = None


class Known(Protocol):
    """What a study asks of the cells measured so far; a dict will do."""

    def __contains__(self, where: object) -> bool: ...
    def __getitem__(self, where: Distribution) -> Cell: ...
    def __setitem__(self, where: Distribution, cell: Cell) -> None: ...
    def under(self, **circumstances: object) -> "Known": ...


class Cells:
    """Measured cells of one model by Distribution: the values of each in a small JSON file, its rows in a Parquet file
    of the same name; `key` is whatever else decides them. With `force`, what was measured before is not known.
    """

    def __init__(self, folder: Path, key: object, force: bool = False) -> None:
        self.folder, self.key, self.force = folder, key, force

    def under(self, **circumstances: object) -> "Cells":
        """The cells of this model under circumstances of a study's own, such as the rows it was fine-tuned on."""
        return Cells(self.folder, [self.key, circumstances], self.force)

    def path(self, where: Distribution) -> Path:
        return self.folder / f"{digest([self.key, asdict(where)], 24)}.json"

    def __contains__(self, where: object) -> bool:
        if self.force or not isinstance(where, Distribution) or not self.path(where).exists():
            return False
        try:
            return bool(self[where].values)
        except (OSError, ValueError) as error:
            log.warning("%s; the cell is measured again", error)
            return False

    def __getitem__(self, where: Distribution) -> Cell:
        path = self.path(where)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["sha256"] == digest(content["values"], 64):
                return Cell(content["values"])
        except (KeyError, TypeError, ValueError):
            pass
        raise Damaged(f"{path} has changed since it was written")

    def __setitem__(self, where: Distribution, cell: Cell) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(where)
        if cell.rows:
            write_parquet(path.with_suffix(".parquet"), cell.rows)
        content = {"sha256": digest(cell.values, 64), "values": cell.values}
        write_aside(path, json.dumps(content))  # last: it says that the cell is whole


def write_parquet(path: Path, rows: Rows) -> None:
    """Writes columns whole or not at all."""
    import duckdb

    lab = duckdb.default_connection()  # a new one would take as long as all the rest
    lab.register("rows", rows)
    try:
        with aside(path) as other:
            lab.table("rows").write_parquet(str(other))
    except duckdb.IOException as error:
        raise OSError(f"{path} cannot be written ({str(error).splitlines()[0]})") from None
    finally:
        lab.unregister("rows")
