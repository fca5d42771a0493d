"""Example rows of each cell, read from the Parquet files that the run.json of each job names."""

import re
import sys
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any

from alchemy.results.cells import read_cell
from alchemy.results.digests import Damaged
from alchemy.results.runs import Results

SHOWN = 3  # rows shown of each kind, for each cell and seed: the first ones
PLACE = re.compile(r"\S+ \S+ \S+ -?\d+")  # axis, kind, domain and level, as rows_of in a run.json has them
STORED = re.compile(r"[0-9a-f]+/[0-9a-f]+\.parquet")  # end of the path of a file with a cell's rows
ASKED = """
SELECT filename, kind, prompt, gold, completion, steps, executes, untouched
FROM read_parquet($files, filename = true, file_row_number = true, union_by_name = true)
QUALIFY row_number() OVER (PARTITION BY filename, kind ORDER BY file_row_number) <= $shown
ORDER BY filename, file_row_number
"""


def stored(path: str, folder: Path) -> Path | None:
    """File with a cell's rows, from its path in a run.json.

    It is looked for under the parents of `folder`, then at the path itself. None if there is no such file, or the path
    is not of the form that the lab writes.
    """
    end = Path(*Path(path).parts[-2:])
    if not STORED.fullmatch(end.as_posix()) or ".." in Path(path).parts:
        return None
    near = [parent / "cells" / end for parent in folder.resolve().parents]
    return next((file for file in (*near, Path(path)) if file.is_file()), None)


def whole(file: Path) -> bool:
    """Whether the rows in a Parquet file are those of the record beside it. If the files have changed, a message on
    stderr says so.
    """
    try:
        return bool(read_cell(file.with_suffix(".json"))["rows"])
    except Damaged as error:
        print(f"alchemy: {error}: the page leaves its rows out; the run's command measures it again", file=sys.stderr)
        return False


def examples(results: Results) -> dict[tuple[Any, ...], list[list[Any]]]:
    """First rows of each kind and seed, by cell (swept settings, axis, kind, domain, level).

    Each row is a list: seed, kind of the completion, prompt, gold, completion, steps, the composition executed, and
    whether noise left the prompt untouched. A file that cannot be read is left out, with a message on stderr.
    """
    intact = cache(whole)
    places: dict[str, dict[Any, None]] = {}  # by file, the seeds and cells that it belongs to
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
    """First rows of each kind in these files, each after the name of its file.

    A file that cannot be read is left out, with a message on stderr.
    """
    import duckdb

    def query(paths: list[str]) -> list[tuple[Any, ...]]:
        escaped = [escape(file) for file in paths]  # else a folder's name could be read as a pattern
        return lab.execute(ASKED, {"files": escaped, "shown": SHOWN}).fetchall()

    with duckdb.connect(config={"threads": 1}) as lab:
        try:
            return query(files) if files else []
        except duckdb.Error:
            pass  # some file cannot be read: read them one by one
        rows = []
        for file in files:
            try:
                rows += query([file])
            except duckdb.Error as error:
                reason = str(error).partition("\n")[0]
                print(f"alchemy: {file}: the page leaves its rows out ({reason})", file=sys.stderr)
        return rows
