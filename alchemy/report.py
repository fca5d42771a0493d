"""The page of a run or sweep: click a cell, see its numbers, and rows of it with every step judged.

    python -m alchemy.report outputs/NAME/TIME             writes report.html into that folder
    python -m alchemy.report outputs/NAME/A outputs/NAME/B  and what moved from A to B

One file without anything from elsewhere: a Jinja2 template around the numbers, as tables that keyboards and screen
readers know. (Measured instead: Vega's bundle takes 5 s to make, from a package of 84 MB; Plotly's is 4.7 MB a page.)
"""

import argparse
import json
import math
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import matplotlib
import pandas as pd

from alchemy.bars import KINDS
from alchemy.compare import differences
from alchemy.errors import sentence
from alchemy.findings import breaks, how, rows_of, sentences
from alchemy.heatmap import AXIS_ROWS, LEVEL_NAMES
from alchemy.records import COORDINATES, job_folder, write_aside
from alchemy.results import Results, read

SHOWN = 3  # rows of each kind that a cell and seed show: the first ones
STORED = re.compile(r"[0-9a-f]+/[0-9a-f]+\.parquet")  # the end of a path in which a cell's rows are
SHADES = 64
DIGITS = 4


def write(results: Results, out: Path | None = None, before: Results | None = None) -> Path:
    """Writes the page of these results, or of what moved since those `before`, whole; returns its path."""
    out = out or results.folder / ("report.html" if before is None else "compare.html")
    write_aside(out, page(content(results, before, out)))
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
    numbers = numbers_of(cells, swept, {} if before is None else differences(before.table, results.table))
    seeds = seeds_of(results.table, swept)
    told = examples(results)
    holes: dict[tuple[Any, ...], dict[int, None]] = {}
    for *place, level in keyed(results.lacking, [*swept, *COORDINATES]):
        holes.setdefault(tuple(place), {})[int(level)] = None
    rows |= {row: {} for row in holes if row not in rows}
    shown = []
    for row, levels in rows.items():
        *variant, axis, kind, domain = row
        at = breaks(levels)
        shown.append(
            {
                "name": f"{kind}, {domain} tokens" if axis == "format" else AXIS_ROWS.get(axis, axis),
                "variant": [f"{name}={value}" for name, value in zip(swept, variant, strict=True)],
                "format": axis == "format",
                "breaks": at,
                "holes": [*holes.get(row, {})],
                "how": how(levels[at][1]) if at is not None else "",
                "cells": [
                    {
                        "level": int(level),
                        "name": LEVEL_NAMES.get((axis, level), ""),
                        "setting": setting,
                        "numbers": numbers.get((*row, level), {}),
                        "seeds": seeds.get((*row, level), {}),
                        "rows": told.get((*row, level), []),
                        "jobs": [n for n, run in results.swept.items() if n in results.good and fits(run, row, swept)],
                    }
                    for level, (setting, _) in sorted(levels.items())
                ],
            }
        )
    return {
        "title": "/".join(results.folder.resolve().parts[-2:]),
        "before": None if before is None else "/".join(before.folder.resolve().parts[-2:]),
        "caption": results.caption.splitlines()[:2],
        "findings": sentences(cells, swept) if before is None else moved(numbers),
        "kinds": KINDS,
        "shades": shades("cividis" if before is None else "PuOr"),
        "shown": SHOWN,
        "jobs": {
            number: job_of(run, link(job_folder(results.folder, number), out)) for number, run in results.good.items()
        },
        "failed": results.failures(),
        "seeds": sorted({run["seed"] for run in results.good.values()}),
        "rows": shown,
    }


def keyed(cells: pd.DataFrame, keys: list[str]) -> list[tuple[Any, ...]]:
    return list(cells[keys].itertuples(index=False, name=None)) if len(cells) else []


def fits(settings: dict[str, str], row: tuple[Any, ...], swept: list[str]) -> bool:
    """Whether a job with these swept settings measured cells of that row."""
    return all(settings.get(name, value) == value for name, value in zip(swept, row, strict=False))


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


def seeds_of(table: pd.DataFrame, swept: list[str]) -> dict[Any, dict[str, dict[int, float | None]]]:
    """By row and level, and "part.metric": the value of each seed."""
    found: dict[Any, dict[str, dict[int, float | None]]] = {}
    keys = [*swept, *COORDINATES, "part", "metric", "seed"]
    for (*cell, part, metric, seed), value in zip(keyed(table, keys), table["value"], strict=True):
        found.setdefault(tuple(cell), {}).setdefault(f"{part}.{metric}", {})[seed] = rounded(value)
    return found


def moved(numbers: dict[Any, dict[str, list[Any]]]) -> list[str]:
    """How many cells moved, and which the most."""
    known = {cell: its["full.exact_match"] for cell, its in numbers.items() if len(its.get("full.exact_match", ())) > 5}
    far = {cell: its[5] for cell, its in known.items() if None not in its[6:] and (its[6] > 0 or its[7] < 0)}
    said = [
        f"Of {len(known)} cells that both have, the exact match of {len(far)} moved beyond the 95 % interval of its "
        f"difference; one in twenty would by chance."
    ]
    for cell in sorted(far, key=lambda cell: -abs(far[cell]))[:8]:
        low, high = known[cell][6:]
        said.append(
            f"{' '.join(str(word) for word in cell if word != '-')}: {far[cell]:+.2f} [{low:+.2f}, {high:+.2f}]"
        )
    return said


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
        "commit": (run.get("commit") or "")[:10],
    }


def stored(path: str, folder: Path) -> Path | None:
    """The file of a cell's rows that a run.json names: where it says, or under the folder's own parents."""
    if not STORED.fullmatch("/".join(Path(path).parts[-2:])):
        return None
    near = [parent / "cells" / Path(*Path(path).parts[-2:]) for parent in folder.resolve().parents]
    return next((file for file in (*near, Path(path)) if file.is_file()), None)


def examples(results: Results) -> dict[Any, list[list[Any]]]:
    """By row and level, the first rows of each kind and seed: seed, kind, prompt, gold, completion, steps, the
    composition executed, and whether noise left the prompt untouched.
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
    asked = (
        "SELECT filename, kind, prompt, gold, completion, steps, executes, untouched "
        "FROM read_parquet($files, filename = true, file_row_number = true, union_by_name = true) "
        "QUALIFY row_number() OVER (PARTITION BY filename, kind ORDER BY file_row_number) <= $shown "
        "ORDER BY filename, file_row_number"
    )
    found: dict[Any, list[list[Any]]] = {}
    try:
        with duckdb.connect(config={"threads": 1}) as lab:
            for file, *row in lab.execute(asked, {"files": [*places], "shown": SHOWN}).fetchall():
                for seed, cell in places[file]:
                    found.setdefault(cell, []).append([seed, *row])
    except duckdb.Error as error:
        print(f"alchemy: the page shows no rows ({str(error).splitlines()[0]})", file=sys.stderr)
    return found


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m alchemy.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="+", metavar="FOLDER", help="of a finished run or sweep; or of two")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file to write")
    chosen = parser.parse_args(words)
    if len(chosen.folder) > 2:
        parser.error("name one folder, or two to compare")
    try:
        *before, results = map(read, chosen.folder)
        for which in (*before, results):
            if not which.good:
                raise ValueError(f"{which.folder} has no finished job: start its command again")
        print(write(results, chosen.out, *before))
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error, '--out FILE')}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
