"""What a table of cells says, in sentences: by rule, so that the same numbers always give the same words."""

from typing import Any

import pandas as pd

from alchemy.bars import KINDS

HALF = 0.5  # of the exact match at level 0: below it, a shift is said to break
NOISE = {"insert": "inserted", "delete": "deleted", "modify": "replaced", "hybrid": "all three"}
Values = dict[tuple[str, str], dict[str, float]]  # part and metric -> mean, low, high


def rows_of(cells: pd.DataFrame, swept: list[str]) -> dict[tuple[Any, ...], dict[int, tuple[str, Values]]]:
    """By row (swept settings, axis, kind, domain) and level: what the level means there, and all that was measured."""
    rows: dict[tuple[Any, ...], dict[int, tuple[str, Values]]] = {}
    for cell in cells.to_dict("records"):
        row = tuple(cell[key] for key in [*swept, "axis", "kind", "domain"])
        _, values = rows.setdefault(row, {}).setdefault(cell["level"], (cell["setting"], {}))
        values[cell["part"], cell["metric"]] = {name: cell[name] for name in ("mean", "low", "high")}
    return rows


def mean(values: Values, part: str, metric: str) -> float:
    return values.get((part, metric), {}).get("mean", float("nan"))


def ranked(values: Values, part: str, without: tuple[str, ...] = ()) -> list[tuple[str, float]]:
    """The metrics of a part with their means, the largest first."""
    found = [(metric, its["mean"]) for (of, metric), its in values.items() if of == part and metric not in without]
    return sorted(found, key=lambda pair: -pair[1])


def breaks(levels: dict[int, tuple[str, Values]]) -> int | None:
    """The level nearest to training at which less than half of what is right there is right; None if there is none."""
    right = {level: mean(values, "full", "exact_match") for level, (_, values) in levels.items()}
    if not right.get(0):
        return None
    broken = [level for level, value in right.items() if level and value < HALF * right[0]]
    return min(broken, key=lambda level: (abs(level), level), default=None)


def how(values: Values) -> str:
    """The commonest way in which completions fail, and the composition that most of them execute."""
    kinds = [(kind, value) for kind, value in ranked(values, "diagnosis") if kind in KINDS and kind != "right"]
    said = f"{KINDS[kinds[0][0]][0]} ({kinds[0][1]:.0%})" if kinds else ""
    executed = [(name, value) for name, value in ranked(values, "executed", ("tie",)) if value >= 0.01]
    if executed and kinds and kinds[0][0] != "malformed":
        said += f"; {executed[0][0]} is executed in {executed[0][1]:.0%}"
    return said


def sentences(cells: pd.DataFrame, swept: list[str]) -> list[str]:
    """What holds over all cells: where the answer fails although the chain is right, which composition is written for
    a new one, and which noise hurts most, on which prompts.
    """
    rows = rows_of(cells, swept)
    said = []
    half = [
        f"{place(row, level, setting)} (chain {mean(values, 'chain', 'exact_match'):.2f}, "
        f"answer {mean(values, 'answer', 'exact_match'):.2f})"
        for row, levels in rows.items()
        for level, (setting, values) in levels.items()
        if mean(values, "chain", "exact_match") >= HALF > mean(values, "answer", "exact_match")
    ]
    if ("chain", "exact_match") in set(zip(cells["part"], cells["metric"], strict=True)):
        where = f": {'; '.join(half)}." if half else ": nowhere."
        said.append(f"Where half of the chains are right, or more, and fewer than half of the answers{where}")
    for row, levels in rows.items():
        if row[-3] == "task" and 1 in levels:
            setting, values = levels[1]
            said.append(f"Asked for a new composition of known rules ({place(row, 1, setting)}): {executes(values)}.")
    return said + noise(rows)


def executes(values: Values) -> str:
    names = [(name, value) for name, value in ranked(values, "executed", ("tie",)) if value >= 0.01][:3]
    tie = mean(values, "executed", "tie")
    listed = [f"{name} is executed in {value:.0%}" for name, value in names] or ["no known composition is executed"]
    replayed = mean(values, "diagnosis", "replayed")
    return ", ".join([*listed, f"several tie in {tie:.0%}"]) + f"; {replayed:.0%} are another's, word for word"


def noise(rows: dict[tuple[Any, ...], dict[int, tuple[str, Values]]]) -> list[str]:
    """Which noise hurts most, over all its levels, and whether untouched prompts are still right."""
    noised = {
        row: some
        for row, levels in rows.items()
        if row[-3] == "format" and (some := [values for level, (_, values) in levels.items() if level])
    }
    if not noised:
        return []
    widest = {row: some for row, some in noised.items() if row[-1] == "all"} or noised
    hurts = sorted((overall(some, "full", "exact_match"), noise_name(row), row) for row, some in widest.items())
    worst = noised[hurts[0][2]]
    untouched, touched = (overall(worst, "prompt", f"right_{name}") for name in ("untouched", "touched"))
    return [
        f"Noise on the prompt, exact match over all levels above 0, worst first: "
        f"{', '.join(f'{name} {value:.2f}' for value, name, _ in hurts)}. With {hurts[0][1]}, prompts that noise left "
        f"untouched are right in {untouched:.2f}, touched ones in {touched:.2f}."
    ]


def overall(some: list[Values], part: str, metric: str) -> float:
    """The mean over those cells that have it."""
    found = [value for values in some if (value := mean(values, part, metric)) == value]
    return sum(found) / len(found) if found else float("nan")


def noise_name(row: tuple[Any, ...]) -> str:
    *variant, _, kind, domain = row
    return " ".join([NOISE.get(kind, kind), *([] if domain == "all" else [f"({domain})"]), *map(str, variant)])


def place(row: tuple[Any, ...], level: int, setting: str) -> str:
    """A cell by name."""
    *variant, axis, kind, domain = row
    noised = f" {kind} {domain}" if axis == "format" else ""
    return " ".join(
        [f"{axis}{noised} {level:+d}" if level else f"{axis}{noised} 0", f"[{setting}]", *map(str, variant)]
    )
