"""What moved between two sweeps: the difference of each cell that both have, with its interval."""

from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from alchemy.figures.findings import name_of
from alchemy.results.records import COORDINATES, apart, is_share, unnamed_are_none
from alchemy.stats.intervals import difference

LISTED = 8  # cells, at most, that are named
Moves = dict[tuple[Any, ...], tuple[float, float, float]]


def differences(before: pd.DataFrame, after: pd.DataFrame) -> Moves:
    """By the cells of `after` (swept settings, axis, kind, domain, level, part, metric): its mean over seeds less that
    of `before`, and the low and high end of the 95 % interval (NaN for one seed). Cells are the same that agree in
    every coordinate which both tables have.

    Raises ValueError if they have no cell in common, or what only `before` sweeps leaves open which one is meant.
    """
    shared = [name for name in apart(after) if name in apart(before)]
    keys = [*COORDINATES, "part", "metric"]
    if lacking := [name for name in apart(before) if name not in shared and before[name].nunique() > 1]:
        raise ValueError(
            f"the first sweeps {', '.join(lacking)} and the second does not, so its cells have no one counterpart: "
            f"compare runs that sweep the same settings"
        )
    old = grouped(before, [*shared, *keys])
    pairs: dict[tuple[int, int], list[Any]] = {}
    for cell, (values, within) in grouped(after, [*apart(after), *keys]).items():
        named = dict(zip([*apart(after), *keys], cell, strict=True))
        place = [named[name] for name in [*shared, *keys]]
        found = old.get(tuple(place))
        if found is None and named["part"] == "executed" and (tie := old.get((*place[:-1], "tie"))):
            found = [0.0] * len(tie[0]), [0.0] * len(tie[0])  # not among what was executed there
        if found:
            pairs.setdefault((len(values), len(found[0])), []).append((cell, values, within, *found))
    if not pairs:
        raise ValueError("the two have no cell in common: compare runs with the same shifts and levels")
    moves: Moves = {}
    for some in pairs.values():
        cells, *columns = zip(*some, strict=True)
        mine, errors, its, its_errors = (np.array(column) for column in columns)
        low, high = difference(mine, errors, its, its_errors)
        middle = mine.mean(axis=1) - its.mean(axis=1)
        shares = np.array([is_share(*cell[-2:]) for cell in cells])
        low, high = (np.where(shares, np.clip(end, -1, 1), end) for end in (low, high))
        moves |= dict(zip(cells, zip(middle.tolist(), low.tolist(), high.tolist(), strict=True), strict=True))
    return moves


def moved(moves: Moves, swept: list[str], settings: dict[tuple[Any, ...], str]) -> list[str]:
    """How many cells' exact match moved for certain, and which moved most; `settings` are what levels mean."""
    known = {cell[:-2]: its for cell, its in moves.items() if cell[-2:] == ("full", "exact_match")}
    sure = [cell for cell, (_, low, high) in known.items() if low > 0 or high < 0]
    one = sum(isnan(low) for _, low, _ in known.values())
    alone = f" {one} have no interval, as one seed has none." if one else ""
    said = [
        f"Of {len(known)} cells that both have, {len(sure)} moved in exact match so that the 95 % interval of the "
        f"difference leaves zero out; with few seeds some do so by chance.{alone}"
    ]
    for cell in sorted(known, key=lambda cell: -abs(known[cell][0]))[:LISTED]:
        difference, low, high = known[cell]
        if difference:
            span = f" [{low:+.2f}, {high:+.2f}]" if not isnan(low) else ""
            said.append(f"{name_of(cell[:-1], swept, cell[-1], settings.get(cell, ''))}: {difference:+.2f}{span}")
    return said


def grouped(table: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], tuple[list[float], list[float]]]:
    """By cell, each seed's value and standard error."""
    table = unnamed_are_none(table.drop_duplicates([*keys, "seed"]), keys)
    found: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}
    columns = [table[key].tolist() for key in keys]
    for cell, value, error in zip(zip(*columns, strict=True), table["value"], table["error"], strict=True):
        values, errors = found.setdefault(cell, ([], []))
        values.append(value)
        errors.append(error)
    return found
