"""What reasoning training costs in knowledge: trajectories of fine-tuning, compared where they reach the same gain.

A run is one load, arm, preservation (keep) and seed. Everything is computed per run, then over seeds, as items are
nested in seeds. N steps. Methods are compared at matched gain, not at an arbitrary last step.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alchemy.results.runs import Results
from alchemy.stats.contrasts import Contrast, contrast
from alchemy.studies.reasoning_tax.coordinates import NONE, Column, Part, column
from alchemy.studies.reasoning_tax.design import BASES, MATCHES, Design, design_of

Array = NDArray[np.float64]
Key = tuple[float, str, str, int]  # load, arm, keep, seed
Seeds = dict[int, float]  # a number by seed, where it is known
RUN = ["load", "arm", "keep", "seed"]
CHANGES = {  # columns of the table: what is measured, and how it counts from the base (0: not at all)
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
    """A trajectory: `step` (N,) ascending, and by column its values (N,), NaN where they were not measured."""

    step: Array
    values: Mapping[Column, Array]

    def of(self, column: Column) -> Array:
        return self.values.get(column, np.full(len(self.step), nan))

    def base(self, column: Column) -> float:
        """The value before training."""
        return float(self.of(column)[0]) if self.step[0] == 0 else nan

    def last(self, column: Column) -> float:
        """The last that was measured, such as the only one at a matched checkpoint."""
        known = self.of(column)[~np.isnan(self.of(column))]
        return float(known[-1]) if len(known) else nan

    def at(self, column: Column, over: Column, target: float) -> float:
        """The value where `over` first reaches `target`, over the steps at which both were measured; NaN if never."""
        x, y = self.of(over), self.of(column)
        both = ~np.isnan(x) & ~np.isnan(y)
        return crossed(x[both], y[both], target)


def crossed(x: Array, y: Array, target: float) -> float:
    """What `y` (N,) is where `x` (N,) first reaches `target`, on the straight line between two steps; NaN if never.

    With x .1 .3 .5 and y 6 5 4, it is 4.5 at .4. A first step that is there already gives its own value.
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
    """All runs of a study that were trained at all and whose base has what its design asks for; the design; and why
    other seeds do not count, in words.
    """

    runs: Mapping[Key, Run]
    design: Design
    left_out: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> list[tuple[float, str, str]]:
        """Load, arm and keep of what was run, in the order of the records."""
        return list(dict.fromkeys(key[:3] for key in self.runs))

    @cached_property
    def loads(self) -> list[float]:
        return sorted({load for load, _, _ in self.rows})

    @cached_property
    def load(self) -> float:
        """The load that most arms have; of several, the highest."""
        return max(self.loads, key=lambda load: (len({arm for its, arm, _ in self.rows if its == load}), load))

    def arms(self, load: float | None = None) -> list[str]:
        """The arms of a load (the main one) without preservation, in the order of the records."""
        load = self.load if load is None else load
        return [arm for its, arm, keep in self.rows if its == load and keep == "none"]

    def of(self, load: float, arm: str, keep: str = "none") -> dict[int, Run]:
        """The runs of an arm, by seed."""
        return {key[3]: run for key, run in self.runs.items() if key[:3] == (load, arm, keep)}

    def world(self, value: Callable[[Run], float]) -> Contrast:
        """The mean over seeds of what the runs of a seed share, such as p*: of the main load."""
        first = dict.fromkeys((key[3] for key in self.runs if key[0] == self.load), nan)
        for (load, _, _, seed), run in self.runs.items():
            first[seed] = value(run) if load == self.load and isnan(first[seed]) else first[seed]
        return over_seeds(first)

    def by_seed(self, load: float, arm: str, keep: str, value: Callable[[Run], float]) -> Seeds:
        """A number of each run of an arm, without those that are NaN."""
        found = {seed: value(run) for seed, run in self.of(load, arm, keep).items()}
        return {seed: number for seed, number in found.items() if not isnan(number)}

    def at(self, run: Run, match: str, column: Column) -> float:
        """A value of a run where it reaches the match; NaN where it does not, or its base is there already."""
        return nan if self.why_not(run, match) else run.at(column, MATCHES[match][0], self.design.matches[match])

    def change(self, run: Run, match: str, name: str) -> float:
        """One of CHANGES of a run where it reaches the match."""
        column, sign = CHANGES[name]
        there = self.at(run, match, column)
        return sign * (there - run.base(column)) if sign else there

    def why_not(self, run: Run, match: str) -> str:
        """Why a run does not get to a match, in words; empty if it does."""
        column, words, _ = MATCHES[match]
        x, target = run.of(column), self.design.matches[match]
        if np.isnan(x).all():
            return f"its {words} was not measured"
        if run.step[0] == 0 and x[0] >= target:
            return f"its {words} is {x[0]:.2g} before training, past {target:g}"
        return "" if (x >= target).any() else f"its {words} never reached {target:g}: highest {np.nanmax(x):.2g}"


def over_seeds(numbers: Seeds) -> Contrast:
    """The mean with its interval."""
    return contrast(np.array([*numbers.values()], dtype=float))


def of(results: Results) -> Tax:
    """The trajectories of a sweep's finished jobs, with the design that their run.json hold."""
    return tax_of(results.table, design_of(results.good.values()))


def tax_of(table: pd.DataFrame, plan: Design) -> Tax:
    """The trajectories in a table of records. Loads are alike that agree in two digits.

    Raises ValueError if one number was measured twice with different results: something was swept that the study's
    coordinates do not tell apart.
    """
    table = table.assign(**{name: NONE for name in Part._fields if name not in table})
    keys = [*RUN, "step", *Part._fields, "metric"]
    table = table[[*keys, "value"]].copy()
    table["load"] = [float(f"{float(load):.2g}") for load in table["load"]]
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
    said = {f"seed {key[3]} at load {key[0]:g} (its base has {why})" for key, why in lacking.items()}
    return Tax({key: run for key, run in trained.items() if key not in lacking}, plan, tuple(sorted(said)))


def lacks(run: Run, plan: Design) -> str:
    """What the base of a run lacks of what the design asks for, in words; empty if nothing."""
    has = {name: run.base(column) for name, (column, _) in BASES.items()}
    has["bits"] /= run.last(column("threshold", "capacity"))
    short = [name for name, least in plan.base.items() if least and not has[name] >= least]
    return " and ".join(f"{has[name]:.0%} {BASES[name][1]}" for name in short)


def compared(tax: Tax) -> pd.DataFrame:
    """The table: a row per arm, preservation and load; at each match the mean over seeds of each of CHANGES, with its
    95 % interval, the seeds that got there, of how many, and for the others the reason.
    """
    rows = []
    for load, arm, keep in tax.rows:
        row: dict[str, str | float] = {"arm": arm, "keep": keep, "load": load}
        for match in tax.design.matches:
            row |= at_match(tax, match, load, arm, keep)
        rows.append(row)
    return pd.DataFrame(rows)


def at_match(tax: Tax, match: str, load: float, arm: str, keep: str) -> dict[str, str | float]:
    """The columns of one row of the table that are of one match, each named column@match."""
    row: dict[str, str | float] = {}
    for name in CHANGES:
        found = over_seeds(tax.by_seed(load, arm, keep, lambda run, name=name: tax.change(run, match, name)))  # type: ignore[misc]
        ends = {"": found.estimate, "_low": found.low, "_high": found.high}
        row |= {f"{name}@{match}{end}": value for end, value in ends.items()}
    runs = tax.of(load, arm, keep)
    short = {seed: run for seed, run in runs.items() if tax.why_not(run, match)}
    far = {seed: float(np.nan_to_num(run.of(MATCHES[match][0]), nan=-1.0).max()) for seed, run in short.items()}
    said = (
        tax.why_not(short[max(far, key=lambda seed: far[seed])], match) if far else ""
    )  # of the one that came nearest
    if 0 < len(short) < len(runs):
        said = f"{len(short)} of {len(runs)} seeds: {said}"
    return row | {f"seeds@{match}": len(runs) - len(short), f"of@{match}": len(runs), f"reason@{match}": said}
