"""Figures from records alone: no model is read, nothing is trained.

`python -m alchemy.figures outputs/NAME/TIME` draws a finished run or sweep again.
"""

import shlex
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alchemy.bars import bars
from alchemy.curves import curves
from alchemy.errors import sentence
from alchemy.heatmap import PARTS, heatmap
from alchemy.phase import numbers, phase
from alchemy.records import apart, aside, jobs, load, summarise, variants, write_aside

NAMED = 60  # letters at most of compositions that a caption names one by one
STUDIED = ("share", "rows")  # coordinates that studies add, to be drawn as curves; a share has its rows beside it


def caption_of(runs: list[dict[str, Any]]) -> str:
    """What a reader must know of the setting, in a few lines."""

    def span(name: str) -> str:
        return span_of([run[name] for run in runs])

    seeds = sorted({run["seed"] for run in runs})
    trained = sorted({", ".join(run["training"]) for run in runs})
    if max(map(len, trained)) > NAMED:
        trained = [f"{span_of([len(run['training']) for run in runs])} compositions"]
    kept = sorted({kept_out(run["held_out"]) for run in runs})
    short = [f"seed {run['seed']}: {run['exact_match']:.4f}" for run in runs if not run["reached"]]
    elsewhere = sorted({run["from"] for run in runs if run.get("from")})
    how = f"Trained elsewhere ({', '.join(elsewhere)}); level 0 is" if elsewhere else "Trained on"
    seen = "" if elsewhere else f", {span('rows')} rows"
    return "\n".join(
        [
            f"{how} {' | '.join(trained)} with {span('length')} atoms per element{seen}; "
            f"{span('parameters')} parameters; {len(seeds)} seed{'s' * (len(seeds) > 1)} "
            f"({', '.join(map(str, seeds))}).",
            *([] if elsewhere else [f"Kept out of training: {' | '.join(kept)}, and every test problem."]),
            *([f"Training ended before its mark on held-out problems ({', '.join(short)})."] if short else []),
            "A cell: mean, lowest to highest seed, what executing the nearest training composition scores (replay), "
            "and what the level means.",
            f"{span('count')} test rows a seed, drawn from fewer problems where it says so. Red frame: the training "
            "distribution.",
            "The noise token is never seen in training; a model that is right on the prompts that noise left "
            "untouched, and on no others, has their share as its exact match.",
        ]
    )


def span_of(values: list[int]) -> str:
    """The lowest to the highest of some numbers, in words."""
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def kept_out(held_out: dict[str, Any]) -> str:
    """What training lacks, in words."""
    kept = []
    if held_out["atoms"]:
        written = f" as inputs (rules write {', '.join(held_out['written'])})" if held_out["written"] else " altogether"
        kept.append(f"the atoms {', '.join(held_out['atoms'])}{written}")
    if held_out.get("only"):
        kept.append(f"every other atom from all places but one in {held_out['only']}")
    if held_out.get("compositions"):
        kept.append(f"{len(held_out['compositions'])} compositions that stand for all new ones")
    if held_out["places"]:
        kept.append(f"every other atom from one place in {held_out['places']}")
    return " and ".join(kept) or "nothing"


def table_text(cells: pd.DataFrame, swept: list[str]) -> str:
    """A short table: exact match of the full text by shift and level, the mean over seeds."""
    chosen = cells[(cells["metric"] == "exact_match") & (cells["part"] == "full")]
    keys = [*swept, "axis", "kind", "domain"]
    lines = ["exact match of chain and answer, mean over seeds, by level (0 is training)"]
    for row, group in groupby(chosen.to_dict("records"), key=lambda cell: [cell[key] for key in keys]):
        values = "  ".join(f"{cell['level']:+d}: {cell['mean']:.3f}" for cell in group)
        lines.append(f"{' '.join(str(word) for word in row if word != '-'):<32} {values}")
    return "\n".join(lines)


def pictures(
    cells: pd.DataFrame,
    table: pd.DataFrame,
    runs: list[dict[str, Any]],
    swept: list[str],
    lacking: pd.DataFrame | None = None,
) -> Iterator[tuple[str, Figure]]:
    """Every picture that the cells, and the table of every seed's records, give, with its name; cells that are lacking
    are marked in the heatmaps.
    """
    over = next((name for name in STUDIED if name in swept), None)
    if over:
        yield (
            f"curves_{over}",
            curves(cells, table, [name for name in swept if name not in STUDIED or name == over], over),
        )
        return
    caption = caption_of(runs)
    whole = cells if lacking is None or lacking.empty else pd.concat([cells, lacking])
    for metric in ("exact_match", "edit_distance"):
        for part in PARTS:
            name = f"heatmap{'' if metric == 'exact_match' else '_' + metric}{'' if part == 'full' else '_' + part}"
            if ((cells["metric"] == metric) & (cells["part"] == part)).any():
                yield name, heatmap(whole, metric, part, caption, swept)
    if (cells["part"] == "diagnosis").any():
        yield "diagnosis", bars(cells, swept)
    for numeric in numbers(cells, swept):
        yield f"map_{numeric}", phase(cells, table, swept, numeric)


def holes(cells: pd.DataFrame, lacking: list[dict[str, str]]) -> pd.DataFrame:
    """The cells, without a mean, that failed jobs lack whose swept settings no finished job has."""
    keys = list(lacking[0]) if lacking else []
    if not keys:
        return cells[:0]
    measured = list(cells[keys].itertuples(index=False, name=None))
    like = cells[[settings == measured[0] for settings in measured]].assign(mean=np.nan, seeds=0)
    missing = {tuple(settings.values()) for settings in lacking} - set(measured)
    return pd.concat([cells[:0], *(like.assign(**dict(zip(keys, values, strict=True))) for values in sorted(missing))])


def draw_all(
    cells: pd.DataFrame,
    table: pd.DataFrame,
    runs: list[dict[str, Any]],
    swept: list[str],
    folder: Path,
    lacking: pd.DataFrame | None = None,
) -> Path:
    """Draws every picture into `folder`; returns the path of the first."""
    files = []
    for name, figure in pictures(cells, table, runs, swept, lacking):
        files.append(folder / f"{name}.png")
        save(figure, files[-1])
    return files[0]


def save(figure: Figure, path: Path) -> None:
    """Writes a picture whole or not at all."""
    with aside(path) as other:
        figure.savefig(other, dpi=110, format="png")


def finish(folder: Path) -> int:
    """Writes cells.csv and the pictures of all finished jobs in `folder`; the last line printed is heatmap.png's path.

    Returns the exit code: 0, or 1 if a job failed, each of them named on stderr.
    """
    try:
        runs = jobs(folder)
        failed = {number: run for number, run in runs.items() if run.get("status") != "ok"}
        good = {number: run for number, run in runs.items() if number not in failed}
        for number, run in failed.items():
            name = f"job {number} ({' '.join(run.get('overrides', []))}): " if number >= 0 else ""
            print(f"alchemy: {name}{run.get('error', 'did not finish: start the same command again')}", file=sys.stderr)
            if number >= 0 and run.get("began"):
                print(f"  that job alone: python -m alchemy {shlex.join(run['overrides'])}", file=sys.stderr)
        if good:
            report(folder, good, failed)
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error)}", file=sys.stderr)
        return 1
    return int(bool(failed))


def report(folder: Path, runs: dict[int, dict[str, Any]], failed: dict[int, dict[str, Any]]) -> None:
    swept = variants(runs | {number: run for number, run in failed.items() if "overrides" in run})
    table = load(folder, {number: swept[number] for number in runs})
    names, cells = apart(table), summarise(table)
    write_aside(folder / "cells.csv", cells.to_csv(index=False))
    lacking = [swept[number] for number in failed if number in swept]
    picture = draw_all(cells, table, list(runs.values()), names, folder, holes(cells, lacking))
    print(table_text(cells, names))
    print(f"every cell with its interval: {folder / 'cells.csv'}")
    print(picture, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m alchemy.figures outputs/NAME/TIME   (the folder of a finished run or sweep)")
    sys.exit(finish(Path(sys.argv[1])))
