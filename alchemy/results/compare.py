"""What moved between two sweeps: the difference of each cell that both have, with its interval."""

from typing import Any

import numpy as np
import pandas as pd

from alchemy.results.records import COORDINATES
from alchemy.results.table import apart, fill_missing_compositions
from alchemy.stats.intervals import difference

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
    bounded = {*after.loc[after["unit"] == "share", ["part", "metric"]].itertuples(index=False, name=None)}
    moves: Moves = {}
    for some in pairs.values():
        cells, *columns = zip(*some, strict=True)
        mine, errors, its, its_errors = (np.array(column) for column in columns)
        low, high = difference(mine, errors, its, its_errors)
        middle = mine.mean(axis=1) - its.mean(axis=1)
        shares = np.array([cell[-2:] in bounded for cell in cells])
        low, high = (np.where(shares, np.clip(end, -1, 1), end) for end in (low, high))
        moves |= dict(zip(cells, zip(middle.tolist(), low.tolist(), high.tolist(), strict=True), strict=True))
    return moves


def grouped(table: pd.DataFrame, keys: list[str]) -> dict[tuple[Any, ...], tuple[list[float], list[float]]]:
    """By cell, each seed's value and standard error."""
    table = fill_missing_compositions(table.drop_duplicates([*keys, "seed"]), keys)
    found: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}
    columns = [table[key].tolist() for key in keys]
    for cell, value, error in zip(zip(*columns, strict=True), table["value"], table["error"], strict=True):
        values, errors = found.setdefault(cell, ([], []))
        values.append(value)
        errors.append(error)
    return found
