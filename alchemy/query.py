"""Answers over many runs: `python -m alchemy.records outputs/ --where "axis = 'length' and metric = 'exact_match'"`.

Every cells.csv below a folder is one table, asked in SQL by DuckDB; its columns are those of cells.csv, and `run`, the
folder that a row is from. Swept settings are columns too: quote their names, as in "model.width" > 16.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from alchemy.errors import sentence
from alchemy.records import aside

SHOWN = 40  # rows printed


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m alchemy.records", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where runs are, such as outputs/")
    parser.add_argument("--where", default="true", metavar="SQL", help="which rows, as SQL has it after WHERE")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write all of them to FILE.parquet or FILE.csv")
    chosen = parser.parse_args(words)
    try:
        found = select(chosen.folder, chosen.where)
        if chosen.export:
            export(found, chosen.export)
        print(found.limit(SHOWN).df().to_string(index=False))
        number = found.count("*").fetchall()[0][0]
        print(f"{number} rows" + (f", {SHOWN} of them above" if number > SHOWN else ""))
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error, '--export FILE')}", file=sys.stderr)
        return 1
    return 0


def select(folder: Path, where: str) -> Any:
    """The rows of all cells.csv below `folder` for which the SQL condition `where` holds, as a relation of DuckDB.

    Raises ValueError if there are none to ask, or the condition cannot be read.
    """
    import duckdb
    import pandas as pd

    def read(file: Path) -> pd.DataFrame:
        try:
            return pd.read_csv(file)
        except ValueError as error:
            raise ValueError(f"{file} is no table ({sentence(error)}): draw that run again, or move it away") from None

    files = sorted(folder.rglob("cells.csv"))
    if not files:
        raise ValueError(f"{folder} holds no cells.csv: name a folder of finished runs, such as outputs/")
    tables = [read(file).assign(run=str(file.parent)) for file in files]  # 50 times as fast as DuckDB's reader
    lab = duckdb.connect(config={"threads": 1})
    try:
        lab.register("cells", pd.concat(tables, ignore_index=True))
        return lab.sql("FROM cells WHERE " + where)  # the user's own words, on the user's own tables
    except duckdb.Error as error:
        raise ValueError(f"--where {where!r} cannot be answered: {str(error).splitlines()[0]}") from None


def export(found: Any, path: Path) -> None:
    """Writes the rows of a relation to a file, whole or not at all. Raises ValueError if it is no .parquet or .csv."""
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"--export {path} must end in .parquet or .csv")
    if not path.parent.is_dir():
        raise ValueError(f"--export {path}: there is no folder {path.parent}")
    with aside(path) as other:
        (found.write_csv if path.suffix == ".csv" else found.write_parquet)(str(other))
