"""The page of a run or sweep: click a cell, see its numbers, and rows of it with every step judged.

    python -m alchemy.figures.report outputs/NAME/TIME             writes report.html into that folder
    python -m alchemy.figures.report outputs/NAME/A outputs/NAME/B  writes compare.html into B: what moved since A

One file without anything from elsewhere: a Jinja2 template around the numbers, as tables that keyboards and screen
readers know. (Measured instead: Vega's bundle takes 5 s to make, from a package of 84 MB; Plotly's is 4.7 MB a page.)
"""

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib
import pandas as pd

from alchemy.errors import Parser, answering
from alchemy.figures.diagnosis_bars import KINDS
from alchemy.figures.findings import Rows, breaks, how, moved, rows_of, sentences, settings_of
from alchemy.figures.heatmap import AXIS_ROWS, LEVEL_NAMES
from alchemy.figures.studies import own
from alchemy.results.compare import differences
from alchemy.results.examples import SHOWN, examples
from alchemy.results.files import write_aside
from alchemy.results.records import COORDINATES, job_folder
from alchemy.results.runs import Results, read_results

SHADES = 64
DIGITS = 4


def write_report(results: Results, out: Path | None = None, before: Results | None = None) -> Path:
    """Writes the page of these results, or of what moved since those `before`, whole; returns its path."""
    out = out or results.folder / ("report.html" if before is None else "compare.html")
    paged = own(results, "page") if before is None else None
    write_aside(out, paged.page(results) if paged else page(content(results, before, out)))
    return out


def page(data: dict[str, Any]) -> str:
    """The page that shows `data`, which nothing in it can break out of."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    room = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(default=True))
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    safe = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return room.get_template("report.html").render(data=data, text=safe.replace("\u2028", "\\u2028"))


def content(results: Results, before: Results | None, out: Path) -> dict[str, Any]:
    """All that the page shows, as JSON takes it; it lies at `out`."""
    cells, swept = results.cells, results.apart
    rows = rows_of(cells, swept)
    moves = {} if before is None else differences(before.table, results.table)
    numbers, measured = numbers_of(cells, swept, moves), measured_of(results.table, swept)
    was = {} if before is None else settings_in(rows_of(before.cells, before.apart))
    told = examples(results)
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
                        "name": LEVEL_NAMES.get((axis, level), ""),
                        "setting": setting,
                        "was": was.get((*row, level), setting),
                        "numbers": numbers[(*row, level)],
                        "rows": told.get((*row, level), []),
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
        "findings": sentences(cells, results.table) if before is None else moved(moves, swept, settings_in(rows)),
        "kinds": KINDS,
        "shades": shades("cividis" if before is None else "PuOr"),
        "shown": SHOWN,
        "jobs": jobs,
        "failed": results.failures(),
        "seeds": sorted({run["seed"] for run in results.good.values()}),
        "rows": shown,
    }


def settings_in(rows: Rows) -> dict[tuple[Any, ...], str]:
    """By row and level, what the level means there."""
    return {(*row, level): setting for row, levels in rows.items() for level, (setting, _) in levels.items()}


def keyed(cells: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return list(cells[keys].itertuples(index=False, name=None)) if len(cells) else []


def rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), DIGITS)


def numbers_of(cells: pd.DataFrame, swept: list[str], moves: dict[Any, Any]) -> dict[Any, dict[str, list[Any]]]:
    """By row and level, and "part.metric": mean, low, high, seeds, count; and, of what `moves`, the difference with its
    low and high end.
    """
    found: dict[Any, dict[str, list[Any]]] = {}
    keys = [*swept, *COORDINATES, "part", "metric"]
    for (*cell, part, metric), values in zip(
        keyed(cells, keys), cells[["mean", "low", "high", "seeds", "count"]].to_numpy(), strict=True
    ):
        said = [*map(rounded, values[:3]), *map(int, values[3:])]
        said += [rounded(value) for value in moves.get((*cell, part, metric), ())]
        found.setdefault(tuple(cell), {})[f"{part}.{metric}"] = said
    return found


def measured_of(table: pd.DataFrame, swept: list[str]) -> dict[Any, dict[str, Any]]:
    """By row and level: under `seeds` and "part.metric" the value of each seed, under `jobs` the jobs it is from."""
    found: dict[Any, dict[str, Any]] = {}
    keys = [*swept, *COORDINATES, "part", "metric", "seed", "job"]
    for (*cell, part, metric, seed, job), value in zip(keyed(table, keys), table["value"], strict=True):
        here = found.setdefault(tuple(cell), {"seeds": {}, "jobs": []})
        here["seeds"].setdefault(f"{part}.{metric}", {})[seed] = rounded(value)
        if job not in here["jobs"]:
            here["jobs"].append(job)
    return found


def shades(name: str) -> list[str]:
    colours = matplotlib.colormaps[name]
    return [matplotlib.colors.to_hex(colours(shade / (SHADES - 1))) for shade in range(SHADES)]


def link(folder: Path, page: Path) -> str:
    """Where a folder is, as a page in another names it."""
    return quote(Path(os.path.relpath(folder, page.parent)).as_posix())


def job_of(run: dict[str, Any], home: str) -> dict[str, Any]:
    """What the page says of a job, and where its settings are."""
    return {
        "seed": run["seed"],
        "overrides": " ".join(run["overrides"]),
        "config": f"{home}/.hydra/config.yaml",
        "run": f"{home}/run.json",
        "model": run.get("fingerprint", ""),
        "commit": (run.get("commit") or "")[:10] + "+" * bool(run.get("dirty")),
    }


@answering("alchemy", "--out FILE")
def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = Parser(
        prog="python -m alchemy.figures.report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, nargs="+", metavar="FOLDER", help="of a finished run or sweep; or of two")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file to write")
    chosen = parser.parse_args(words)
    if len(chosen.folder) > 2:
        parser.error("name one folder, or two to compare")
    *before, results = map(read_results, chosen.folder)
    for which in (*before, results):
        if not which.good:
            raise ValueError(
                " ".join([f"{which.folder} has no finished job: start its command again", *which.failures()])
            )
    failures = [said for which in (*before, results) for said in which.failures()]
    for said in failures:
        print(f"alchemy: {said}", file=sys.stderr)
    print(write_report(results, chosen.out, *before))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
