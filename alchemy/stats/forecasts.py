"""Scores of forecasts, and theories side by side: which one gave what happened the higher probability.

Both scores are proper: on average none does better than the theory that states the true probability. An outcome is a
share from 0 to 1, such as the share of rows that are right, and a score is the mean over these rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # its import takes a second
    import pandas as pd

LEAST = 1e-3  # probability that the log score takes a forecast to give at least
TOLD = ("theory", "probability", "outcome")  # columns of a table of forecasts; all others name the cell
SCORES = ("brier", "log_score")


@dataclass(frozen=True)
class Comparison:
    """Theories side by side.

    - `means`: a row per theory, in the order of the forecasts: cells, seeds, and the mean over seeds of each score
    - `seeds`: a row per theory and seed: the mean over the cells of that seed of each score
    - `pairs`: a row per pair of theories: how many of the seeds in which both forecast a cell prefer the `first`, and
      how many the `second`, by the log score on the cells that both forecast; a tie counts for neither
    """

    means: pd.DataFrame
    seeds: pd.DataFrame
    pairs: pd.DataFrame


def checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as arrays. Raises ValueError for a number that is not from 0 to 1."""
    arrays = np.asarray(probability, dtype=float), np.asarray(outcome, dtype=float)
    for name, its in zip(("probability", "outcome"), arrays, strict=True):
        if not ((its >= 0) & (its <= 1)).all():
            raise ValueError(f"a forecast has the {name} {its[~((its >= 0) & (its <= 1))].flat[0]:g}: use 0 to 1")
    return arrays


def brier(probability: ArrayLike, outcome: ArrayLike) -> NDArray[np.float64]:
    """Brier score: the squared distance of a forecast from what happened, the mean over rows. Lower is better.

    `probability` is that of a row being right, `outcome` the share of rows that are; both may be arrays of one shape.
    Nothing is clipped. Raises ValueError for a number that is not from 0 to 1.

    >>> float(brier(0.5, 1.0)), float(brier(0.5, 0.5)), float(brier(1.0, 0.25))
    (0.25, 0.25, 0.75)
    """
    p, share = checked(probability, outcome)
    return np.asarray(share * (1 - p) ** 2 + (1 - share) * p**2)


def log_score(probability: ArrayLike, outcome: ArrayLike) -> NDArray[np.float64]:
    """Log score: the natural logarithm of the probability that a forecast gave to what happened, the mean over rows.
    Higher is better, and 0 is the best.

    `probability` is that of a row being right, `outcome` the share of rows that are; both may be arrays of one shape.
    Probabilities are clipped at 1e-3: one below that counts as 0.001, and one above 0.999 as 0.999, so that a theory
    that was certain and wrong loses 6.9 a row and not everything. Raises ValueError for a number that is not from 0 to
    1.

    >>> round(float(log_score(0.5, 1.0)), 3), round(float(log_score(0.0, 1.0)), 3)
    (-0.693, -6.908)
    """
    p, share = checked(probability, outcome)
    p = p.clip(LEAST, 1 - LEAST)
    return np.asarray(share * np.log(p) + (1 - share) * np.log(1 - p))


def compared(table: pd.DataFrame) -> Comparison:
    """Theories side by side, from a table with one row per theory and cell: its columns are `theory`, `seed`,
    `probability`, `outcome`, and any others that name the cell.

    Seeds are the unit: scores are averaged over the cells of a seed, then over seeds. Raises ValueError for a column
    that is lacking, and for two forecasts of one cell by one theory.

    >>> import pandas as pd
    >>> rows = [("replay", 0, 0.25, 0.0), ("replay", 1, 0.25, 1.0), ("rules", 0, 0.5, 0.0), ("rules", 1, 0.5, 1.0)]
    >>> found = compared(pd.DataFrame(rows, columns=["theory", "seed", "probability", "outcome"]))
    >>> found.means["brier"].tolist(), found.pairs[["prefer_first", "prefer_second"]].values.tolist()
    ([0.3125, 0.25], [[1, 1]])
    """
    import pandas as pd

    if lacking := [name for name in (*TOLD, "seed") if name not in table]:
        raise ValueError(f"a table of forecasts lacks the column {lacking[0]}: add it")
    cell = [name for name in table.columns if name not in TOLD]
    if (twice := table.duplicated(["theory", *cell])).any():
        raise ValueError(f"{table[twice].iloc[0]['theory']} forecasts one cell twice: leave one of its rows out")
    scored = table.assign(
        brier=brier(table["probability"], table["outcome"]), log_score=log_score(table["probability"], table["outcome"])
    )
    seeds = scored.groupby(["theory", "seed"], sort=False)[[*SCORES]].mean().reset_index()
    counted = scored.groupby("theory", sort=False).agg(cells=("seed", "size"), seeds=("seed", "nunique"))
    means = counted.join(seeds.groupby("theory", sort=False)[[*SCORES]].mean()).reset_index()
    pairs = []
    for first, second in combinations(means["theory"], 2):
        one, other = (scored.loc[scored["theory"] == name, [*cell, "log_score"]] for name in (first, second))
        both = one.merge(other, on=cell, suffixes=("", "_other"))
        better = (both["log_score"] - both["log_score_other"]).groupby(both["seed"]).mean()
        pairs.append((first, second, int((better > 0).sum()), int((better < 0).sum()), len(better), better.mean()))
    columns = ["first", "second", "prefer_first", "prefer_second", "seeds", "difference"]
    return Comparison(means, seeds, pd.DataFrame(pairs, columns=columns))
