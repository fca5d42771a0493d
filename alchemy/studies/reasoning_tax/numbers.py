"""Every number of this study as one tidy table: of the base, where each match is reached, and at the last step.

Each row is over seeds, with every seed beside it, so that whatever is told of a run can be looked up.
"""

from collections.abc import Callable, Iterator
from math import isnan

import pandas as pd

from alchemy.results.table import seed_text
from alchemy.studies.reasoning_tax.coordinates import NONE, Column, Part, column, unit
from alchemy.studies.reasoning_tax.trajectories import CHANGES, Run, Seeds, Tax, over_seeds
from alchemy.studies.reasoning_tax.verdicts import VALUES, kept, onset

BASE, LAST = "base", "last"
DERIVED = {  # units of what follows from other numbers; all else are shares
    **dict.fromkeys(("lost_bits", "storage"), "bits"),
    **dict.fromkeys(("change_infogain", "change_infogain_bounded", "infogain_change", "norm"), "ratio"),
    **dict.fromkeys(("lower_less_upper", "lower_less_random", "lower_less_halfway", "latent_less_storage"), "ratio"),
    **dict.fromkeys(("recovered_less_missing", "latent_gentle_less_usual"), "ratio"),
    **dict.fromkeys(("kl", "change_nats"), "nats"),
}
COLUMNS = ["load", "arm", "keep", "at", *Part._fields, "metric", "unit", "estimate", "low", "high", "seeds", "by_seed"]
Value = Callable[[Run], float]


def all_numbers(tax: Tax) -> pd.DataFrame:
    """Table with one row per number: the median seed as `estimate`, its 95 % interval, and each seed.

    `at` is where it was measured: base, a match, or last. A base has its numbers once, under the arm -. The part
    `derived` has what follows from others: changes from the base, shares kept, what predictions are about, and the rate
    at which greedy chains begin.
    """
    rows = []
    for load in tax.loads:
        arms = [(arm, keep) for its, arm, keep in tax.rows if its == load]
        shared = {seed: run for arm, keep in arms for seed, run in tax.of(load, arm, keep).items()}
        for one in sorted({one for run in shared.values() for one in run.values}, key=str):
            if one.where.match == NONE:
                rows += row((load, NONE, NONE, BASE), one, {seed: run.base(one) for seed, run in shared.items()})
        for arm, keep in arms:
            runs = tax.of(load, arm, keep)
            for at, one, value in asked(tax, runs):
                rows += row((load, arm, keep, at), one, {seed: value(run) for seed, run in runs.items()})
    return pd.DataFrame(rows, columns=COLUMNS)


def asked(tax: Tax, runs: dict[int, Run]) -> Iterator[tuple[str, Column, Value]]:
    """Where, what and how to compute it, of every number of an arm's runs."""
    for one in sorted({one for run in runs.values() for one in run.values}, key=str):
        if one.where.match != NONE:
            yield one.where.match, one, lambda run, one=one: run.last(one)  # type: ignore[misc]
            continue
        for match in tax.design.matches:
            yield match, one, lambda run, one=one, match=match: tax.at(run, match, one)  # type: ignore[misc]
        yield LAST, one, lambda run, one=one: run.last(one)  # type: ignore[misc]
    for name, (what, sign) in CHANGES.items():
        for match in tax.design.matches:
            yield match, derived(name), lambda run, name=name, match=match: tax.change(run, match, name)  # type: ignore[misc]
        if sign:
            yield LAST, derived(name), lambda run, what=what, sign=sign: sign * (run.last(what) - run.base(what))  # type: ignore[misc]
    for match in tax.design.matches:
        for name in ("bits", "bits_head", "bits_tail"):
            yield match, derived(f"kept_{name}"), lambda run, m=match, name=name: kept(tax, run, m, name)  # type: ignore[misc]
        for name in sorted(set(VALUES) - set(CHANGES)):
            yield match, derived(name), lambda run, m=match, name=name: VALUES[name](tax, run, m)  # type: ignore[misc]
    yield NONE, derived("onset"), onset


def derived(metric: str) -> Column:
    """Column of a number that follows from others."""
    return column("derived", metric)


def row(place: tuple[float, str, str, str], one: Column, values: Seeds) -> list[dict[str, str | float]]:
    """Row of a number, as a list; empty if no seed has it."""
    known = {seed: value for seed, value in values.items() if not isnan(value)}
    if not known:
        return []
    found = over_seeds(known)
    load, arm, keep, at = place
    its: dict[str, str | float] = {"load": load, "arm": arm, "keep": keep, "at": at}
    part = one.where.part
    named = DERIVED.get(one.metric, "share") if part == "derived" else unit(part, one.metric)
    its |= {**one.where._asdict(), "metric": one.metric, "unit": named}
    its |= {"estimate": found.estimate, "low": found.low, "high": found.high, "seeds": found.seeds}
    return [its | {"by_seed": seed_text(known)}]
