"""Compares the paper's published numbers with the lab's: each with every seed and a verdict.

A published number is that of one run, so it is compared with seeds and not with their mean. A seed agrees if it is no
further from the number than CLOSE and the exactness of reading it. What most seeds do is the verdict, where the exact
95 % bound on the share of all seeds that would agree leaves one half out; six seeds at least can show that.

conf/claims.csv holds the published numbers: where they stand, whether they are printed or read off a figure (and how
exactly), and which cell of which experiment measures them. Source: arXiv:2508.01191, all tables and figures.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alchemy.data.noise import Noise
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import UNKNOWN
from alchemy.interop.published import world
from alchemy.measures.diagnosis import KINDS
from alchemy.measures.scores import bleu_corpus, edit_distance
from alchemy.results.digests import unsealed
from alchemy.results.files import write_aside
from alchemy.results.jobs import jobs, proof_of, variants
from alchemy.results.table import bracket, seed_values
from alchemy.runs.settings import CONF
from alchemy.stats.intervals import interval
from alchemy.stats.power import fewest

VERDICTS = ("agrees", "differs", "consistent with the fault", "undecided", "not comparable")
LARGE = ("large", "sft_large", "grouped")  # experiments that take long, and run with large=true only
CLOSE = 0.05  # difference, at most, of a seed that agrees
HALF = 0.5
FEWEST = fewest()  # seeds that can show anything of what most do
ROUNDING = 1e-9
CUT = 5  # characters that the released inference cuts off a completion for every noise token of its prompt
PROBLEMS = 10_000
COLUMNS = [
    "where",
    "series",
    "x",
    "part",
    "metric",
    "published",
    "kind",
    "within",
    "ours",
    "low",
    "high",
    "seeds",
    "at_one",
]
COLUMNS += ["by_seed", "agree", "least", "most", "oracle", "untrained", "perfect", "verdict", "reason"]
Cells = dict[tuple[str, ...], list[tuple[set[str], dict[str, Any]]]]


def claims(folders: dict[str, Path]) -> pd.DataFrame:
    """Returns a table with one row per published number, its measurement and a verdict.

    `folders` are those of the finished experiments, by name. `agree` is the number of seeds that agree, `least` to
    `most` the exact 95 % bound on the share of all seeds that would. `oracle` is the score of a replay of training in
    that cell; `untrained` says that the published number is a 0 or a 1 that this replay has as well. `perfect` is the
    score that the released scorer would give a model that is always right under this noise.
    """
    published = pd.read_csv(CONF / "claims.csv", dtype={"x": str}, keep_default_na=False, na_values={"published": ""})
    cells = {name: cells_of(folder) for name, folder in folders.items()}
    table = pd.DataFrame([judge(row, cells) for row in rows_of(published)])
    table["at_one"] = table["at_one"].astype("Int64")
    return table[COLUMNS]


def cells_of(folder: Path) -> Cells:
    """Returns the cells of a sweep by shift, setting, part and metric, each with the swept settings as name=value."""
    unsealed(folder / "cells.csv", proof_of(folder))
    numbers = dict.fromkeys(("low", "high", "at_one"), "")
    table = pd.read_csv(folder / "cells.csv", keep_default_na=False, na_values=numbers)
    swept = list(table.columns[: table.columns.get_loc("axis")])
    found: Cells = {}
    unfinished = short_of_mark(folder)
    for cell in rows_of(table):
        shift = f"format {cell['kind']} {cell['domain']}" if cell["axis"] == "format" else cell["axis"]
        variant = {setting_text(name, cell[name]) for name in swept}
        early = next((said for words, said in unfinished.items() if set(words) <= variant), "")
        place = (shift, cell["setting"], cell["part"], cell["metric"])
        found.setdefault(place, []).append((variant, cell | {"early": early}))
    return found


def short_of_mark(folder: Path) -> dict[tuple[str, ...], str]:
    """Returns, by swept settings, a sentence on the models whose training ended before its mark."""
    runs = jobs(folder)
    swept = {
        number: tuple(setting_text(name, value) for name, value in its.items())
        for number, its in variants(runs).items()
    }
    said = {}
    for words in swept.values():
        its = [run for number, run in runs.items() if swept[number] == words]
        if late := [run for run in its if not run["reached"]]:
            reached = ", ".join(f"{run['exact_match']:.2f}" for run in late)
            said[words] = f"training ended after {late[0]['rows']:,} rows with {reached} right on held-out problems"
    return said


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def setting_text(name: str, value: Any) -> str:
    """Returns a swept setting as name=value, with numbers in one form."""
    try:
        return f"{name}={float(value):g}"
    except ValueError:
        return f"{name}={value}"


def judge(row: dict[str, Any], cells: dict[str, Cells]) -> dict[str, Any]:
    """Returns a claim with the measurement for it, its verdict, and a reason in one line."""
    row |= dict.fromkeys(("ours", "low", "high", "at_one", "agree", "least", "most", "oracle", "perfect"), np.nan)
    row |= {"seeds": 0, "by_seed": "", "untrained": ""}
    if not row["experiment"]:
        return row | {"verdict": "not comparable", "reason": row["note"]}
    slicing = row["note"] == "slicing"  # a claim that the fault of the released scorer may affect
    row["note"] = "" if slicing else row["note"]
    known = cells.get(row["experiment"], {})
    asked = {setting_text(*word.split("=", 1)) for word in row["variant"].split(";") if word}

    def cell(part: str, metric: str) -> dict[str, Any] | None:
        """Returns the first cell with the claim's settings; the sweep may have swept others besides."""
        place = (row["shift"], row["setting"], part, metric)
        return next((its for variant, its in known.get(place, []) if asked <= variant), None)

    mine = cell(row["part"], row["metric"])
    if mine is None:
        return row | {
            "verdict": "not comparable",
            "reason": f"not measured yet: run make paper{' large=true' * (row['experiment'] in LARGE)}",
        }
    row |= {name: mine[name] for name in ("low", "high", "seeds", "at_one", "by_seed")} | {"ours": mine["mean"]}
    if oracle := cell(f"replay_{row['part']}", row["metric"]):
        row["oracle"] = oracle["mean"]
    if slicing or (row["experiment"] == "format_kinds" and row["setting"]):
        _, kind, domain = row["shift"].split()
        row["perfect"] = perfect(kind, domain, float(row["setting"].rstrip("%")) / 100, row["metric"])
    if np.isnan(row["published"]):
        return row | {"verdict": "not comparable", "reason": "the figure cannot be read here"}
    plain = row["published"] in (0, 1) and abs(row["oracle"] - row["published"]) <= row["within"]
    row["untrained"] = "yes" if plain else ""
    values = np.array([*seed_values(mine["by_seed"]).values()])
    near = np.abs(values - row["published"]) <= row["within"] + CLOSE + ROUNDING
    (least,), (most,) = interval(near[None].astype(float))
    row |= {"agree": int(near.sum()), "least": float(least), "most": float(most)}
    said = f"{near.sum()} of {len(near)} seeds agree"
    if least > HALF:
        return row | {"verdict": "agrees", "reason": row["note"]}
    if not most < HALF:
        few = f", and fewer than {FEWEST} show nothing" if len(near) < FEWEST else ""
        return row | {"verdict": "undecided", "reason": "; ".join(filter(None, [f"{said}{few}", row["note"]]))}
    if slicing and explained(row, values):
        return row | {"verdict": "consistent with the fault", "reason": sliced(row)}
    gold = cell("replay_full", "exact_match")
    replays = gold is not None and gold["mean"] < 0.999  # elsewhere the replay gives the right answer
    shares = {kind: cell("diagnosis", kind) for kind in KINDS}
    rate = cell("replay", "rate")
    reason = why(row, mine["early"], shares, rate if replays else None)
    return row | {"verdict": "differs", "reason": f"{said}; {reason}"}


def explained(row: dict[str, Any], values: NDArray[np.float64]) -> bool:
    """Returns whether the fault of the released scorer can explain why a published number is not that of our seeds.

    It can only make a score worse, and by no more than it takes from a perfect model.
    """
    sign = -1 if row["metric"] == "edit_distance" else 1
    worse = sign * (float(np.median(values)) - row["published"])
    most = row["perfect"] if row["metric"] == "edit_distance" else 1 - row["perfect"]
    return bool(0 < worse <= most + row["within"] + CLOSE)


def why(row: dict[str, Any], early: str, shares: dict[str, dict[str, Any] | None], rate: dict[str, Any] | None) -> str:
    """Returns what the completions are where they differ from the claim, as measured in the same cell."""
    words = [word for word in (row["note"], early) if word]
    near = row["metric"] != "exact_match" and abs(row["published"] - row["oracle"]) <= row["within"] + 0.001
    if rate and near and abs(row["ours"] - row["oracle"]) > CLOSE:
        words.append(f"published is what pure replay scores; ours replay in {percent(rate)}")
    parts = [f"{name.replace('_', ' ')} {percent(cell)}" for name, cell in shares.items() if cell and cell["mean"] > 0]
    return "; ".join([*words, f"ours are {', '.join(parts)}"])


def percent(cell: dict[str, Any]) -> str:
    """Returns a share in percent, with those of the lowest and the highest seed."""
    spread = f" ({100 * cell['lowest']:.0f} to {100 * cell['highest']:.0f})" if cell["seeds"] > 1 else ""
    return f"{100 * cell['mean']:.0f} %{spread}"


def sliced(row: dict[str, Any]) -> str:
    return (
        f"the released code cuts {CUT} characters off a completion for each noise token in its prompt: a perfect model "
        f"would score {row['perfect']:.3f}; whether the published figure was made with it is not known"
    )


def perfect(kind: str, domain: str, rate: float, metric: str) -> float:
    """Returns the score of gold itself if CUT characters are cut off for every noise token of its prompt.

    The prompts are those of F1 and F2 with four letters, as in the released configuration. Source: arXiv:2508.01191,
    released inference.
    """
    task = world(13, 1, "F1", 4, cot=True)
    where = Distribution(((0,), (1,)), 4, noise=Noise(kind, domain, rate))  # type: ignore[arg-type]
    batch = draw(task, where, PROBLEMS, stream(0, "perfect"))
    cut = CUT * (batch.tokens == UNKNOWN).sum(axis=1)
    gold = [task.vocabulary.decode(row) for row in batch.completion()]
    written = [f" {text}"[n:].strip() for text, n in zip(gold, cut.tolist(), strict=True)]
    if metric == "bleu_corpus":
        return bleu_corpus(written, gold)
    scores = [edit_distance(*pair) for pair in zip(written, gold, strict=True)]
    return float(np.mean(scores)) if metric == "edit_distance" else float(np.mean([s == 0 for s in scores]))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Returns how many claims of each table and figure, and of all, have each verdict.

    `untrained` are those that agree and that a replay without training has as well.
    """
    counts = pd.crosstab(table["where"], table["verdict"]).reindex(columns=VERDICTS, fill_value=0)
    free = table[(table["verdict"] == "agrees") & (table["untrained"] == "yes")]["where"].value_counts()
    counts.insert(1, "untrained", free.reindex(counts.index, fill_value=0))
    counts = counts.loc[table["where"].unique()]
    return pd.concat([counts, counts.sum().to_frame("all").T])


def write_claims(table: pd.DataFrame, home: Path) -> Path:
    """Writes claims.csv, .md and .html into `home`; returns the page."""
    write_aside(home / "claims.csv", table.to_csv(index=False, float_format="%.6g"))
    write_aside(home / "claims.md", "\n".join(markdown(table)) + "\n")
    tables = (summary(table).rename_axis(None, axis=1).reset_index(names="where"), text(table))
    page = PAGE.format(*(frame.to_html(index=False, border=0) for frame in tables))
    write_aside(home / "claims.html", page)
    return home / "claims.html"


def text(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with its numbers as text for readers, the lab's as mean and what its seeds tell of others."""

    def figure(value: float) -> str:
        return "" if np.isnan(value) else f"{value:.4f}".rstrip("0").rstrip(".") or "0"

    def ours(row: Any) -> str:
        return "" if np.isnan(row["ours"]) else f"{row['ours']:.4f} {bracket(row, '.3f')}".strip()

    def agree(row: Any) -> str:
        share = f" [{row['least']:.2f}, {row['most']:.2f}]" if row["seeds"] > 1 else ""
        return "" if np.isnan(row["agree"]) else f"{row['agree']:.0f} of {row['seeds']}{share}"

    shown = table[["where", "series", "x", "part", "metric", "kind", "seeds", "verdict", "reason"]].copy()
    shown.insert(5, "published", table["published"].map(figure))
    shown.insert(7, "ours: mean, 95 %", table.apply(ours, axis=1))
    shown.insert(8, "by seed", table["by_seed"])
    shown.insert(9, "seeds that agree, 95 %", table.apply(agree, axis=1))
    shown.insert(10, "replay oracle", table["oracle"].map(figure))
    shown.insert(11, "replay has it, too", table["untrained"])
    shown.insert(12, "perfect model, released scorer", table["perfect"].map(figure))
    return shown.drop(columns="seeds")


def markdown(table: pd.DataFrame) -> Iterator[str]:
    shown = text(table)
    yield "# The paper's claims, measured again\n"
    for frame in (summary(table).reset_index(names="where"), shown):
        yield "| " + " | ".join(map(str, frame.columns)) + " |"
        yield "|" + "---|" * len(frame.columns)
        for row in frame.itertuples(index=False):
            yield "| " + " | ".join(str(word).replace("|", "\\|") for word in row) + " |"
        yield ""


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The paper's claims, measured again</title>
<style>body{{font:14px/1.4 system-ui,sans-serif;margin:1.5rem;color-scheme:light dark}}table{{border-collapse:collapse}}
td,th{{padding:.2rem .5rem;border-bottom:1px solid #8884;text-align:left;vertical-align:top}}
th{{position:sticky;top:0;background:Canvas}}div{{overflow-x:auto}}</style>
<h1>The paper's claims, measured again</h1>
<p>Each published number of arXiv:2508.01191, printed or read off a figure, beside ours: the mean over seeds with its
95 % interval or, where each seed is all or nothing, how many are at 1. A published number is of one run, so seeds are
compared with it: one agrees if it is no further away than 0.05 and the exactness of reading. A claim agrees if most
seeds do, and differs if most do not, where the exact 95 % bound on the share of all seeds that would agree leaves one
half out; else it is undecided. Untrained: an exact 0 or 1 that agrees, and that a replay of training has, too.</p>
<div>{}</div><h2>All claims</h2><div>{}</div></html>
"""
