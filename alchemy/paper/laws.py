"""Laws of degradation: how right a model is against how far a Distribution is from training, with fitted curves.

    python -m alchemy laws outputs/paper/tasks/TIME outputs/paper/length/TIME ... [--out FOLDER]

Source: arXiv:2508.01191, section 7.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from alchemy.errors import Parser
from alchemy.figures.draw import save, styled
from alchemy.results.files import write_aside
from alchemy.results.jobs import jobs, variants
from alchemy.results.table import apart, load
from alchemy.stats.fits import LAWS, Array, Law, fit_law, law_verdict

MEASURES = {  # measure: the label of its axis, and the axes whose shifts it grades
    "novelty": ("novelty T(C)", ("task", "composition", "element", "places", "atoms")),
    "length_gap": ("length gap (tokens)", ("length",)),
    "misalignment": ("1 - S(p), prompts as symbols at their places", ("format",)),
    "total_variation": ("total variation of prompts", ("format",)),
}
LEARNT = 0.99  # exact match on held-out problems above which a model has learnt training
SUCCESS = {"exact_match": "exact match", "similarity": "1 - edit distance"}


def points(folders: Sequence[Path]) -> pd.DataFrame:
    """Returns a row per cell and seed of all sweeps: every measure of discrepancy, exact match, and 1 - edit distance.

    Models that did not learn training itself, or were trained elsewhere, are left out. Raises ValueError if no model
    is left, or if a job of a sweep has not finished.
    """
    tables = []
    for folder in folders:
        runs = jobs(folder)
        if wrong := [run.get("error", "a job did not finish") for run in runs.values() if run.get("status") != "ok"]:
            raise ValueError(f"{folder} is not whole ({wrong[0]}): start its command again")
        reached = {number: run for number, run in runs.items() if run["reached"]}
        learnt = {number: run for number, run in reached.items() if (run["exact_match"] or 0) > LEARNT}
        if not learnt:
            continue
        table = load(folder, variants(learnt))
        some = table[table["part"].isin(["discrepancy", "full"])]
        keys = [*apart(table), "axis", "kind", "domain", "level", "seed"]
        wide = some.pivot_table(index=keys, columns="metric", values="value", dropna=False, observed=True)
        tables.append(wide.dropna(subset=["exact_match"]).reset_index()[["axis", "level", "seed", *wide.columns]])
    if not tables:
        raise ValueError("no model of these sweeps has learnt its training distribution: train longer (train.steps)")
    found = pd.concat(tables, ignore_index=True)
    return found.assign(similarity=1 - found["edit_distance"], misalignment=1 - found["alignment"])


def fits(table: pd.DataFrame) -> dict[tuple[str, str], list[Law]]:
    """Returns the laws that could be fitted, by measure and kind of success, the best first."""
    found = {}
    for measure, (_, axes) in MEASURES.items():
        some = table[table["axis"].isin([*axes])]
        if some[measure].nunique() < 3:
            continue
        for success in SUCCESS:
            x, y, seeds = (some[name].to_numpy() for name in (measure, success, "seed"))
            laws = [law for name in LAWS if (law := fit_law(name, x.astype(float), y.astype(float), seeds)) is not None]
            found[measure, success] = sorted(laws, key=lambda law: -law.explained)
    return found


def draw_laws(table: pd.DataFrame, found: dict[tuple[str, str], list[Law]]) -> Figure:
    """Draws a row per measure, exact match left and 1 - edit distance right: every cell of every seed, and the laws."""
    measures = list(dict.fromkeys(measure for measure, _ in found))
    figure = Figure(figsize=(12, 3.5 * max(len(measures), 1)), layout="constrained")
    grid = figure.subplots(max(len(measures), 1), 2, squeeze=False)
    for row, measure in zip(grid, measures, strict=False):
        label, axes = MEASURES[measure]
        some = table[table["axis"].isin([*axes])]
        for ax, (success, name) in zip(row, SUCCESS.items(), strict=True):
            panel(ax, some[measure].to_numpy(), some[success].to_numpy(), found[measure, success])
            ax.set(xlabel=label, ylabel=name, ylim=(-0.03, 1.05))
    return figure


def panel(ax: Any, x: Array, y: Array, laws: list[Law]) -> None:
    ax.plot(x, y, "o", ms=4, color="black", alpha=0.25, mew=0)
    line = np.linspace(0, max(float(x.max()), 1e-6), 200)
    for law, style in zip(laws, ("-", "--", ":"), strict=False):
        ax.plot(line, LAWS[law.name][0](line, *law.parameters), style, label=f"{law.name}, R² = {law.explained:.2f}")
    ax.set_title(fill(law_verdict(laws), 84), size=7.5, loc="left")
    ax.legend(frameon=False, fontsize=8)


def report(folders: Sequence[Path], out: Path) -> list[str]:
    """Writes laws.csv and laws.png into `out`; returns a sentence for each measure and kind of success."""
    table = points(folders)
    found = fits(table)
    rows = [
        {"measure": measure, "success": success, "law": law.name, "parameter": name, "value": value, "lowest": low}
        | {"highest": high, "explained": law.explained}
        for (measure, success), laws in found.items()
        for law in laws
        for name, value, low, high in zip(LAWS[law.name][1], law.parameters, law.lowest, law.highest, strict=True)
    ]
    write_aside(out / "laws.csv", pd.DataFrame(rows).to_csv(index=False, float_format="%.5g"))
    with styled():
        save(draw_laws(table, found), out / "laws.png")
    return [
        f"{SUCCESS[success]} by {MEASURES[measure][0]}: {law_verdict(laws)}"
        for (measure, success), laws in found.items()
    ]


def main(words: list[str]) -> int:
    """Runs the subcommand `laws`: writes them, prints a sentence on each fit and returns exit code 0."""
    parser = Parser("laws", __doc__.split("\n")[0], "outputs/paper/tasks/TIME outputs/paper/length/TIME --out FOLDER")
    parser.add_argument("folders", nargs="+", type=Path, metavar="SWEEP", help="folders of finished sweeps")
    parser.add_argument("--out", type=Path, default=Path(), help="where laws.csv and laws.png go")
    chosen = parser.parse_args(words)
    print("\n".join(report(chosen.folders, chosen.out)))
    return 0
