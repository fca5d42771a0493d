"""The tidy table of all records of a run or sweep, and its cells: means over seeds with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alchemy.results.records import COORDINATES, Record, job_folder, looked_at

if TYPE_CHECKING:  # a second of import that a training process need not spend
    import pandas as pd

CELL = [*COORDINATES, "setting", "part", "metric", "unit"]
MEASURED = ["job", "seed", "value", "error", "count"]  # what a row of the table says of a cell


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
    return tabled(rows)


def from_records(records: Iterable[Record], job: int = -1) -> pd.DataFrame:
    """One row a record, as `load` reads them from a folder: of one job, that of a notebook."""
    return tabled([{"job": job, **record.at} | looked_at(asdict(record)) for record in records])


def tabled(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table; a coordinate that a row lacks, since only some studies have it, is "-"."""
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in apart(table):
        if table[name].isna().any():
            table[name] = table[name].astype(object).where(table[name].notna(), "-")
    return table


def apart(table: pd.DataFrame) -> list[str]:
    """The columns that keep cells apart besides shift, part and metric: what was swept, and a study's coordinates."""
    return [name for name in table.columns if name not in (*CELL, *MEASURED)]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """One row a cell: the mean over seeds, its 95 % interval (see alchemy.stats.intervals; within the metric's range),
    the lowest and highest seed, the number of seeds, and of problems in all. One seed has no interval.
    """
    from alchemy.stats.intervals import interval

    keys = [*apart(table), *COORDINATES, "part", "metric", "unit"]
    table = table[table["value"].notna()]  # what is no number was not measured
    table = table.drop_duplicates([*keys, "seed"])  # swept shifts overlap; a seed counts once
    table = fill_missing_compositions(table, keys)
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
    shares = cells["unit"] == "share"
    cells.loc[shares, ["low", "high"]] = cells.loc[shares, ["low", "high"]].clip(0, 1)
    settings = grouped["setting"].agg(["first", "nunique"]).to_numpy()
    cells["setting"] = [first if number == 1 else "another for each seed" for first, number in settings]
    order = [*apart(table), *COORDINATES, "part", "metric", "unit", "mean", "low", "high", "seeds", "count"]
    return cells[[*order, "lowest", "highest", "setting"]]


def fill_missing_compositions(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Every seed of a cell with the same compositions as executed: one that is not among its commonest counts as 0."""
    import pandas as pd

    named = table[table["part"] == "executed"]
    if named.empty:
        return table
    place = [key for key in keys if key not in ("metric", "unit")]
    seeds = named[[*place, "seed", "setting", "count", "unit"]].drop_duplicates([*place, "seed"])
    full = named[[*place, "metric"]].drop_duplicates().merge(seeds, on=place)
    full = full.merge(named[[*place, "metric", "seed", "value", "error"]], how="left", on=[*place, "metric", "seed"])
    full[["value", "error"]] = full[["value", "error"]].fillna(0.0)
    return pd.concat([table[table["part"] != "executed"], full], ignore_index=True)
