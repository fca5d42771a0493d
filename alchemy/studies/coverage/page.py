"""Tables of this study: what every kind of held-out composition came to, the laws, and the verdicts."""

from collections.abc import Iterator
from html import escape

import numpy as np
import pandas as pd

from alchemy.figures.plain_page import plain_page
from alchemy.figures.registered import html, sections
from alchemy.results.files import write_aside
from alchemy.results.runs import Results
from alchemy.results.table import seed_text
from alchemy.stats.contrasts import contrast
from alchemy.stats.families import judge, row_of, text_of
from alchemy.stats.predictions import Prediction
from alchemy.studies.coverage.design import FORMS, MEASURES, design
from alchemy.studies.coverage.laws import (
    SCORES,
    VALUES,
    by_number,
    by_times,
    exponent,
    exponents,
    half_at,
    held_out_rows,
    per_rule,
    score_by_seed,
    seedwise,
)
from alchemy.studies.coverage.theories import THEORIES

COLUMNS = ["name", "verdict", "estimate", "low", "high", "p_adjusted", "equivalence_p", "seeds", "above", "below"]
COLUMNS += ["unit", "sesoi", "role", "power", "says", "source", "by_seed"]


def settings(results: Results) -> tuple[float, tuple[Prediction, ...]]:
    """The probability of a sure theory and the predictions, which all jobs must share. Raises ValueError if not."""
    told = [(run["study"]["sure"], run["predictions"]) for run in results.good.values()]
    if any(one != told[0] for one in told):
        raise ValueError("the jobs have different predictions, or values of study.sure: run one sweep with one of each")
    sure, listed = told[0]
    return sure, design(listed, {"sure": sure})


def verdicts(results: Results) -> pd.DataFrame:
    """Table with a row for each prediction."""
    table, (sure, plan) = held_out_rows(results), settings(results)
    values = {one.name: value_of(table, one, sure) for one in plan}
    found = judge(plan, values)
    rows = [
        row_of(one, found[one.name]) | {"unit": MEASURES[one.measure], "by_seed": seed_text(values[one.name])}
        for one in plan
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def value_of(table: pd.DataFrame, one: Prediction, sure: float) -> dict[int, float]:
    """The number that a prediction is about, by seed."""

    def number(of: str) -> dict[int, float]:
        if one.measure == "log_score":
            return score_by_seed(table, of, sure, one.match)
        return VALUES[one.measure](exponent(table, of))

    mine = number(one.arm)
    its = number(one.other) if one.other else dict.fromkeys(mine, 0.0)
    return {seed: value - its[seed] for seed, value in mine.items() if seed in its}


def laws(results: Results) -> pd.DataFrame:
    """Table of the laws: the exact match of held-out compositions by how often their rules were seen in their places,
    and by design and compositions for each rule; scores of theories; compositions for half of the held-out ones, and
    exponents, measured and as each theory has them. Each is the median seed with its interval, and every seed.
    """
    table, (sure, _) = held_out_rows(results), settings(results)
    rows = []

    def add(what: str, form: str, whose: str, rules: int | str, values: dict[int, float]) -> None:
        found = contrast(np.array([*values.values()], dtype=float))
        row = {"what": what, "form": form, "whose": whose, "rules": rules, "median": found.estimate, "low": found.low}
        rows.append(row | {"high": found.high, "seeds": found.seeds, "by_seed": seed_text(values)})

    for form in [form for form in FORMS if form in set(table["form"])]:
        for what, whose, rules, values in outcomes(table[table["form"] == form]):
            add(what, form, whose, rules, values)
        for score in SCORES:
            for theory in THEORIES:
                add(score, form, theory, "all", score_by_seed(table, theory, sure, form, score))
        for whose in ("measured", *THEORIES):
            its = half_at(table, table["right"], form) if whose == "measured" else by_number(table, whose, form)
            for rules, values in its.items():
                add("half right at", form, whose, rules, values)
            add("exponent", form, whose, "all", exponents(its))
    return pd.DataFrame(rows)


def outcomes(table: pd.DataFrame) -> Iterator[tuple[str, str, int | str, dict[int, float]]]:
    """Rows of `laws` of what came right: what, whose, the number of rules or "all", and the exact match by seed."""
    parts: list[tuple[int | str, pd.DataFrame]] = [("all", table)]
    parts += [(int(str(rules)), some) for rules, some in table.groupby("rules")]
    for rules, some in parts:
        for times, values in by_times(some).items():
            yield "right by times seen", str(times), rules, values
        designs = some["design"] + " " + per_rule(some).map("{:g}".format)
        for name, part in some.groupby(designs):
            yield "right by design", str(name), rules, seedwise(part)


def tables(results: Results) -> str:
    """Writes outcomes.csv, laws.csv and verdicts.csv into the folder of the results. Returns the verdicts as a short
    text.
    """
    found = verdicts(results)
    for name, table in (("outcomes", held_out_rows(results)), ("laws", laws(results)), ("verdicts", found)):
        write_aside(results.folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
    return text_of(found)


def page(results: Results) -> str:
    """HTML of the page: captions, what was registered, verdicts, and laws."""
    lines = [f"<p>{escape(line)}</p>" for line in results.caption[:-1]]
    lines += [f"<p><b>Failed:</b> {escape(line)}</p>" for line in results.failures()]
    lines.append(html(sections(results)))
    for words, table in (("Predictions", verdicts(results)), ("Laws", laws(results))):
        lines.append(f"<h2>{words}</h2><div>{table.to_html(index=False, border=0, na_rep='')}</div>")
    alt = "Held-out compositions that come right, by what they share with training"
    return plain_page(results, "What makes a new composition come right", "coverage", alt, "\n".join(lines))
