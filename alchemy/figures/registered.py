"""What a page and a summary say of registrations: registered and exploratory results apart, and which theory was right.

Sections are plain data, so that every page shows the same, whichever study it is of.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alchemy.figures.studies import own
from alchemy.results.registrations import FOLDER, Account, Forecast, Registration, Standing, account
from alchemy.results.runs import Results
from alchemy.results.theories import outcomes
from alchemy.stats.forecasts import compared

MANY = 12  # jobs, of which each is named; more are only counted where none lacks
Section = dict[str, Any]  # a title, lines, and tables with a caption, a head and rows


def sections(results: Results, folder: Path = FOLDER) -> list[Section]:
    """Sections of a page on the registrations in `folder`: what is registered, what is exploratory, who was right.

    What the study's exclusion rule leaves out is what the function `excluded` of its page says, if it has one.
    """
    found = account(results, folder)
    if not found.concerned:
        said = f"none of the {len(found.standings)} jobs here was registered before it was run"
        shown = [section("Exploratory", [said])]
    else:
        called = names([*found.words, *(job["words"] for one in found.concerned for job in one.content["jobs"])])
        without = excluded_from(results)
        lines = [line for one in found.concerned for line in about(found, one, called)]
        lines += [f"left out by the exclusion rule: {why}" for why in dict.fromkeys(without.values())]
        shown = [section("Registered", lines)]
        shown += [section("Exploratory", exploratory(found, called) or ["every finished job here is registered"])]
        forecast = [one for one in found.concerned if one.content["forecasts"]]
        shown += [who_was_right(results, found, one, without) for one in forecast]
    if found.damaged:
        shown.append(section("What counts for nothing", list(found.damaged)))
    return shown


def section(title: str, lines: list[str], tables: Iterable[dict[str, Any]] = ()) -> Section:
    return {"title": title, "lines": lines, "tables": [*tables]}


def names(jobs: Iterable[Iterable[str]]) -> dict[tuple[str, ...], str]:
    """Short name of each job by its words: those that not all of them have, and that decide a number."""
    known = [tuple(words) for words in jobs]
    shared = set[str]().union(*known).intersection(*known)
    return {
        words: " ".join(
            word
            for word in words
            if (word not in shared or word.startswith("seed=")) and not word.startswith(("workers=", "output="))
        )
        or "the defaults"
        for words in known
    }


def excluded_from(results: Results) -> dict[int, str]:
    """Jobs that the exclusion rule of the study leaves out, each with the reason; none if its page does not say so."""
    excluded = getattr(own(results, "page"), "excluded", None)
    try:
        return dict(excluded(results)) if excluded else {}
    except ValueError as error:  # such as a rule that leaves out everything
        return dict.fromkeys(results.good, str(error))


def about(found: Account, by: Registration, called: Mapping[tuple[str, ...], str]) -> list[str]:
    """Lines on one registration: which of its jobs are here, which lack, and its exclusion rule."""
    present, content = found.registered(by), by.content
    lines = [f"{by.name}: {len(present)} of {len(content['jobs'])} jobs are here"]
    if content["question"]:
        lines.append(f"question: {content['question']}")
    if present:
        seeds = ", ".join(map(str, sorted({one.run["seed"] for one in present})))
        names = [called[tuple(one.run["overrides"])] for one in present]
        them = "all of them" if len(names) == len(content["jobs"]) > MANY else "; ".join(names)
        lines.append(f"here, with seeds {seeds}: {them}")
    lines += [f"lacking: {called[tuple(job['words'])]} ({why})" for job, why in found.lacking[by.sha256]]
    if content["exclusion"]:
        rule = ", ".join(f"{name} {value}" for name, value in content["exclusion"].items())
        lines.append(f"exclusion rule, fixed before the run: what a base must have is {rule}")
    return lines


def exploratory(found: Account, called: Mapping[tuple[str, ...], str]) -> list[str]:
    """Lines on finished jobs that are not registered, by reason."""
    reasons: dict[str, list[Standing]] = {}
    for one in found.exploratory:
        reasons.setdefault(one.why, []).append(one)
    lines = [
        f"{why}: exploratory: {'; '.join(called[tuple(one.run['overrides'])] for one in jobs)}"
        for why, jobs in reasons.items()
    ]
    if found.registered() and lines:
        lines.append(f"means of all jobs have {len(found.exploratory)} of {len(found.standings)} from these")
    return lines


def who_was_right(results: Results, found: Account, by: Registration, without: Collection[int]) -> Section:
    """Section on the forecasts of one registration, held against its registered jobs except those in `without`, which
    the exclusion rule leaves out.
    """
    numbers = [one.number for one in found.registered(by) if one.number not in without]
    table, none = outcomes(results, by, numbers)
    title = f"Who was right: {by.content['name']}"
    missed = [f"of no cell that a registered job here has measured: {forecast_named(one)}" for one in none]
    if table.empty:
        return section(title, missed or ["no registered job is here that counts"])
    try:
        sides = compared(table)
    except ValueError as error:
        return section(title, [f"the forecasts cannot be scored: {error}"])
    seeds = sorted(table["seed"].unique())
    by_seed = {(row["theory"], row["seed"]): row for row in sides.seeds.to_dict("records")}
    rows = [
        [row["theory"], row["cells"], row["seeds"], f"{row['brier']:.3f}", f"{row['log_score']:.3f}"]
        + [f"{by_seed[at]['log_score']:.3f}" if (at := (row["theory"], seed)) in by_seed else "" for seed in seeds]
        for row in sides.means.to_dict("records")
    ]
    pairs = [
        [
            row["first"],
            row["second"],
            row["prefer_first"],
            row["prefer_second"],
            row["seeds"],
            f"{row['difference']:+.3f}",
        ]
        for row in sides.pairs.to_dict("records")
    ]
    head = ["theory", "cells", "seeds", "Brier (lower is better)", "log score (higher is better)"]
    tables = [
        {
            "caption": "Mean over seeds of each score, and the log score of each seed",
            "head": [*head, *(f"seed {seed}" for seed in seeds)],
            "rows": rows,
        },
        {
            "caption": "Seeds that prefer a theory, by the log score on cells that both forecast",
            "head": ["first", "second", "seeds for the first", "for the second", "of", "first less second"],
            "rows": pairs,
        },
    ]
    return section(title, missed, tables)


def forecast_named(one: Forecast) -> str:
    """Theory and cell of a forecast, in words."""
    cell = ", ".join(f"{name} {text}" for name, text in one["cell"].items())
    return f"{one['theory']}, {cell or 'every cell'}"


def summary_of(results: Results, folder: Path = FOLDER) -> list[str]:
    """The same sections as lines of text; none where `folder` holds no registration."""
    if not [*folder.glob("*.json")]:
        return []
    lines = []
    for one in sections(results, folder):
        lines += [f"{one['title']}:", *(f"  {line}" for line in one["lines"])]
        for table in one["tables"]:
            lines += [f"  {' | '.join(map(str, row))}" for row in (table["head"], *table["rows"])]
    return lines


def html(shown: Sequence[Section]) -> str:
    """HTML of these sections. No text in them can break out of its place."""
    from jinja2 import Environment, FileSystemLoader

    room = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    return room.get_template("registered.html").render(sections=shown)
