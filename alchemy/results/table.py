"""Table of all records of a run or sweep, and the table of its cells: means over seeds with their intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alchemy.results.records import COORDINATES, Record, job_folder, looked_at

if TYPE_CHECKING:  # its import takes a second, which a training process need not spend
    import pandas as pd

CELL = [*COORDINATES, "setting", "part", "metric", "unit"]
MEASURED = ["job", "seed", "value", "error", "count"]  # columns with numbers of a cell; all others are coordinates


def load(folder: Path, swept: dict[int, dict[str, str]]) -> pd.DataFrame:
    """Table with one row per record, of every job in the folder of a run or sweep.

    `swept` holds, by job number, settings that are added as columns. Raises ValueError, with file and line, for a line
    that is not a record.
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
    """Table with one row per record, in the form that `load` returns, for records that are not on disk.

    All rows get the number `job`; -1 is that of a single run.

    >>> at = {"seed": 0, "axis": "task", "kind": "-", "domain": "-", "level": 1, "setting": "F2F2", "part": "answer"}
    >>> from_records([Record("exact_match", 0.75, 0.05, 80, at, "share")])["value"].tolist()
    [0.75]
    """
    return tabled([{"job": job, **record.at} | looked_at(asdict(record)) for record in records])


def tabled(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Table of these rows. A coordinate that a row lacks, since only some studies have it, is "-"."""
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in apart(table):
        if table[name].isna().any():
            table[name] = table[name].astype(object).where(table[name].notna(), "-")
    return table


def apart(table: pd.DataFrame) -> list[str]:
    """Columns that tell cells apart, besides shift, part and metric.

    They are the swept settings, and coordinates that a study adds.
    """
    return [name for name in table.columns if name not in (*CELL, *MEASURED)]


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Table with one row per cell, from a table with one row per record.

    A cell has the mean over seeds, the 95 % interval `low` to `high` (see alchemy.stats.intervals: of the mean for a
    share, of the median seed for any other unit; NaN for too few seeds), the lowest and the highest seed, the number of
    seeds, and `count`, the number of problems of all seeds together. Where each seed is all or nothing, `at_one` is the
    number of those that are at 1. `by_seed` has the value of each seed as text.

    >>> at = {"axis": "task", "kind": "-", "domain": "-", "level": 1, "setting": "F2F2", "part": "answer"}
    >>> records = [Record("exact_match", seed / 4, 0.05, 80, {"seed": seed, **at}, "share") for seed in (1, 3)]
    >>> summarise(from_records(records))[["mean", "lowest", "highest", "seeds", "by_seed"]].values.tolist()
    [[0.5, 0.25, 0.75, 2, '1=0.25 3=0.75']]
    """
    from alchemy.stats.intervals import at_one, interval

    keys = [*apart(table), *COORDINATES, "part", "metric", "unit"]
    table = table[table["value"].notna()]  # NaN was not measured
    table = table.drop_duplicates([*keys, "seed"])  # swept shifts overlap; a seed counts once
    table = fill_missing_compositions(table, keys)
    grouped = table.groupby(keys, sort=False, dropna=False)
    cells = grouped["value"].agg(mean="mean", seeds="count", lowest="min", highest="max").reset_index()
    cells["count"] = grouped["count"].sum().to_numpy()
    cells[["low", "high", "at_one"]] = np.nan
    number, place = grouped.ngroup().to_numpy(), grouped.cumcount().to_numpy()
    for seeds, share in set(zip(cells["seeds"], cells["unit"] == "share", strict=True)):
        chosen = ((cells["seeds"] == seeds) & ((cells["unit"] == "share") == share)).to_numpy()
        rows = chosen[number]
        values = np.zeros((chosen.sum(), seeds))
        values[np.cumsum(chosen)[number[rows]] - 1, place[rows]] = table["value"].to_numpy()[rows]
        cells.loc[chosen, ["low", "high"]] = np.column_stack(interval(values, "share" if share else "other"))
        ones = at_one(values)
        cells.loc[chosen, "at_one"] = np.where(ones < 0, np.nan, ones) if share else np.nan
    cells["at_one"] = cells["at_one"].astype("Int64")
    text = [f"{seed}={value:.6g}" for seed, value in zip(table["seed"], table["value"], strict=True)]
    cells["by_seed"] = table.assign(text=text).groupby(keys, sort=False, dropna=False)["text"].agg(" ".join).to_numpy()
    settings = grouped["setting"].agg(["first", "nunique"]).to_numpy()
    cells["setting"] = [first if number == 1 else "another for each seed" for first, number in settings]
    order = [*apart(table), *COORDINATES, "part", "metric", "unit", "mean", "low", "high", "seeds", "count"]
    return cells[[*order, "lowest", "highest", "at_one", "by_seed", "setting"]]


def bracket(cell: Mapping[Any, Any], form: str = ".2f") -> str:
    """What the seeds of a cell tell of others, as text: so many of all seeds, if each is all or nothing; else the 95 %
    interval, with its ends written in `form`; empty where there is none.

    >>> bracket({"at_one": 1, "seeds": 3, "low": 0.008, "high": 0.906})
    '1 of 3 seeds'
    >>> bracket({"at_one": math.nan, "seeds": 3, "low": 0.144, "high": 0.856})
    '[0.14, 0.86]'
    """
    if cell["seeds"] > 1 and not missing(cell["at_one"]):
        return f"{int(cell['at_one'])} of {cell['seeds']} seeds"
    return "" if math.isnan(cell["low"]) else f"[{cell['low']:{form}}, {cell['high']:{form}}]"


def seed_values(text: str) -> dict[int, float]:
    """Values by seed, as the column `by_seed` has them.

    >>> seed_values("0=0.25 3=1")
    {0: 0.25, 3: 1.0}
    """
    pairs = (word.split("=") for word in text.split())
    return {int(seed): float(value) for seed, value in pairs}


def seed_text(values: Mapping[int, float], form: str = ".6g") -> str:
    """Values by seed as the column `by_seed` has them, in ascending order of seeds.

    >>> seed_text({3: 1.0, 0: 0.25})
    '0=0.25 3=1'
    """
    return " ".join(f"{seed}={value:{form}}" for seed, value in sorted(values.items()))


def missing(value: Any) -> bool:
    """Whether a number of a table is not there: NaN, or pandas' own mark."""
    import pandas as pd

    return bool(pd.isna(value))


def fill_missing_compositions(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Table in which all seeds of a cell list the same executed compositions.

    A composition that is not among the commonest of a seed counts as 0 there.
    """
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
