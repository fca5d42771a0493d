"""Compares the published curves of Figure 8 with models that were trained for fewer rows.

The published end points lie below 1, which would fit runs that had not converged. Here the same mixtures are measured
at several numbers of training rows: if that is the reason, the curves come near after few rows, and part again.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from alchemy.paper.claims import setting_text
from alchemy.results.digests import unsealed
from alchemy.results.files import write_aside
from alchemy.results.jobs import proof_of
from alchemy.results.table import seed_text, seed_values
from alchemy.runs.settings import CONF

FIGURE = "Figure 8 (steps)"


def distances(folder: Path) -> pd.DataFrame:
    """Table with a row for each number of training rows.

    It has the exact match `inside` training, and how far the lab's curves are from the published ones, as the root of
    the mean square over all numbers: of the mean over seeds (`apart`), and of each seed (`by_seed`).
    """
    unsealed(folder / "cells.csv", proof_of(folder))
    cells = pd.read_csv(folder / "cells.csv", keep_default_na=False)
    cells = cells[(cells["part"] == "full") & (cells["metric"] == "exact_match")]
    published = pd.read_csv(CONF / "claims.csv", keep_default_na=False, na_values={"published": ""})
    published = published[(published["where"] == FIGURE) & published["published"].notna()]
    swept = [name for name in cells.columns[: cells.columns.get_loc("axis")] if name != "rows"]
    found = []
    for rows, here in cells.groupby("rows"):
        known = {
            (frozenset(setting_text(name, cell[name]) for name in swept), cell["setting"]): cell
            for cell in here.to_dict("records")
        }
        gaps = []
        for claim in published.to_dict("records"):
            asked = frozenset(setting_text(*word.split("=", 1)) for word in claim["variant"].split(";"))
            if cell := known.get((asked, claim["setting"])):
                gaps.append([value - claim["published"] for value in seed_values(cell["by_seed"]).values()])
        each = np.sqrt((np.array(gaps) ** 2).mean(axis=0))
        apart = float(np.sqrt((np.array(gaps).mean(axis=1) ** 2).mean()))
        seeds = seed_text(dict(enumerate(each)), ".4g")
        inside = float(here[here["level"] == 0]["mean"].mean())
        found.append({"rows": rows, "inside": inside, "apart": apart, "numbers": len(gaps), "by_seed": seeds})
    return pd.DataFrame(found)


def write_distances(folder: Path, out: Path) -> str:
    """Writes steps_rows.csv into `out`. Returns a sentence on where the curves come nearest."""
    table = distances(folder)
    write_aside(out / "steps_rows.csv", table.to_csv(index=False, float_format="%.5g"))
    rows = table.to_dict("records")
    best, last = min(rows, key=lambda row: row["apart"]), rows[-1]
    return (
        f"Figure 8 after fewer rows: {best['apart']:.2f} from the published curves after {best['rows']:,} rows "
        f"({best['inside']:.2f} right inside training), {last['apart']:.2f} after {last['rows']:,}."
    )
