"""Comparison of two sweeps: the difference of each cell that both have, with its interval."""

from typing import Any

import numpy as np
import pandas as pd

from alchemy.results.records import COORDINATES
from alchemy.results.table import apart, fill_missing_compositions
from alchemy.stats.intervals import difference

Moves = dict[tuple[Any, ...], tuple[float, float, float]]


def differences(before: pd.DataFrame, after: pd.DataFrame) -> Moves:
    """Difference between two tables of records, for each cell that both have.

    Returns, by cell of `after` (swept settings, axis, kind, domain, level, part, metric), its mean over seeds less that
    of `before`, and the low and high end of the 95 % interval (NaN for too few seeds). Two cells are the same if they
    agree in every coordinate that both tables have. Both tables have one row per record, as `load` and `from_records`
    return them.

    Raises ValueError if the tables have no cell in common, or if `before` sweeps a setting that `after` does not, so
    that a cell has no one counterpart.

    >>> for cell, (mean, low, high) in differences(old.table, new.table).items():  # doctest: +SKIP
    ...     print(cell, mean, low, high)
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
    for cell, values in grouped(after, [*apart(after), *keys]).items():
        named = dict(zip([*apart(after), *keys], cell, strict=True))
        place = [named[name] for name in [*shared, *keys]]
        other = old.get(tuple(place))
        if other is None and named["part"] == "executed" and (tie := old.get((*place[:-1], "tie"))):
            other = [0.0] * len(tie)  # no row executed this composition there
        if other:
            pairs.setdefault((len(values), len(other)), []).append((cell, values, other))
    if not pairs:
        raise ValueError("the two have no cell in common: compare runs with the same shifts and levels")
    bounded = {*after.loc[after["unit"] == "share", ["part", "metric"]].itertuples(index=False, name=None)}
    moves: Moves = {}
    for group in pairs.values():
        for unit in ("share", "other"):
            some = [its for its in group if (its[0][-2:] in bounded) == (unit == "share")]
            if not some:
                continue
            cells, *columns = zip(*some, strict=True)
            new, former = (np.array(column) for column in columns)
            low, high = difference(new, former, unit)
            middle = new.mean(axis=1) - former.mean(axis=1)
            moves |= dict(zip(cells, zip(middle.tolist(), low.tolist(), high.tolist(), strict=True), strict=True))
    return moves


def grouped(table: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], list[float]]:
    """Values of all seeds, by cell. NaN was not measured."""
    table = fill_missing_compositions(table[table["value"].notna()].drop_duplicates([*keys, "seed"]), keys)
    found: dict[tuple[Any, ...], list[float]] = {}
    columns = [table[key].tolist() for key in keys]
    for cell, value in zip(zip(*columns, strict=True), table["value"], strict=True):
        found.setdefault(cell, []).append(value)
    return found
