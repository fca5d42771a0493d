"""Page and tables of this study: its figure, its verdicts, and each arm at matched gain.

The page is one file that loads nothing from elsewhere, as all pages of the lab; its tables are those of table.csv and
verdicts.csv.
"""

from html import escape
from math import isnan

import pandas as pd

from alchemy.figures.plain_page import plain_page
from alchemy.figures.registered import html, sections
from alchemy.results.files import write_aside
from alchemy.results.registrations import account, only
from alchemy.results.runs import Results
from alchemy.results.table import seed_values
from alchemy.stats.families import text_of
from alchemy.studies.reasoning_tax.numbers import all_numbers
from alchemy.studies.reasoning_tax.trajectories import CHANGES, RUN, Tax, arms_compared, of, rounded_loads
from alchemy.studies.reasoning_tax.verdicts import verdicts

WORDS = {
    "change_free": "free accuracy gained",
    "change_ood": "on held-out compositions",
    "change_deeper": "one step deeper",
    "lost_bits": "bits per fact lost",
    "change_knowledge_free": "facts in free mode",
    "overthinking": "overthinking r_o",
    "change_infogain": "InfoGain gained",
    "change_infogain_bounded": "the same, no answer below a guess",
    "change_nats": "nats that a chain tells",
    "change_ki": "knowledge index gained",
    "kl": "KL, nats",
    "norm": "update, relative norm",
    "changed": "share of weights changed",
}


def tables(results: Results) -> str:
    """Writes table.csv, verdicts.csv and numbers.csv into the folder of the results. Returns the verdicts as a short
    text.
    """
    tax = of(results)
    found = judged(results)
    for name, table in (("table", arms_compared(tax)), ("verdicts", found[-1][1]), ("numbers", all_numbers(tax))):
        write_aside(results.folder / f"{name}.csv", table.to_csv(index=False, float_format="%.6g"))
    said = [f"{whose}:\n{text_of(table)}" if whose else text_of(table) for whose, table in found]
    return "\n".join([*said, *(f"left out: {line}" for line in tax.left_out)])


def judged(results: Results) -> list[tuple[str, pd.DataFrame]]:
    """Verdicts on the predictions, and of which jobs, in words; the last ones are of all jobs.

    Where some jobs are registered and others are not, those of the registered ones alone come first.
    """
    chosen = [one.number for one in account(results).registered()]
    found = verdicts(of(results))
    if not 0 < len(chosen) < len(results.good):
        return [("", found)]
    both = [(f"all jobs, {len(results.good) - len(chosen)} of them exploratory", found)]
    try:
        return [("registered jobs alone", verdicts(of(only(results, chosen)))), *both]
    except ValueError as error:  # such as too few of them for any base to count
        return [(f"no verdict on registered jobs alone ({error})", found[:0]), *both]


def excluded(results: Results) -> dict[int, str]:
    """Jobs that do not count, since their base lacks what study.base demands: seed and reason, by job number."""
    why = of(results).excluded
    its = results.table[["job", *RUN]].drop_duplicates()
    its["load"] = rounded_loads(its)
    keyed = [(int(job), (load, arm, keep, int(seed))) for job, load, arm, keep, seed in its.itertuples(index=False)]
    return {job: why[key] for job, key in keyed if key in why}


def page(results: Results) -> str:
    """HTML of the page. Its picture is the one in the folder, if there is one."""
    tax = of(results)
    lines = [f"<p>{escape(line)}</p>" for line in results.caption[:-1]]
    lines += [f"<p><b>Failed:</b> {escape(line)}</p>" for line in results.failures()]
    lines += [f"<p><b>Left out:</b> {escape(line)}</p>" for line in tax.left_out]
    lines.append(html(sections(results)))
    columns = ["name", "role", "compared", "verdict", "sentence", "power", "says", "source"]
    title = "Predictions, fixed before the run, and what was found"
    tables = [(f"{title}: {whose}" if whose else title, table[columns]) for whose, table in judged(results)]
    tables += [
        (f"Where each arm reaches {match} {at:g}", shown(tax, match)) for match, at in tax.design.matches.items()
    ]
    for words, table in tables:
        lines.append(f"<h2>{escape(words)}</h2><div>{table.to_html(index=False, border=0, na_rep='')}</div>")
    alt = "The six panels of the headline figure"
    return plain_page(results, "What reasoning training does to knowledge", "headline", alt, "\n".join(lines))


def shown(tax: Tax, match: str) -> pd.DataFrame:
    """Table at one match for readers: each median seed with its 95 % interval, or else with the lowest and the highest
    seed, and the reason why an arm does not get there.
    """

    def number(row: pd.Series, name: str) -> str:
        middle, low, high = (float(row[f"{name}@{match}{end}"]) for end in ("", "_low", "_high"))
        each = seed_values(row[f"{name}@{match}_by_seed"]).values()
        if isnan(middle):
            return ""
        spread = f"({min(each):.3f} to {max(each):.3f})" if len(each) > 1 else ""
        return f"{middle:.3f} {spread if isnan(low) else f'[{low:.3f}, {high:.3f}]'}".strip()

    table = arms_compared(tax)
    found = table[["arm", "keep", "load"]].copy()
    for name in CHANGES:
        found[WORDS[name]] = [number(row, name) for _, row in table.iterrows()]
    found["seeds"] = table[f"seeds@{match}"].astype(str) + " of " + table[f"of@{match}"].astype(str)
    found["if not"] = table[f"reason@{match}"]
    return found
