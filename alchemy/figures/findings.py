"""Findings in sentences, made from a table of records by rule: the same numbers always give the same words."""

from collections.abc import Iterator
from math import isnan
from typing import Any

import pandas as pd

from alchemy.figures.diagnosis_bars import KINDS
from alchemy.results.compare import Moves
from alchemy.results.records import COORDINATES
from alchemy.results.table import apart, bracket

HALF = 0.5
LEAST = 0.01  # share from which an executed composition is named
LISTED = 3  # compositions, and cells, at most, in a sentence
NUMBERS = ("mean", "low", "high", "seeds", "at_one")
MOVED = 8  # cells, at most, that are named as moved
Row = tuple[Any, ...]  # swept settings, axis, kind, domain
Values = dict[tuple[str, str], dict[str, float]]  # part and metric -> NUMBERS
Rows = dict[Row, dict[int, tuple[str, Values]]]  # by row and level: what the level means, and its values


def rows_of(cells: pd.DataFrame, swept: list[str]) -> Rows:
    """Cells by row of the picture (swept settings, axis, kind, domain), then by level."""
    rows: Rows = {}
    for cell in cells.to_dict("records"):
        row = tuple(cell[key] for key in [*swept, *COORDINATES[:-1]])
        _, values = rows.setdefault(row, {}).setdefault(cell["level"], (cell["setting"], {}))
        values[cell["part"], cell["metric"]] = {name: cell[name] for name in NUMBERS}
    return rows


def name_of(row: Row, swept: list[str], level: int, setting: str) -> str:
    """Name of a cell, such as "task +1 [F2F2]"."""
    *variant, axis, kind, domain = row
    words = [axis, *([f"{kind} {domain}"] if axis == "format" else []), f"{level:+d}" if level else "0"]
    return ", ".join([" ".join(words) + f" [{setting}]" * bool(setting), *settings_of(variant, swept)])


def settings_of(variant: Any, swept: list[str]) -> list[str]:
    """Swept settings as texts, such as "model.width=16"."""
    return [f"{name}={value}" for name, value in zip(swept, variant, strict=False)]


def mean(values: Values, part: str, metric: str) -> float:
    """Mean of a metric of a part; NaN if it was not measured."""
    return values.get((part, metric), {}).get("mean", float("nan"))


def told(values: Values, part: str, metric: str) -> str:
    """A share as text, with what its seeds tell of others."""
    its = values[part, metric]
    return f"{its['mean']:.0%} {bracketed(its)}".strip()


def bracketed(its: dict[str, float]) -> str:
    """What the seeds of a share tell of others: its interval, or in brackets how many of them are at 1."""
    said = bracket(its, ".0%")
    return said if not said or said[0] == "[" else f"({said})"


def breaks(levels: dict[int, tuple[str, Values]]) -> list[int]:
    """Nearest level on either side of training at which exact match is less than half of that at level 0."""
    right = {level: mean(values, "full", "exact_match") for level, (_, values) in levels.items()}
    broken = [level for level, value in right.items() if level and value < HALF * right.get(0, 0.0)]
    sides = [[level for level in broken if level < 0], [level for level in broken if level > 0]]
    return [min(side, key=abs) for side in sides if side]


def how(values: Values) -> str:
    """Commonest way in which completions of a cell fail, and the composition that most of them execute, as text."""
    kinds = [kind for kind in KINDS if kind != "right" and ("diagnosis", kind) in values]
    if not kinds:
        return ""
    kind = max(kinds, key=lambda kind: mean(values, "diagnosis", kind))
    best = commonest(values)[:1]
    executed = f"; {best[0]} is executed in {told(values, 'executed', best[0])}" if best and kind != "malformed" else ""
    return f"{KINDS[kind][0]} {told(values, 'diagnosis', kind)}{executed}"


def commonest(values: Values) -> list[str]:
    """Compositions that at least LEAST of rows execute, the commonest first."""
    named = {metric: its["mean"] for (part, metric), its in values.items() if part == "executed" and metric != "tie"}
    return sorted((name for name in named if named[name] >= LEAST), key=lambda name: -named[name])


def sentences(cells: pd.DataFrame, table: pd.DataFrame) -> list[str]:
    """Findings over all cells, as sentences.

    They say where the answer fails although the chain is right, which composition is executed in place of a new one,
    and which noise hurts most, on which prompts.
    """
    swept = apart(table)
    rows = rows_of(cells, swept)
    return [*half_right(table, swept), *replay_sentences(rows, swept), *noise(rows, swept)]


def half_right(table: pd.DataFrame, swept: list[str]) -> Iterator[str]:
    """Sentence about cells in which single seeds have half of the chains right, and fewer than half of the answers."""
    exact = table[table["metric"] == "exact_match"]
    keys = [*swept, *COORDINATES, "seed"]
    chain, answer = (exact[exact["part"] == part].set_index(keys) for part in ("chain", "answer"))
    both = chain[["value", "setting"]].join(answer["value"].rename("answer"), how="inner").reset_index()
    if both.empty:
        return
    seeds = table["seed"].nunique()
    found = both[(both["value"] >= HALF) & (both["answer"] < HALF)]
    said = []
    for _, some in found.groupby([*swept, *COORDINATES], sort=False):
        first = some.iloc[0]
        row = tuple(first[name] for name in [*swept, *COORDINATES[:-1]])
        said.append(
            f"{name_of(row, swept, int(first['level']), first['setting'])} in {len(some)} of {seeds} seeds (chain "
            f"{some['value'].mean():.2f}, answer {some['answer'].mean():.2f})"
        )
    more = [f"{len(said) - LISTED} more"] if len(said) > LISTED else []
    where = "; ".join(said[:LISTED] + more) or "nowhere, in no seed"
    yield f"Where half of the chains are right, or more, and fewer than half of the answers: {where}."


def replay_sentences(rows: Rows, swept: list[str]) -> Iterator[str]:
    """Sentences about what is executed in place of a new composition of known rules."""
    for row, levels in rows.items():
        if row[-3] == "task" and ("executed", "tie") in levels.get(1, ("", {}))[1]:
            setting, values = levels[1]
            names = [f"{name} in {told(values, 'executed', name)}" for name in commonest(values)[:LISTED]]
            names = names or [f"no one composition in {LEAST:.0%} or more"]
            yield (
                f"Asked for a new composition of known rules, {name_of(row, swept, 1, setting)}, answers execute "
                f"{', '.join(names)}, or one of several that cannot be told apart there in "
                f"{told(values, 'executed', 'tie')}; {told(values, 'diagnosis', 'replayed')} of completions are, word "
                "for word, gold of another composition."
            )


def noise(rows: Rows, swept: list[str]) -> Iterator[str]:
    """Sentence about which noise hurts most, over all its levels, and whether untouched prompts are still right."""
    noised = {
        row: some
        for row, levels in rows.items()
        if row[-3] == "format" and (some := [values for level, (_, values) in levels.items() if level])
    }
    widest = {row: some for row, some in noised.items() if row[-1] == "all"} or noised
    hurts = {row: overall(some, "full", "exact_match") for row, some in widest.items()}
    said = []
    for row in sorted(hurts, key=lambda row: hurts[row]):
        names = [f"{row[-2]} {row[-1]}", *settings_of(row[:-3], swept)]
        prompts = {name: overall(widest[row], "prompt", f"right_{name}") for name in ("untouched", "touched")}
        right = [f"{value:.2f} of {name} prompts" for name, value in prompts.items() if not isnan(value)]
        said.append(f"{', '.join(names)} {hurts[row]:.2f}" + f" ({' and '.join(right)})" * bool(right))
    if said:
        yield f"Exact match under noise, mean over its levels, worst first: {'; '.join(said)}."


def overall(some: list[Values], part: str, metric: str) -> float:
    """Mean of a metric over the cells that have it; NaN if none does."""
    found = [value for values in some if not isnan(value := mean(values, part, metric))]
    return sum(found) / len(found) if found else float("nan")


def moved_cells(moves: Moves, swept: list[str], settings: dict[tuple[Any, ...], str]) -> list[str]:
    """Sentences about how many cells changed in exact match beyond doubt, and which changed most.

    `moves` are those of alchemy.results.differences; `settings` says what the level of each cell means.
    """
    known = {cell[:-2]: its for cell, its in moves.items() if cell[-2:] == ("full", "exact_match")}
    sure = [cell for cell, (_, low, high) in known.items() if low > 0 or high < 0]
    one = sum(isnan(low) for _, low, _ in known.values())
    alone = f" {one} have no interval, as too few seeds have none." if one else ""
    said = [
        f"Of {len(known)} cells that both have, {len(sure)} moved in exact match so that the 95 % interval of the "
        f"difference leaves zero out, which three seeds of each cannot show.{alone}"
    ]
    for cell in sorted(known, key=lambda cell: -abs(known[cell][0]))[:MOVED]:
        difference, low, high = known[cell]
        if difference:
            span = f" [{low:+.2f}, {high:+.2f}]" if not isnan(low) else ""
            said.append(f"{name_of(cell[:-1], swept, cell[-1], settings.get(cell, ''))}: {difference:+.2f}{span}")
    return said
