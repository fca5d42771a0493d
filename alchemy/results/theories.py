"""Registered forecasts of rival theories, read from a table, and held against what was measured."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alchemy.data.kinds import quoted
from alchemy.results.digests import sha256
from alchemy.results.records import COORDINATES
from alchemy.results.registrations import Forecast, Forecasts, Registration

if TYPE_CHECKING:  # its import takes a second, which registering need not spend
    import pandas as pd

    from alchemy.results.runs import Results

CELL = (*COORDINATES, "setting", "part", "metric", "seed")  # coordinates that every study has
USUAL = {"part": "full", "metric": "exact_match"}  # what a forecast is about that does not say


def read_forecasts(path: Path, swept: Collection[str], seeds: Collection[int]) -> Forecasts:
    """Forecasts in a CSV file: `theory`, `probability`, and columns that name cells.

    These are coordinates of CELL, and the settings `swept`. An empty field leaves its coordinate open, and lines that
    begin with # may stand above the table. Raises ValueError, with the line, for what is no forecast or of no seed of
    `seeds`.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = file.readlines()
        above = len([*takewhile(lambda line: line.startswith("#"), lines)])
        table = csv.DictReader(lines[above:])
        columns = [str(name).strip() for name in table.fieldnames or []]
        table.fieldnames = columns
        if lacking := [name for name in ("theory", "probability") if name not in columns]:
            raise ValueError(f"{path} has no column {lacking[0]}: it needs theory, probability and what names a cell")
        known = list(dict.fromkeys([*CELL, *swept]))
        if wrong := [name for name in columns if name not in (*known, "theory", "probability")]:
            raise ValueError(f"{path} has a column {quoted(wrong[0])}, which names no cell: use {', '.join(known)}")
        rows = [forecast(row, f"{path} line {above + table.line_num}", seeds) for row in table]
    if not rows:
        raise ValueError(f"{path} holds no forecast: write a line for each theory and cell")
    said = [(row["theory"], *sorted(row["cell"].items())) for row in rows]
    if twice := [one for number, one in enumerate(said) if one in said[:number]]:
        raise ValueError(f"{path} has two forecasts by {twice[0][0]} of one cell: leave one out")
    return {"sha256": sha256(path), "rows": tuple(rows)}


def forecast(row: Mapping[str, Any], where: str, seeds: Collection[int]) -> Forecast:
    """Forecast in one line of the file. Raises ValueError if it is none."""
    if None in row or None in row.values():
        raise ValueError(f"{where} has another number of fields than the first line: mend it")
    plain = {name: value.strip() for name, value in row.items()}
    theory, stated = plain.pop("theory"), plain.pop("probability")
    try:
        probability = float(stated)
    except ValueError:
        probability = -1.0
    if not 0 <= probability <= 1:
        raise ValueError(f"{where} has the probability {quoted(stated)}: write a number from 0 to 1")
    cell = {name: value for name, value in plain.items() if value}
    if not theory:
        raise ValueError(f"{where} names no theory: write whose forecast it is")
    if "seed" in cell and not any(agrees(seed, cell["seed"]) for seed in seeds):
        raise ValueError(
            f"{where} has seed {quoted(cell['seed'])}, which is not swept: use {', '.join(map(str, seeds))}"
        )
    return {"theory": theory, "probability": probability, "cell": cell}


def agrees(value: Any, text: str) -> bool:
    """Whether a coordinate is the one that a text states: the same text, or the same number."""
    if str(value) == text:
        return True
    try:
        return float(value) == float(text)
    except (TypeError, ValueError):
        return False


def outcomes(results: Results, by: Registration, numbers: Collection[int]) -> tuple[pd.DataFrame, list[Forecast]]:
    """Table with a row per forecast and measured cell, as `alchemy.stats.forecasts.compared` takes it. Beside it the
    forecasts that are of no cell here.

    Only the jobs `numbers` count, and only shares: what has no rows that are right or wrong has no outcome. A forecast
    of several cells counts for each.
    """
    import pandas as pd

    forecasts = (by.content["forecasts"] or {"rows": ()})["rows"]
    table = results.table
    table = table[table["job"].isin(numbers) & (table["unit"] == "share") & table["value"].between(0, 1)]
    cell = [name for name in table.columns if name not in ("job", "value", "error", "count", "unit")]
    table = table.drop_duplicates(cell)  # a cell that two jobs measured counts once
    typed = {number: typed_settings(results.good[number]["overrides"]) for number in numbers}
    found, none = [], []
    for one in forecasts:
        chosen = matched(table, USUAL | one["cell"], typed)
        if chosen.empty:
            none.append(one)
        told = chosen[cell].assign(theory=one["theory"], probability=one["probability"])
        found.append(told.assign(outcome=chosen["value"]))
    together = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    return (together.drop_duplicates() if len(together) else together), none


def typed_settings(words: Collection[str]) -> dict[str, str]:
    """Settings typed for a job, by name."""
    return {name.lstrip("+~"): value for name, _, value in (word.partition("=") for word in words)}


def matched(table: pd.DataFrame, cell: Mapping[str, str], typed: Mapping[int, Mapping[str, str]]) -> pd.DataFrame:
    """Rows of the table that have these coordinates, as columns or as settings typed for their job."""
    for name, text in cell.items():
        jobs = [number for number, its in typed.items() if name in its and agrees(its[name], text)]
        fits = table["job"].isin(jobs)
        if name in table:
            fits |= table[name].isin([value for value in table[name].unique() if agrees(value, text)])
        table = table[fits]
    return table
