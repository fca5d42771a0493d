"""Figures from records alone: no model is read, nothing is trained.

`python -m alchemy.figures outputs/NAME/TIME` draws a finished run or sweep again; with `--format pdf` or `svg`, for
print.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from alchemy import report, tax, tax_page
from alchemy.bars import bars
from alchemy.curves import curves
from alchemy.errors import sentence
from alchemy.heatmap import PARTS, heatmap
from alchemy.phase import numbers, phase
from alchemy.records import aside, write_aside
from alchemy.results import LEGEND, Results, read
from alchemy.tax_figure import headline

FORMATS = ("png", "pdf", "svg")


def table_text(cells: pd.DataFrame, swept: list[str]) -> str:
    """A short table: exact match of the full text by shift and level, the mean over seeds."""
    chosen = cells[(cells["metric"] == "exact_match") & (cells["part"] == "full")]
    if chosen.empty:
        return "exact match of parts of a study's own: see the picture"
    keys = [*swept, "axis", "kind", "domain"]
    lines = ["exact match of chain and answer, mean over seeds, by level (0 is training)"]
    for row, group in groupby(chosen.to_dict("records"), key=lambda cell: [cell[key] for key in keys]):
        values = "  ".join(f"{cell['level']:+d}: {cell['mean']:.3f}" for cell in group)
        lines.append(f"{' '.join(str(word) for word in row if word != '-'):<32} {values}")
    return "\n".join(lines)


def pictures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Every picture that the cells give, with its name; cells that are lacking are marked in the heatmaps."""
    if tax.taxed(results.table):
        yield "headline", headline(tax.of(results))
        return
    cells, table, swept = results.cells, results.table, results.apart
    if over := studied(table, swept):
        beside = "rows" if over == "share" else None  # a share has its rows beside it
        yield f"curves_{over}", curves(cells, table, [name for name in swept if name != beside], over)
        return
    lacking = results.lacking
    whole = cells if lacking.empty else pd.concat([cells, lacking])
    for metric in ("exact_match", "edit_distance"):
        for part in PARTS:
            name = f"heatmap{'' if metric == 'exact_match' else '_' + metric}{'' if part == 'full' else '_' + part}"
            if ((cells["metric"] == metric) & (cells["part"] == part)).any():
                yield name, heatmap(whole, metric, part, "\n".join([*results.caption, *LEGEND]), swept)
    if (cells["part"] == "diagnosis").any():
        yield "diagnosis", bars(cells, swept)
    for numeric in numbers(cells, swept):
        yield f"map_{numeric}", phase(cells, table, swept, numeric)


def studied(table: pd.DataFrame, names: list[str]) -> str | None:
    """The coordinate of a study's own, such as the rows that a model has seen, to draw curves over: a share, or the
    number with the most values. What was swept is text.
    """
    own = [name for name in names if pd.api.types.is_numeric_dtype(table[name])]
    return "share" if "share" in own else max(own, key=lambda name: table[name].nunique(), default=None)


def draw_all(results: Results, folder: Path, kind: str = "png") -> Path:
    """Draws every picture into `folder`; returns the path of the first."""
    with styled():
        drawn = [save(figure, folder / f"{name}.{kind}") for name, figure in pictures(results)]
    return drawn[0]


def styled() -> AbstractContextManager[None]:
    """The lab's style, for what is drawn within: alchemy/figures.mplstyle."""
    return matplotlib.rc_context(fname=Path(__file__).with_suffix(".mplstyle"))


def save(figure: Figure, path: Path) -> Path:
    """Writes a picture whole or not at all, in the format of its name's ending; returns `path`."""
    with aside(path) as other:
        figure.savefig(other, format=path.suffix[1:])
    return path


def finish(folder: Path, kind: str = "png") -> int:
    """Writes cells.csv, the pictures and the page of all finished jobs in `folder`; the last line printed is the first
    picture's path. Returns the exit code: 0, or 1 if a job failed, each of them named on stderr.
    """
    try:
        results = read(folder)
        for failure in results.failures():
            print(f"alchemy: {failure}", file=sys.stderr)
        if results.good:
            write_aside(folder / "cells.csv", results.cells.to_csv(index=False))
            picture = draw_all(results, folder, kind)
            words = tax_page.write(results) if tax.taxed(results.table) else None
            page = report.write(results)
            print(words or table_text(results.cells, results.apart))
            print(f"every cell with its interval: {folder / 'cells.csv'}")
            print(f"how its rows came out, to click through: {page}")
            print(picture, flush=True)
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error)}", file=sys.stderr)
        return 1
    return int(bool(results.failed))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m alchemy.figures", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, metavar="outputs/NAME/TIME", help="the folder of a finished run or sweep")
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the pictures (png, 200 dots an inch)")
    chosen = parser.parse_args()
    return finish(chosen.folder, chosen.format)


if __name__ == "__main__":
    sys.exit(main())
