"""Trajectories of fine-tuning, compared where they reach the same gain: what reasoning training costs in knowledge.

A run is one load, arm, preservation (keep) and seed. Every number is computed for each run, then over seeds, since
items are nested in seeds. Arms are compared at matched gain, not at an arbitrary last step.

Shapes: N steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alchemy.results.runs import Results
from alchemy.results.table import seed_text
from alchemy.stats.contrasts import Contrast, contrast
from alchemy.studies.reasoning_tax.coordinates import NONE, Column, Part, column
from alchemy.studies.reasoning_tax.design import BASES, MATCHES, Design, design_of

Array = NDArray[np.float64]
Key = tuple[float, str, str, int]  # load, arm, keep, seed
Seeds = dict[int, float]  # a number by seed, where it is known
RUN = ["load", "arm", "keep", "seed"]
CHANGES = {  # columns of the table: what is measured, and the sign of its change from the base (0: the value itself)
    "change_free": (column("procedural", "free"), 1),
    "change_ood": (column("procedural", "ood"), 1),
    "change_deeper": (column("procedural", "deeper"), 1),
    "lost_bits": (column("knowledge", "bits"), -1),
    "change_knowledge_free": (column("knowledge", "free"), 1),
    "overthinking": (column("knowledge", "overthinking"), 0),
    "change_infogain": (column("chain", "infogain"), 1),
    "change_infogain_bounded": (column("chain", "infogain_bounded"), 1),
    "change_nats": (column("chain", "nats"), 1),
    "change_ki": (column("chain", "ki"), 1),
    "kl": (column("update", "kl"), 0),
    "norm": (column("update", "norm"), 0),
    "changed": (column("update", "changed"), 0),
}


@dataclass(frozen=True)
class Run:
    """Trajectory of one run: `step` (N,), ascending, and `values` (N,) by column, NaN where not measured."""

    step: Array
    values: Mapping[Column, Array]

    def of(self, column: Column) -> Array:
        """(N,) values of a column; NaN if it was never measured."""
        return self.values.get(column, np.full(len(self.step), nan))

    def base(self, column: Column) -> float:
        """Value before fine-tuning; NaN if step 0 was not measured."""
        return float(self.of(column)[0]) if self.step[0] == 0 else nan

    def last(self, column: Column) -> float:
        """Last value that was measured, such as the only one at a matched checkpoint; NaN if there is none."""
        known = self.of(column)[~np.isnan(self.of(column))]
        return float(known[-1]) if len(known) else nan

    def at(self, column: Column, over: Column, target: float) -> float:
        """Value of `column` where `over` first reaches `target`; NaN if it never does.

        Only steps at which both were measured count.
        """
        x, y = self.of(over), self.of(column)
        both = ~np.isnan(x) & ~np.isnan(y)
        return crossed(x[both], y[both], target)


def crossed(x: Array, y: Array, target: float) -> float:
    """Value of `y` (N,) where `x` (N,) first reaches `target`, on the straight line between two steps; NaN if it never
    does.

    If the first step has reached it already, its own value is returned.

    >>> round(crossed(np.array([0.1, 0.3, 0.5]), np.array([6.0, 5.0, 4.0]), 0.4), 6)
    4.5
    """
    reached = np.flatnonzero(x >= target)
    if not len(reached):
        return nan
    after = int(reached[0])
    if after == 0:
        return float(y[0])
    share = (target - x[after - 1]) / (x[after] - x[after - 1])
    return float((1 - share) * y[after - 1] + share * y[after])


@dataclass(frozen=True)
class Tax:
    """All runs that count, with the design of the study.

    A run counts if it was fine-tuned at all and its base has what the design demands. `excluded` says of the others
    in words why not.
    """

    runs: Mapping[Key, Run]
    design: Design
    excluded: Mapping[Key, str] = field(default_factory=dict)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why some seeds do not count, a sentence each."""
        return tuple(sorted(set(self.excluded.values())))

    @cached_property
    def rows(self) -> list[tuple[float, str, str]]:
        """Load, arm and keep of all runs, in the order of the records."""
        return list(dict.fromkeys(key[:3] for key in self.runs))

    @cached_property
    def loads(self) -> list[float]:
        """Loads of all runs, ascending."""
        return sorted({load for load, _, _ in self.rows})

    @cached_property
    def load(self) -> float:
        """Main load: the one with the most arms; of several such, the highest."""
        return max(self.loads, key=lambda load: (len({arm for its, arm, _ in self.rows if its == load}), load))

    def arms(self, load: float | None = None) -> list[str]:
        """Arms of a load without preservation, in the order of the records. The default is the main load."""
        load = self.load if load is None else load
        return [arm for its, arm, keep in self.rows if its == load and keep == "none"]

    def of(self, load: float, arm: str, keep: str = "none") -> dict[int, Run]:
        """Runs of an arm, by seed."""
        return {key[3]: run for key, run in self.runs.items() if key[:3] == (load, arm, keep)}

    def world(self, value: Callable[[Run], float]) -> Contrast:
        """Median seed of a quantity that all runs of a seed share, such as p*. Uses the main load."""
        first: Seeds = {}
        for (load, _, _, seed), run in self.runs.items():
            if load == self.load and isnan(first.get(seed, nan)):
                first[seed] = value(run)
        return over_seeds(first)

    def by_seed(self, load: float, arm: str, keep: str, value: Callable[[Run], float]) -> Seeds:
        """Value of each run of an arm, by seed, without those that are NaN."""
        found = {seed: value(run) for seed, run in self.of(load, arm, keep).items()}
        return {seed: number for seed, number in found.items() if not isnan(number)}

    def at(self, run: Run, match: str, column: Column) -> float:
        """Value of a run where it reaches the match; NaN if it does not reach it, or if its base was there already."""
        return nan if self.why_not(run, match) else run.at(column, MATCHES[match][0], self.design.matches[match])

    def change(self, run: Run, match: str, name: str) -> float:
        """One of CHANGES for a run, where it reaches the match."""
        column, sign = CHANGES[name]
        there = self.at(run, match, column)
        return sign * (there - run.base(column)) if sign else there

    def why_not(self, run: Run, match: str) -> str:
        """Reason, in words, why a run does not reach a match; empty if it does."""
        column, words, _ = MATCHES[match]
        x, target = run.of(column), self.design.matches[match]
        if np.isnan(x).all():
            return f"its {words} was not measured"
        if run.step[0] == 0 and x[0] >= target:
            return f"its {words} is {x[0]:.2g} before training, past {target:g}"
        return "" if (x >= target).any() else f"its {words} never reached {target:g}: highest {np.nanmax(x):.2g}"


def over_seeds(numbers: Seeds) -> Contrast:
    """Median seed, with its interval."""
    return contrast(np.array([*numbers.values()], dtype=float))


def of(results: Results) -> Tax:
    """Trajectories of a sweep's finished jobs, with the design in their run.json."""
    return tax_of(results.table, design_of(results.good.values()))


def tax_of(table: pd.DataFrame, plan: Design) -> Tax:
    """Trajectories in a table of records. Loads that agree in two digits are the same.

    Raises ValueError if a number was measured twice with different results, since then something was swept that the
    study's coordinates do not tell apart; if nothing was fine-tuned; and if no base has what the design demands.
    """
    table = table.assign(**{name: NONE for name in Part._fields if name not in table})
    keys = [*RUN, "step", *Part._fields, "metric"]
    table = table[[*keys, "value"]].copy()
    table["load"] = rounded_loads(table)
    table["step"] = table["step"].astype(int)
    wheres = table[list(Part._fields)].itertuples(index=False, name=None)
    columns: dict[Column, int] = {}
    named = (Column(Part(*where), metric) for where, metric in zip(wheres, table["metric"], strict=True))
    table["column"] = [columns.setdefault(one, len(columns)) for one in named]
    table = table.drop_duplicates()
    if (twice := table.duplicated(keys)).any():
        first = table[twice].iloc[0]
        raise ValueError(
            f"{first['part']} {first['metric']} of arm {first['arm']}, step {first['step']}, seed {first['seed']} was "
            "measured twice, with different results: sweep only seeds, arms, preservation and load"
        )
    runs = {}
    for key, rows in table.groupby(RUN, sort=False):
        load, arm, keep, seed = map(str, key)
        wide = rows.pivot(index="step", columns="column", values="value").sort_index()
        values = {one: wide[at].to_numpy(dtype=float) for one, at in columns.items() if at in wide}
        runs[float(load), arm, keep, int(seed)] = Run(wide.index.to_numpy(dtype=float), values)
    if not any(run.step[-1] > 0 for run in runs.values()):
        raise ValueError("no arm has records of a step past 0: nothing was fine-tuned, so there is nothing to compare")
    trained = {key: run for key, run in runs.items() if run.step[-1] > 0}
    lacking = {key: why for key, run in trained.items() if (why := lacks(run, plan))}
    if len(lacking) == len(trained):
        asked = ", ".join(f"study.base.{name}={least:g}" for name, least in plan.base.items() if least)
        raise ValueError(f"no base has {asked} ({min(lacking.values())}): train longer, or set study.base=null")
    said = {key: f"seed {key[3]} at load {key[0]:g} (its base has {why})" for key, why in lacking.items()}
    return Tax({key: run for key, run in trained.items() if key not in lacking}, plan, said)


def rounded_loads(table: pd.DataFrame) -> list[float]:
    """Load of each row of a table of records, in two digits."""
    return [float(f"{float(load):.2g}") for load in table["load"]]


def lacks(run: Run, plan: Design) -> str:
    """What the base of a run lacks of what the design demands, in words; empty if nothing."""
    has = {name: run.base(column) for name, (column, _) in BASES.items()}
    has["bits"] /= run.last(column("threshold", "capacity"))
    short = [name for name, least in plan.base.items() if least and not has[name] >= least]
    return " and ".join(f"{has[name]:.0%} {BASES[name][1]}" for name in short)


def arms_compared(tax: Tax) -> pd.DataFrame:
    """Table with one row per arm, preservation and load.

    At each match it has the median seed of each of CHANGES with its 95 % interval and the values by seed, the number of
    seeds that reach the match and of all seeds, and the reason why others do not.
    """
    rows = []
    for load, arm, keep in tax.rows:
        row: dict[str, str | float] = {"arm": arm, "keep": keep, "load": load}
        for match in tax.design.matches:
            row |= at_match(tax, match, load, arm, keep)
        rows.append(row)
    return pd.DataFrame(rows)


def at_match(tax: Tax, match: str, load: float, arm: str, keep: str) -> dict[str, str | float]:
    """Columns of one row of the table at one match, each named column@match."""
    row: dict[str, str | float] = {}
    for name in CHANGES:
        seeds = tax.by_seed(load, arm, keep, lambda run, name=name: tax.change(run, match, name))  # type: ignore[misc]
        found = over_seeds(seeds)
        ends: dict[str, str | float] = {"": found.estimate, "_low": found.low, "_high": found.high}
        ends["_by_seed"] = seed_text(seeds)
        row |= {f"{name}@{match}{end}": value for end, value in ends.items()}
    runs = tax.of(load, arm, keep)
    short = {seed: run for seed, run in runs.items() if tax.why_not(run, match)}
    far = {seed: float(np.nan_to_num(run.of(MATCHES[match][0]), nan=-1.0).max()) for seed, run in short.items()}
    said = (
        tax.why_not(short[max(far, key=lambda seed: far[seed])], match) if far else ""
    )  # the reason of the seed that came nearest
    if 0 < len(short) < len(runs):
        said = f"{len(short)} of {len(runs)} seeds: {said}"
    return row | {f"seeds@{match}": len(runs) - len(short), f"of@{match}": len(runs), f"reason@{match}": said}
