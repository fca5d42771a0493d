"""Storage of measured cells.

Each cell is kept under a digest of everything that decides its numbers, and of nothing else.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict

from numpy.typing import NDArray

from alchemy.data.kinds import check
from alchemy.data.task import Distribution
from alchemy.results.digests import Damaged, digest, read_json, sha256, write_json
from alchemy.results.files import aside

log = logging.getLogger(__name__)

NAMED = 24  # digits of a cell's key that name its files
Settings = dict[str, Any]

Values = dict[str, dict[str, tuple[float, float]]]  # part -> metric -> value and its standard error over rows
Rows = dict[str, NDArray]  # column -> one entry per row, (B,)


@dataclass(frozen=True)
class Cell:
    """Numbers measured at one Distribution.

    `values` holds a value and its standard error over rows, by part and metric. `rows` holds one entry per row in each
    column. It is None for a cell that is read from disk, whose rows stay in their file.

    >>> Cell({"full": {"exact_match": (0.75, 0.05)}}).values["full"]["exact_match"]
    (0.75, 0.05)
    """

    values: Values
    rows: Rows | None = None


class Known(Protocol):
    """Interface of the store of measured cells, as a study uses it.

    A dict serves for a study that does not call `under`.
    """

    def __contains__(self, where: object) -> bool: ...
    def __getitem__(self, where: Distribution) -> Cell: ...
    def __setitem__(self, where: Distribution, cell: Cell) -> None: ...
    def under(self, **circumstances: object) -> "Known": ...


class CellRecord(TypedDict):
    """Contents of a cell's JSON file, besides the checksum."""

    key: str  # digest of everything that decides the cell; its first NAMED digits name the file
    values: dict[str, dict[str, tuple[float, ...]]]
    rows: str | None  # SHA-256 of the Parquet file beside it, if there is one


class Cells:
    """Store of the measured cells of one model, by Distribution.

    The values of a cell are in a small JSON file in `folder`, its rows in a Parquet file of the same name. `key` is
    everything besides the Distribution that decides the numbers. With `force`, no cell counts as measured, so all are
    measured again. Reading a cell raises Damaged if its files have changed; `in` is False for such a cell, with a
    warning.
    """

    def __init__(self, folder: Path, key: object, force: bool = False) -> None:
        self.folder, self.key, self.force = folder, key, force

    def under(self, **circumstances: object) -> "Cells":
        """Store of this model's cells under circumstances that a study adds, such as the rows it was fine-tuned on."""
        return Cells(self.folder, [self.key, circumstances], self.force)

    def named(self, where: Distribution) -> str:
        """Digest of everything that decides the cell at `where`."""
        return digest([self.key, asdict(where)])

    def path(self, where: Distribution) -> Path:
        """JSON file of the cell at `where`."""
        return self.folder / f"{self.named(where)[:NAMED]}.json"

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
        if (record := read_cell(path))["key"] != self.named(where):
            raise Damaged(f"{path} is another cell than the one it is named for")
        return Cell(record["values"])

    def __setitem__(self, where: Distribution, cell: Cell) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(where)
        rows = path.with_suffix(".parquet")
        if cell.rows:
            write_parquet(rows, cell.rows)
        content = {"key": self.named(where), "values": cell.values, "rows": sha256(rows) if cell.rows else None}
        write_json(path, content, indent=None)  # written last: with it, the cell is complete


def read_cell(path: Path) -> Settings:
    """Record of a cell, read from its JSON file and checked.

    Raises Damaged if the record has changed or is of another kind, if its key does not match the name of its file, or
    if its rows are missing or have changed.
    """
    try:
        record = read_json(path)
        check("the cell", record, CellRecord)
        pairs = all(len(pair) == 2 for metrics in record["values"].values() for pair in metrics.values())
    except (OSError, ValueError) as error:
        raise error if isinstance(error, Damaged) else Damaged(f"{path} is no cell ({error})") from error
    if not pairs or record["key"][:NAMED] != path.stem:
        raise Damaged(f"{path} is not the cell that it is named for")
    if record["rows"] is not None:
        rows = path.with_suffix(".parquet")
        try:
            same = sha256(rows) == record["rows"]
        except OSError as error:
            raise Damaged(f"{rows} cannot be read ({error.strerror})") from error
        if not same:
            raise Damaged(f"{rows} has changed since it was written")
    return record


def write_parquet(path: Path, rows: Rows) -> None:
    """Writes columns to a Parquet file, whole or not at all. Raises OSError if it cannot be written."""
    import duckdb

    lab = duckdb.default_connection()  # a new connection would take as long as everything else
    lab.register("rows", rows)
    try:
        with aside(path) as other:
            lab.table("rows").write_parquet(str(other))
    except duckdb.IOException as error:
        raise OSError(f"{path} cannot be written ({str(error).splitlines()[0]})") from None
    finally:
        lab.unregister("rows")
