"""Rows of each cell, from the Parquet files that a run's records name."""

import re
import sys
from pathlib import Path
from typing import Any

from alchemy.results import Results

SHOWN = 3  # rows of each kind that a cell and seed show: the first ones
STORED = re.compile(r"[0-9a-f]+/[0-9a-f]+\.parquet")  # the end of a path in which a cell's rows are
ASKED = """
SELECT filename, kind, prompt, gold, completion, steps, executes, untouched
FROM read_parquet($files, filename = true, file_row_number = true, union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY filename, kind ORDER BY file_row_number) <= $shown
ORDER BY filename, file_row_number
"""


def stored(path: str, folder: Path) -> Path | None:
    """The file of a cell's rows that a run.json names: under the folder's own parents, or where it says; None for a
    path that is not like those that the lab writes.
    """
    end = Path(*Path(path).parts[-2:])
    if not STORED.fullmatch(end.as_posix()) or ".." in Path(path).parts:
        return None
    near = [parent / "cells" / end for parent in folder.resolve().parents]
    return next((file for file in (*near, Path(path)) if file.is_file()), None)


def examples(results: Results) -> dict[tuple[Any, ...], list[list[Any]]]:
    """By row and level, the first rows of each kind and seed: seed, kind, prompt, gold, completion, steps, the
    composition executed, and whether noise left the prompt untouched. Files that cannot be read are told on stderr.
    """
    import duckdb

    places: dict[str, dict[Any, None]] = {}  # by file, the seeds and cells that it is of
    for number, run in results.good.items():
        for name, path in run.get("rows_of", {}).items():
            axis, kind, domain, level = name.split(" ")
            if file := stored(path, results.folder):
                variant = [results.swept[number][key] for key in results.apart if key in results.swept[number]]
                places.setdefault(str(file), {})[run["seed"], (*variant, axis, kind, domain, int(level))] = None
    if not places:
        return {}
    found: dict[tuple[Any, ...], list[list[Any]]] = {}
    try:
        with duckdb.connect(config={"threads": 1}) as lab:
            for file, *row in lab.execute(ASKED, {"files": [*places], "shown": SHOWN}).fetchall():
                for seed, cell in places[file]:
                    found.setdefault(cell, []).append([seed, *row])
    except duckdb.Error as error:
        print(f"alchemy: the page shows no rows ({str(error).splitlines()[0]})", file=sys.stderr)
    return {cell: sorted(rows, key=lambda row: row[0]) for cell, rows in found.items()}
