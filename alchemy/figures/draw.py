"""Figures drawn from records alone: no model is read, and nothing is trained.

`python -m alchemy draw outputs/NAME/TIME` draws the figures of a finished run or sweep again; with `--format pdf` or
`svg`, for print.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from alchemy.errors import Parser, sentence, shortened
from alchemy.figures import curves as courses
from alchemy.figures import diagnosis_bars as kinds
from alchemy.figures import registered, report
from alchemy.figures import sweep_map as maps
from alchemy.figures.heatmap import PARTS, draw_heatmap, rows_each
from alchemy.figures.lettering import portions
from alchemy.figures.studies import own
from alchemy.results.digests import seal
from alchemy.results.files import aside, write_aside
from alchemy.results.jobs import proof_of
from alchemy.results.runs import LEGEND, Results, read_results

FORMATS = ("png", "pdf", "svg")


def table_text(cells: pd.DataFrame, swept: list[str]) -> str:
    """Short table as text: exact match of chain and answer by shift and level, the mean over seeds."""
    chosen = cells[(cells["metric"] == "exact_match") & (cells["part"] == "full")]
    if chosen.empty:
        return "exact match of parts of a study's own: see the picture"
    keys = [*swept, "axis", "kind", "domain"]
    lines = ["exact match of chain and answer, mean over seeds, by level (0 is training)"]
    for row, group in groupby(chosen.to_dict("records"), key=lambda cell: [cell[key] for key in keys]):
        values = "  ".join(f"{cell['level']:+d}: {cell['mean']:.3f}" for cell in group)
        lines.append(f"{' '.join(str(word) for word in row if word != '-'):<32} {values}")
    return "\n".join(lines)


def every_picture(results: Results) -> Iterator[tuple[str, Figure]]:
    """Name and figure of every picture that the results have.

    >>> for name, figure in pictures(results):  # doctest: +SKIP
    ...     figure.savefig(f"{name}.png")
    """
    for name, draw, _ in drawings(results):
        yield name, draw()


def drawings(results: Results) -> Iterator[tuple[str, Callable[[], Figure], str]]:
    """Name of every picture, a function that draws it, and which rows or panels it shows if they are too many for one
    picture.

    A study may have pictures of its own. Heatmaps mark the cells that failed jobs lack.
    """
    if figure := own(results, "figure"):
        yield from ((name, draw, "") for name, draw in figure.pictures(results))
        return
    cells, table, swept = results.cells, results.table, results.apart
    if over := x_coordinate(table, swept):
        beside = "rows" if over == "share" else None  # follow from the share
        kept = [name for name in swept if name != beside]
        _, keys = courses.curve_keys(kept, over)
        for some, ending, said in portions(courses.curve_cells(cells), keys, courses.MOST, "Panels"):
            yield f"curves_{safe(over)}{ending}", partial(courses.draw_curves, some, table, kept, over, said), said
        return
    whole = cells if results.lacking.empty else pd.concat([cells, results.lacking])
    shift = [*swept, "axis", "kind", "domain"]
    each = rows_each(whole, swept)
    for metric in ("exact_match", "edit_distance"):
        for part in PARTS:
            name = f"heatmap{'' if metric == 'exact_match' else '_' + metric}{'' if part == 'full' else '_' + part}"
            for some, ending, said in portions(whole, shift, each, "Rows"):
                caption = "\n".join([*filter(None, [said]), *results.caption, *LEGEND])
                if some["mean"][(some["metric"] == metric) & (some["part"] == part)].notna().any():
                    yield name + ending, partial(draw_heatmap, some, metric, part, caption, swept), said
    replayed = cells[cells["part"] == "replay"]
    for some, ending, said in portions(cells[cells["part"] == "diagnosis"], shift, kinds.MOST, "Panels"):
        if len(some):
            yield (
                f"diagnosis{ending}",
                partial(kinds.draw_diagnosis, pd.concat([some, replayed]), swept, said),
                said,
            )
    for numeric in maps.numbers(cells, swept):
        _, keys = maps.map_keys(swept, numeric)
        for some, ending, said in portions(maps.map_cells(cells), keys, maps.MOST, "Rows"):
            both = pd.concat([some, replayed])
            if len(some):
                draw = partial(maps.draw_map, both, table, swept, numeric, said, named=not ending)
                yield f"map_{safe(numeric)}{ending}", draw, said


def safe(name: str) -> str:
    """Name of a setting, as it can be part of a file's name."""
    return name.replace("/", "_")


def x_coordinate(table: pd.DataFrame, names: list[str]) -> str | None:
    """Column that curves are drawn over: a number that a study varies, such as the rows that a model has seen.

    It is the share if there is one, and else the number with the most values; None if no column is a number. Swept
    settings are text, and so are never chosen.
    """
    own = [name for name in names if pd.api.types.is_numeric_dtype(table[name])]
    return "share" if "share" in own else max(own, key=lambda name: table[name].nunique(), default=None)


def draw_all(results: Results, folder: Path, kind: str = "png") -> Path:
    """Draws every picture into `folder`. Returns the path of the first.

    `kind` is the format: png, pdf or svg. Raises ValueError if no picture could be drawn.

    >>> draw_all(read_results("outputs/mirage/TIME"), Path("pictures"), "pdf")  # doctest: +SKIP
    """
    drawn, said = draw_each(results, folder, kind)
    if not drawn:
        raise ValueError(said[0] if said else f"{folder} has nothing to draw")
    return drawn[0]


def draw_each(results: Results, folder: Path, kind: str) -> tuple[list[Path], list[str]]:
    """Draws every picture into `folder`. Returns the paths of those drawn, and a sentence for each failure."""
    drawn, failed = [], []
    gc.freeze()  # so that gc.collect skips everything that was imported
    with styled():
        for name, draw, _ in drawings(results):
            path = folder / f"{name}.{kind}"
            try:
                drawn.append(save(draw(), path))
            except OSError as error:  # such as a full disk: the next picture would fail as well
                failed.append(sentence(error))
                break
            except Exception as error:  # unforeseen numbers cost one picture, not all
                failed.append(shortened(f"{path.name} cannot be drawn ({type(error).__name__}: {error})"))
            gc.collect()  # a figure refers to itself, so it is not freed otherwise
    gc.unfreeze()
    return drawn, failed


def styled() -> AbstractContextManager[None]:
    """Context in which figures have the lab's style, that of alchemy/figures/draw.mplstyle."""
    return matplotlib.rc_context(fname=Path(__file__).with_suffix(".mplstyle"))


def save(figure: Figure, path: Path) -> Path:
    """Writes a picture to `path`, whole or not at all, in the format that the name ends in. Returns `path`."""
    with aside(path) as other:
        figure.savefig(other, format=path.suffix[1:])
    return path


def finish(folder: Path, kind: str = "png") -> int:
    """Writes cells.csv, the page and the pictures of all finished jobs in `folder`, in this order.

    The path of the first picture is the last line printed. Returns the exit code: 0, or 1 if a job failed or something
    could not be written, each of which is named on stderr.
    """
    failed: list[str] = []
    try:
        results = read_results(folder)
        for failure in results.failures():
            print(f"alchemy: {failure}", file=sys.stderr)
        if results.good:
            write_aside(folder / "cells.csv", results.cells.to_csv(index=False))
            seal(folder / "cells.csv", proof_of(folder))
            words, page = pages(results, failed)
            drawn, undrawn = draw_each(results, folder, kind)
            failed += [line for line in undrawn if not any(known in line for known in failed)]
            paged = own(results, "page")
            if page and paged:
                page = report.write_report(results)  # again, now that the picture in it exists
            if words or not paged:
                print(words or table_text(results.cells, results.apart))
            for line in (*registered.summary_of(results), *left_out(results)):
                print(line)
            print(f"every cell with its interval: {folder / 'cells.csv'}")
            if page:
                print(f"how its rows came out, to click through: {page}")
            if drawn:
                print(drawn[0], flush=True)
    except (ValueError, OSError) as error:
        failed.append(sentence(error))
    for line in failed:
        print(f"alchemy: {line}", file=sys.stderr)
    return int(bool(failed or results.failed))


def pages(results: Results, failed: list[str]) -> tuple[str | None, Path | None]:
    """Writes the page, and the tables of a study that has its own. Returns the results in words, and the path of the
    page.

    Sentences about what goes wrong are added to the list `failed`.
    """
    words = page = None
    try:
        words = paged.tables(results) if (paged := own(results, "page")) else None
        page = report.write_report(results)
    except (ValueError, OSError) as error:
        failed.append(sentence(error))
    except Exception as error:  # unforeseen numbers cost the page, not the pictures
        failed.append(shortened(f"report.html cannot be written ({type(error).__name__}: {error})"))
    return words, page


def left_out(results: Results) -> list[str]:
    """Sentences about rows and panels that no picture of their kind has room for."""
    last = {name.partition("_")[0]: said for name, _, said in drawings(results) if "left out" in said}
    return [f"{name}: {said[0].lower()}{said[1:]}" for name, said in last.items()]


def main(words: list[str]) -> int:
    """Runs the `draw` command. Returns its exit code: 0 if every picture could be drawn."""
    parser = Parser("draw", __doc__.split("\n")[0], "outputs/NAME/TIME --format pdf")
    parser.add_argument("folder", type=Path, metavar="outputs/NAME/TIME", help="the folder of a finished run or sweep")
    parser.add_argument("--format", choices=FORMATS, default="png", help="of the pictures (png, 200 dots an inch)")
    chosen = parser.parse_args(words)
    return finish(chosen.folder, chosen.format)
