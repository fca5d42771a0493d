"""What held-out compositions came to, by seed: accuracy, the number of compositions for half of them, its growth with
the number of rules, and the scores of each theory.
"""

from collections.abc import Callable, Sequence
from math import nan

import numpy as np
import pandas as pd

from alchemy.results.runs import Results
from alchemy.stats.forecasts import brier, log_score
from alchemy.studies.coverage.theories import THEORIES, Facts, forecast

FACTS = ["rules", "compositions", "times", "anywhere", "connected", "whole"]
JOB = ["form", "design", "rules", "compositions", "seed"]
HALF = 0.5
MOST_TIMES = 6  # so often or more are one
SCORES = {"log score": log_score, "Brier score": brier}
SWEPT = ("task.rules", "task.design", "task.cot")
Seeds = dict[int, float]


def held_out_rows(results: Results) -> pd.DataFrame:
    """Table with a row for each job and kind of held-out compositions: JOB, FACTS, the share that is `right`, and the
    number of `problems`.

    The design is the kind of the swept setting task.design; where none is swept, all jobs are of the design "one".
    Raises ValueError for a sweep over anything else, whose models would be taken for one.
    """
    table = results.table
    if other := sorted({name for name in results.apart if name not in (*FACTS, "form", *SWEPT)}):
        raise ValueError(f"{other[0]} is swept, and study=coverage compares {', '.join(SWEPT)}: sweep it apart")
    table = table[(table["part"] == "composition") & (table["metric"] == "exact_match")]
    found = table.rename(columns={"value": "right", "count": "problems"})
    kind = found["task.design"].str.partition("_")[0] if "task.design" in found else "one"
    found = found.assign(design=kind)
    found = found.astype(dict.fromkeys(FACTS, int))
    columns = [*dict.fromkeys([*JOB, *FACTS, "right", "problems"])]
    return found[columns].drop_duplicates([*dict.fromkeys([*JOB, *FACTS])]).reset_index(drop=True)


def by_job(table: pd.DataFrame, value: pd.Series, of: Sequence[str] = JOB) -> pd.Series:
    """Mean over problems of a value of each row of `held_out_rows`, for each job, or for each of other columns."""
    keys = [table[name] for name in of]
    return (value * table["problems"]).groupby(keys).sum() / table["problems"].groupby(keys).sum()


def said(table: pd.DataFrame, theory: str) -> pd.Series:
    """Whether a theory says that each row of `held_out_rows` comes right, as 0 or 1."""
    says = THEORIES[theory][1]
    return pd.Series([float(says(facts(row))) for row in table[FACTS].itertuples(index=False)], index=table.index)


def facts(row: tuple[int, ...]) -> Facts:
    rules, compositions, times, anywhere, connected, whole = row
    return Facts(rules, compositions, times, anywhere, bool(connected), bool(whole))


def scores(table: pd.DataFrame, theory: str, sure: float, score: str = "log score") -> pd.Series:
    """Score of a theory in each job: its log score in nats a problem, or its Brier score."""
    stated = [forecast(theory, facts(row), sure) for row in table[FACTS].itertuples(index=False)]
    return by_job(table, pd.Series(SCORES[score](stated, table["right"].to_numpy()), index=table.index))


def score_by_seed(table: pd.DataFrame, theory: str, sure: float, form: str, score: str = "log score") -> Seeds:
    """Score of a theory by seed: the mean over all jobs of one form of answers."""
    found = scores(table, theory, sure, score)
    return by_seed(found[found.index.get_level_values("form") == form])


def by_seed(values: pd.Series) -> Seeds:
    """Mean of values, one for each job, by seed."""
    return {int(str(seed)): float(value) for seed, value in values.groupby("seed").mean().items()}


def seedwise(table: pd.DataFrame) -> Seeds:
    """Mean exact match over problems of rows of `held_out_rows`, by seed."""
    return by_seed(by_job(table, table["right"], ["seed"]))


def by_times(table: pd.DataFrame) -> dict[int, Seeds]:
    """Exact match by how often each rule was seen in its place (MOST_TIMES: so often or more), and by seed."""
    times = table["times"].clip(upper=MOST_TIMES)
    return {int(str(k)): seedwise(some) for k, some in table.groupby(times)}


def per_rule(table: pd.DataFrame) -> pd.Series:
    """Compositions in training for each rule."""
    return (table["compositions"] / table["rules"]).round(2)


def half_at(table: pd.DataFrame, value: pd.Series, form: str) -> dict[int, dict[int, float]]:
    """The number of compositions at which `value` of held-out ones first reaches one half, by number of rules and seed.

    It is interpolated in the logarithm of the number, over jobs of the design random (or of all, if no design
    is swept); a seed that begins above one half, or never reaches it, has none.
    """
    means = by_job(table, value).rename("value").reset_index()
    means = means[(means["form"] == form) & means["design"].isin(["random", "one"])]
    found: dict[int, dict[int, float]] = {}
    for (rules, seed), some in means.sort_values("compositions").groupby(["rules", "seed"]):
        at = crossed_half(some["compositions"].to_numpy(float), some["value"].to_numpy(float))
        if not np.isnan(at):
            found.setdefault(int(str(rules)), {})[int(str(seed))] = at
    return found


def crossed_half(x: np.ndarray, y: np.ndarray) -> float:
    """Where y (n,) first reaches one half over ascending x (n,), on a straight line in log x between two points; NaN if
    it begins there, or never reaches it.

    >>> round(crossed_half(np.array([4.0, 16.0]), np.array([0.0, 1.0])), 1)
    8.0
    """
    above = np.flatnonzero(y >= HALF)
    if not len(above) or above[0] == 0:
        return nan
    right, left = above[0], above[0] - 1
    part = (HALF - y[left]) / (y[right] - y[left])
    return float(np.exp(np.log(x[left]) + part * (np.log(x[right]) - np.log(x[left]))))


def exponents(found: dict[int, dict[int, float]]) -> Seeds:
    """By seed, the power of the number of rules that `half_at` grow with: the slope of a straight line through the
    logarithms of both, for seeds that have two or more.
    """
    seeds = sorted({seed for its in found.values() for seed in its})
    slopes = {}
    for seed in seeds:
        both = [(np.log(rules), np.log(its[seed])) for rules, its in sorted(found.items()) if seed in its]
        if len(both) > 1:
            x, y = np.array(both).T
            slopes[seed] = float(np.polyfit(x, y, 1)[0])
    return slopes


def exponent(table: pd.DataFrame, form: str) -> Seeds:
    """The measured exponent of one form of answers, by seed."""
    return exponents(half_at(table, table["right"], form))


def by_number(table: pd.DataFrame, theory: str, form: str) -> dict[int, dict[int, float]]:
    """`half_at` as a theory has them, on the very same jobs."""
    return half_at(table, said(table, theory), form)


VALUES: dict[str, Callable[[Seeds], Seeds]] = {
    "exponent": lambda its: its,
    "less_one": lambda its: {seed: value - 1 for seed, value in its.items()},
    "less_two": lambda its: {seed: value - 2 for seed, value in its.items()},
}
