"""Records: one measured number with its coordinates, one JSON line each; and the tidy table of a whole sweep."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alchemy.results.files import write_aside

if TYPE_CHECKING:  # a second of import that a training process need not spend
    import pandas as pd

COORDINATES = ["axis", "kind", "domain", "level"]
UNBOUNDED = ["problems", "novelty", "length_gap"]  # metrics that are no shares
UNBOUNDED += ["bits", "bits_head", "bits_tail", "gain", "gain_c", "gain_o"]
UNBOUNDED_PARTS = ("update", "threshold", "split@", "restore@")  # nor is what parts whose names begin so measure
CELL = [*COORDINATES, "setting", "part", "metric"]
MEASURED = ["job", "seed", "value", "error", "count"]  # what a row of the table says of a cell


@dataclass(frozen=True)
class Record:
    """`value` of `metric`, measured on `count` problems with a standard `error`, at the coordinates `at`."""

    metric: str
    value: float
    error: float
    count: int
    at: dict[str, str | int | float]


def write(path: Path, records: Iterable[Record]) -> dict[str, Any]:
    """Writes records, one a line; returns what they are known by: their `sha256`, and the number of `lines`."""
    lines = [json.dumps(asdict(record)) + "\n" for record in records]
    content = "".join(lines).encode()
    write_aside(path, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "lines": len(lines)}


def load(folder: Path, swept: dict[int, dict[str, str]]) -> pd.DataFrame:
    """One row a record of every job in a run's or sweep's folder; `swept` gives each job's coordinates to add.

    Raises ValueError for a file that holds something else, naming file and line.
    """
    rows: list[dict[str, Any]] = []
    for number, coordinates in sorted(swept.items()):
        path = job_folder(folder, number) / "records.jsonl"
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                record = json.loads(text)
                rows.append({"job": number, **coordinates, **record["at"]} | looked_at(record))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise ValueError(f"{path} line {line} is not a record: run that job again") from None
    return table_of(rows)


def from_records(records: Iterable[Record], job: int = -1) -> pd.DataFrame:
    """One row a record, as `load` has those of a folder: job, coordinates, metric, value, error and count.

    `job` is the number that these records' job goes by. Tables of several seeds or settings are put together by
    pandas.concat; a setting that differs between them must be a column of its own.

    >>> table = from_records([Record("exact_match", 0.5, 0.1, 20, {"seed": 0, "axis": "length", "level": 1})])
    >>> table[["axis", "level", "value"]].to_dict("records")
    [{'axis': 'length', 'level': 1, 'value': 0.5}]
    """
    plain = (json.loads(json.dumps(asdict(record))) for record in records)  # as a file has them
    return table_of({"job": job, **record.pop("at")} | record for record in plain)


def table_of(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The table of these rows; a coordinate that only some of them have is "-" in the others."""
    import pandas as pd

    table = pd.DataFrame([*rows])
    for name in apart(table):  # coordinates that only some studies have
        if table[name].isna().any():
            table[name] = table[name].astype(object).where(table[name].notna(), "-")
    return table


def looked_at(record: dict[str, Any]) -> dict[str, Any]:
    """What a record says besides its place. Raises ValueError, KeyError or TypeError if it is of another kind."""
    at, value, error, count = record["at"], record["value"], record["error"], record["count"]
    texts = (record["metric"], *(at[name] for name in ("axis", "kind", "domain", "setting", "part")))
    numbers = type(value) in (int, float) and type(error) in (int, float) and type(count) is int
    places = type(at["level"]) is int and type(at["seed"]) is int
    own = all(type(its) in (str, int, float) for its in at.values())
    if not (numbers and places and own and all(type(text) is str for text in texts)) or count < 0 or error < 0:
        raise ValueError("this is no record")
    if inf in (abs(value), error):
        raise ValueError("this is no number that the lab has measured")
    return {"metric": record["metric"], "value": value, "error": error, "count": count}


def job_folder(folder: Path, number: int) -> Path:
    """Where job `number` of a sweep wrote; a single run has its files in the folder itself (number -1)."""
    return folder if number < 0 else folder / str(number)


def apart(table: pd.DataFrame) -> list[str]:
    """The columns that keep cells apart besides shift, part and metric: what was swept, and a study's coordinates."""
    return [name for name in table.columns if name not in (*CELL, *MEASURED)]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: the mean over seeds, its 95 % interval (see alchemy.stats.intervals; within the metric's range),
    the lowest and highest seed, the number of seeds, and of problems in all. One seed has no interval.
    """
    import pandas as pd

    from alchemy.stats.intervals import interval

    keys = [*apart(table), *COORDINATES, "part", "metric"]
    table = table[table["value"].notna()]  # what is no number was not measured
    table = unnamed_are_none(table.drop_duplicates([*keys, "seed"]), keys)  # swept shifts overlap; a seed counts once
    grouped = table.groupby(keys, sort=False, dropna=False)
    cells = grouped["value"].agg(mean="mean", seeds="count", lowest="min", highest="max").reset_index()
    cells["count"] = grouped["count"].sum().to_numpy()
    cells[["low", "high"]] = np.nan
    number, place = grouped.ngroup().to_numpy(), grouped.cumcount().to_numpy()
    for seeds in cells["seeds"].unique():
        some = (cells["seeds"] == seeds).to_numpy()
        rows = some[number]
        where = np.cumsum(some)[number[rows]] - 1, place[rows]
        means, errors = np.zeros((2, some.sum(), seeds))
        means[where], errors[where] = table["value"].to_numpy()[rows], table["error"].to_numpy()[rows]
        low, high = interval(means, errors)
        cells.loc[some, "low"], cells.loc[some, "high"] = low, high
    shares = pd.Series(map(is_share, cells["part"], cells["metric"]), cells.index, dtype=bool)
    cells.loc[shares, ["low", "high"]] = cells.loc[shares, ["low", "high"]].clip(0, 1)
    settings = grouped["setting"].agg(["first", "nunique"]).to_numpy()
    cells["setting"] = [first if number == 1 else "another for each seed" for first, number in settings]
    order = [*apart(table), *COORDINATES, "part", "metric", "mean", "low", "high", "seeds", "count"]
    return cells[[*order, "lowest", "highest", "setting"]]


def is_share(part: str, metric: str) -> bool:
    """Whether what is measured lies from 0 to 1."""
    return metric not in UNBOUNDED and not part.startswith(UNBOUNDED_PARTS)


def unnamed_are_none(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Every seed of a cell with the same compositions as executed: one that is not among its commonest counts as 0."""
    import pandas as pd

    named = table[table["part"] == "executed"]
    if named.empty:
        return table
    place = [key for key in keys if key != "metric"]
    seeds = named[[*place, "seed", "setting", "count"]].drop_duplicates([*place, "seed"])
    full = named[[*place, "metric"]].drop_duplicates().merge(seeds, on=place)
    full = full.merge(named[[*place, "metric", "seed", "value", "error"]], how="left", on=[*place, "metric", "seed"])
    full[["value", "error"]] = full[["value", "error"]].fillna(0.0)
    return pd.concat([table[table["part"] != "executed"], full], ignore_index=True)


if __name__ == "__main__":
    import sys

    from alchemy.results.query import main

    sys.exit(main())
