"""Rows of each cell, from the Parquet files that a run's records name."""

import re
import sys
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from alchemy.results.cells import read
from alchemy.results.digests import Damaged
from alchemy.results.runs import Results

SHOWN = 3  # rows of each kind that a cell and seed show: the first ones
PLACE = re.compile(r"\S+ \S+ \S+ -?\d+")  # axis, kind, domain and level, as rows_of in a run.json has them
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


def whole(file: Path) -> bool:
    """Whether rows are those of the cell beside them, and that is the one it is named for; told on stderr if not."""
    try:
        return bool(read(file.with_suffix(".json"))["rows"])
    except Damaged as error:
        print(f"alchemy: {error}: the page leaves its rows out; the run's command measures it again", file=sys.stderr)
        return False


def examples(results: Results) -> dict[tuple[Any, ...], list[list[Any]]]:
    """By row and level, the first rows of each kind and seed: seed, kind, prompt, gold, completion, steps, the
    composition executed, and whether noise left the prompt untouched. Files that cannot be read are told on stderr.
    """
    intact = cache(whole)
    places: dict[str, dict[Any, None]] = {}  # by file, the seeds and cells that it is of
    for number, run in results.good.items():
        for name, path in run.get("rows_of", {}).items():
            if not PLACE.fullmatch(name):
                continue
            axis, kind, domain, level = name.split(" ")
            if (file := stored(path, results.folder)) and intact(file):
                variant = [results.swept[number][key] for key in results.apart if key in results.swept[number]]
                places.setdefault(str(file), {})[run["seed"], (*variant, axis, kind, domain, int(level))] = None
    found: dict[tuple[Any, ...], list[list[Any]]] = {}
    for file, *row in rows_in([*places]):
        for seed, cell in places[file]:
            found.setdefault(cell, []).append([seed, *row])
    return {cell: sorted(rows, key=lambda row: row[0]) for cell, rows in found.items()}


def rows_in(files: list[str]) -> list[tuple[Any, ...]]:
    """The first rows of each kind in these files, each after the name of its file. One that cannot be read is told on
    stderr and left out.
    """
    import duckdb

    def asked(some: list[str]) -> list[tuple[Any, ...]]:
        escaped = [escape(file) for file in some]  # a folder's name may be a pattern
        return lab.execute(ASKED, {"files": escaped, "shown": SHOWN}).fetchall()

    with duckdb.connect(config={"threads": 1}) as lab:
        try:
            return asked(files) if files else []
        except duckdb.Error:
            pass  # one by one, then
        rows = []
        for file in files:
            try:
                rows += asked([file])
            except duckdb.Error as error:
                said = str(error).partition("\n")[0]
                print(f"alchemy: {file}: the page leaves its rows out ({said})", file=sys.stderr)
        return rows
