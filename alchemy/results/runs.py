"""Results of a run or sweep: its jobs, and its cells in one table."""

import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alchemy.errors import shortened
from alchemy.results.jobs import jobs, variants
from alchemy.results.table import apart, load, summarise

NAMED = 60  # letters, at most, of compositions that a caption names one by one


@dataclass(frozen=True)
class Results:
    """Results of one run or sweep.

    - `good`, `failed`: the run.json of each job, by job number
    - `swept`: for each job, the settings that tell its cells from those of other jobs
    - `table`: all records of the good jobs, one row each
    """

    folder: Path
    good: dict[int, dict[str, Any]]
    failed: dict[int, dict[str, Any]]
    swept: dict[int, dict[str, str]]
    table: pd.DataFrame

    @property
    def apart(self) -> list[str]:
        """Columns that tell cells apart, besides shift, part and metric."""
        return apart(self.table)

    @property
    def study(self) -> str:
        """Module of the study that all jobs ran, as their settings name it; "" if they ran several."""
        named = {run["study"]["_target_"].rpartition(".")[0] for run in self.good.values()}
        return named.pop() if len(named) == 1 else ""

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per cell, with its mean and interval over seeds (see alchemy.results.summarise)."""
        return summarise(self.table)

    @property
    def lacking(self) -> pd.DataFrame:
        """Cells that only failed jobs would have; their mean is NaN."""
        return holes(self.cells, [self.swept[number] for number in self.failed if number in self.swept])

    @property
    def caption(self) -> list[str]:
        """Lines that describe the setting of the runs, for the caption of a picture."""
        return caption_of(list(self.good.values()))

    def failures(self) -> list[str]:
        """Error of each failed job and, if that job can be run again alone, the command for it."""
        lines = []
        for number, run in self.failed.items():
            words = f" ({shortened(' '.join(run['overrides']), 90)})" if run.get("overrides") else ""
            name = f"job {number}{words}: " if number >= 0 else ""
            lines.append(f"{name}{run.get('error', 'did not finish: start the same command again')}")
            if number >= 0 and run.get("began"):
                lines[-1] += f"\n  that job alone: {command(run)}"
        return lines


def command(run: dict[str, Any]) -> str:
    """Command that runs one job of a sweep alone."""
    words = ["--config-dir", run["config_dir"]] if run.get("config_dir") else []
    words += run["overrides"]
    if any(word.startswith("experiment=") for word in words):  # an experiment may sweep by itself
        words.append("hydra.mode=RUN")
    return f"python -m alchemy {shlex.join(words)}"


def read_results(folder: str | Path) -> Results:
    """Results of a finished run or sweep.

    `folder` is that of the run, such as outputs/mirage/TIME. In the results, `table` has a row per record, and `cells`
    a row per cell with its interval. Raises ValueError if `folder` is not that of a run or sweep, or if a file in it
    cannot be read.

    >>> read_results("outputs/mirage/2026-01-01_00-00-00-000000").cells  # doctest: +SKIP
    """
    folder = Path(folder)
    runs = jobs(folder)
    failed = {number: run for number, run in runs.items() if run.get("status") != "ok"}
    good = {number: run for number, run in runs.items() if number not in failed}
    swept = variants(good | {number: run for number, run in failed.items() if "overrides" in run})
    return Results(folder, good, failed, swept, load(folder, {number: swept[number] for number in good}))


def holes(cells: pd.DataFrame, lacking: list[dict[str, str]]) -> pd.DataFrame:
    """Cells of failed jobs whose swept settings no finished job has; their mean is NaN."""
    keys = list(lacking[0]) if lacking else []
    if not keys:
        return cells[:0]
    measured = list(cells[keys].itertuples(index=False, name=None))
    like = cells[[settings == measured[0] for settings in measured]].assign(mean=np.nan, seeds=0)
    missing = {tuple(settings.values()) for settings in lacking} - set(measured)
    return pd.concat([cells[:0], *(like.assign(**dict(zip(keys, values, strict=True))) for values in sorted(missing))])


LEGEND = (
    "A cell: mean, lowest to highest seed, what executing the nearest training composition scores (replay), and what "
    "the level means.",
    "The noise token is never seen in training; a model that is right on the prompts that noise left untouched, and on "
    "no others, has their share as its exact match.",
)


def caption_of(runs: list[dict[str, Any]]) -> list[str]:
    """Lines that describe the setting of these runs, for the caption of a picture."""

    def span(name: str) -> str:
        return span_of([run[name] for run in runs])

    seeds = sorted({run["seed"] for run in runs})
    trained = sorted({", ".join(run["training"]) for run in runs})
    lengths = [length for run in runs for length in run.get("lengths", [run["length"]])]
    if max(map(len, trained)) > NAMED:
        trained = [f"{span_of([len(run['training']) for run in runs])} compositions"]
    kept = sorted({kept_out(run["held_out"]) for run in runs})
    short = [f"seed {run['seed']}: {run['exact_match']:.4f}" for run in runs if not run["reached"]]
    elsewhere = sorted({run["from"] for run in runs if run.get("from")})
    how = f"Trained elsewhere ({', '.join(elsewhere)}); level 0 is" if elsewhere else "Trained on"
    seen = "" if elsewhere else f", {span('rows')} rows"
    return [
        f"{how} {' | '.join(trained)} with {span_of(lengths)} atoms per element{seen}; "
        f"{span('parameters')} parameters; {len(seeds)} seed{'s' * (len(seeds) > 1)} ({', '.join(map(str, seeds))}).",
        *([] if elsewhere else [f"Kept out of training: {' | '.join(kept)}, and every test problem."]),
        *([f"Training ended before its mark on held-out problems ({', '.join(short)})."] if short else []),
        f"{span('count')} test rows a seed, drawn from fewer problems where it says so. Red frame: the training "
        "distribution.",
    ]


def span_of(values: list[int]) -> str:
    """Lowest to highest of these numbers, in words; the number alone if they are all equal.

    >>> span_of([1000, 3])
    '3 to 1,000'
    """
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def kept_out(held_out: dict[str, Any]) -> str:
    """Description of what training leaves out."""
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
