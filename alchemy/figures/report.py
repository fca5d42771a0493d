"""The page of a run or sweep: click a cell, see its numbers, and rows of it with every step judged.

    python -m alchemy report outputs/NAME/TIME             writes report.html into that folder
    python -m alchemy compare outputs/NAME/A outputs/NAME/B  writes compare.html into B: what moved since A

One file without anything from elsewhere: a Jinja2 template around the numbers, as tables that keyboards and screen
readers know. (Measured instead: Vega's bundle takes 5 s to make, from a package of 84 MB; Plotly's is 4.7 MB a page.)
"""

import json
import math
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib
import pandas as pd

from alchemy.errors import COMMAND, Parser
from alchemy.figures.diagnosis_bars import KINDS
from alchemy.figures.findings import Rows, breaks, how, moved_cells, rows_of, sentences, settings_of
from alchemy.figures.registered import sections
from alchemy.figures.studies import own
from alchemy.figures.style import AXIS_ROWS, LEVEL_CODES
from alchemy.results.compare import differences
from alchemy.results.examples import SHOWN, examples
from alchemy.results.files import write_aside
from alchemy.results.records import COORDINATES, job_folder
from alchemy.results.runs import Results, read_results

SHADES = 64
DIGITS = 4


def write_report(results: Results, out: Path | None = None, before: Results | None = None) -> Path:
    """Writes the page of these results, whole or not at all. Returns its path.

    With `before`, it is the page of what changed from those results to these. `out` is the file to write; by default it
    is report.html or compare.html in the folder of the results.

    >>> write_report(read_results("outputs/mirage/TIME"))  # doctest: +SKIP
    PosixPath('outputs/mirage/TIME/report.html')
    """
    out = out or results.folder / ("report.html" if before is None else "compare.html")
    paged = own(results, "page") if before is None else None
    write_aside(out, paged.page(results) if paged else page(content(results, before, out)))
    return out


def page(data: dict[str, Any]) -> str:
    """HTML of the page that shows `data`. No text in the data can break out of its place."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    room = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(default=True))
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    safe = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return room.get_template("report.html").render(
        data=data, sections=data.get("registered", []), text=safe.replace("\u2028", "\\u2028")
    )


def content(results: Results, before: Results | None, out: Path) -> dict[str, Any]:
    """Everything that the page shows, as JSON can hold it. The page lies at `out`."""
    cells, swept = results.cells, results.apart
    rows = rows_of(cells, swept)
    moves = {} if before is None else differences(before.table, results.table)
    numbers, measured = numbers_of(cells, swept, moves), measured_of(results.table, swept)
    was = {} if before is None else settings_in(rows_of(before.cells, before.apart))
    rows_by_cell = examples(results)
    holes: dict[tuple[Any, ...], dict[int, None]] = {}
    for *place, level in keyed(results.lacking, [*swept, *COORDINATES]):
        holes.setdefault(tuple(place), {})[int(level)] = None
    shown = []
    for row, levels in (rows | {row: {} for row in holes if row not in rows}).items():
        *variant, axis, kind, domain = row
        shown.append(
            {
                "name": f"{kind}, {domain} tokens" if axis == "format" else AXIS_ROWS.get(axis, axis),
                "variant": settings_of(variant, swept),
                "format": axis == "format",
                "holes": [*holes.get(row, {})],
                "breaks": [[int(level), how(levels[level][1])] for level in breaks(levels)],
                "cells": [
                    {
                        "level": int(level),
                        "name": LEVEL_CODES.get((axis, level), ""),
                        "setting": setting,
                        "was": was.get((*row, level), setting),
                        "numbers": numbers[(*row, level)],
                        "rows": rows_by_cell.get((*row, level), []),
                    }
                    | measured[(*row, level)]
                    for level, (setting, _) in sorted(levels.items())
                ],
            }
        )
    jobs = {number: job_of(run, link(job_folder(results.folder, number), out)) for number, run in results.good.items()}
    return {
        "title": "/".join(results.folder.resolve().parts[-2:]),
        "before": None if before is None else "/".join(before.folder.resolve().parts[-2:]),
        "caption": results.caption[:-1],
        "findings": sentences(cells, results.table) if before is None else moved_cells(moves, swept, settings_in(rows)),
        "kinds": KINDS,
        "shades": shades("cividis" if before is None else "PuOr"),
        "shown": SHOWN,
        "jobs": jobs,
        "failed": results.failures(),
        "registered": sections(results) if before is None else [],
        "seeds": sorted({run["seed"] for run in results.good.values()}),
        "rows": shown,
    }


def settings_in(rows: Rows) -> dict[tuple[Any, ...], str]:
    """Meaning of the level of each cell, by row and level."""
    return {(*row, level): setting for row, levels in rows.items() for level, (setting, _) in levels.items()}


def keyed(cells: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    """Values of these columns, one tuple per cell."""
    return list(cells[keys].itertuples(index=False, name=None)) if len(cells) else []


def rounded(value: float) -> float | None:
    """The number rounded to DIGITS decimals; None for NaN."""
    return None if math.isnan(value) else round(float(value), DIGITS)


def numbers_of(cells: pd.DataFrame, swept: list[str], moves: dict[Any, Any]) -> dict[Any, dict[str, list[Any]]]:
    """Numbers of each cell, by row and level, and then by "part.metric".

    They are mean, low, high, seeds, count and at_one. If the cell is in `moves`, the difference with its low and high
    end follows.
    """
    found: dict[Any, dict[str, list[Any]]] = {}
    keys = [*swept, *COORDINATES, "part", "metric"]
    columns = [cells[name].astype(float) for name in ("mean", "low", "high", "seeds", "count", "at_one")]
    for (*cell, part, metric), values in zip(keyed(cells, keys), zip(*columns, strict=True), strict=True):
        said = [*map(rounded, values[:3]), *map(int, values[3:5]), None if math.isnan(values[5]) else int(values[5])]
        said += [rounded(value) for value in moves.get((*cell, part, metric), ())]
        found.setdefault(tuple(cell), {})[f"{part}.{metric}"] = said
    return found


def measured_of(table: pd.DataFrame, swept: list[str]) -> dict[Any, dict[str, Any]]:
    """Values of each cell by row and level: under `seeds`, by "part.metric" and seed; under `jobs`, the jobs they are
    from.
    """
    found: dict[Any, dict[str, Any]] = {}
    keys = [*swept, *COORDINATES, "part", "metric", "seed", "job"]
    for (*cell, part, metric, seed, job), value in zip(keyed(table, keys), table["value"], strict=True):
        here = found.setdefault(tuple(cell), {"seeds": {}, "jobs": []})
        here["seeds"].setdefault(f"{part}.{metric}", {})[seed] = rounded(value)
        if job not in here["jobs"]:
            here["jobs"].append(job)
    return found


def shades(name: str) -> list[str]:
    """Colours of a matplotlib colour map, from its low to its high end, in hex."""
    colours = matplotlib.colormaps[name]
    return [matplotlib.colors.to_hex(colours(shade / (SHADES - 1))) for shade in range(SHADES)]


def link(folder: Path, page: Path) -> str:
    """Relative link from a page to a folder."""
    return quote(Path(os.path.relpath(folder, page.parent)).as_posix())


def job_of(run: dict[str, Any], home: str) -> dict[str, Any]:
    """What the page shows of a job, with links to its settings. `home` is the link to its folder."""
    return {
        "seed": run["seed"],
        "overrides": " ".join(run["overrides"]),
        "config": f"{home}/.hydra/config.yaml",
        "run": f"{home}/run.json",
        "model": run.get("fingerprint", ""),
        "commit": (run.get("commit") or "")[:10] + "+" * bool(run.get("dirty")),
    }


def main(words: list[str]) -> int:
    """Runs the `report` command. Returns its exit code: 0 if the page has every job."""
    parser = Parser("report", __doc__, "outputs/NAME/TIME")
    parser.add_argument("folder", type=Path, nargs="+", metavar="FOLDER", help="of a finished run or sweep")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file to write")
    chosen = parser.parse_args(words)
    if len(chosen.folder) > 1:
        raise ValueError(f"report takes one folder: what moved from one to another is {COMMAND} compare DIR DIR")
    return page_of(chosen.folder, chosen.out)


def compare(words: list[str]) -> int:
    """Runs the `compare` command. Returns its exit code: 0 if the page has every job of both folders."""
    parser = Parser("compare", __doc__, "outputs/NAME/A outputs/NAME/B")
    parser.add_argument("before", type=Path, metavar="A", help="folder of a finished run or sweep")
    parser.add_argument("after", type=Path, metavar="B", help="folder of another, where the page is written")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file to write")
    chosen = parser.parse_args(words)
    return page_of([chosen.before, chosen.after], chosen.out)


def page_of(folders: list[Path], out: Path | None) -> int:
    """Writes the page of one folder, or of two, and reports failed jobs on stderr. Returns the exit code: 1 if there
    are any.
    """
    *before, results = map(read_results, folders)
    for which in (*before, results):
        if not which.good:
            raise ValueError(
                " ".join([f"{which.folder} has no finished job: start its command again", *which.failures()])
            )
    failures = [said for which in (*before, results) for said in which.failures()]
    for said in failures:
        print(f"alchemy: {said}", file=sys.stderr)
    print(write_report(results, out, *before))
    return int(bool(failures))
