"""Measures how often training has a test problem's chain: python -m benchmarks.prefixes [out=outputs/bench]

A chain of one step begins chains of two, so a test problem may have been read as the beginning of another. The share of
such problems is told by world, by the number of operations, by training rows, and by what the split is decided by.
"""

from dataclasses import replace

import pandas as pd

import alchemy as al
from alchemy.data.sampling import draw
from alchemy.measures.prefixes import begun
from benchmarks.command import settings_of

WORLDS = {
    ("arithmetic", "problem"): ["task=arithmetic"],
    ("arithmetic", "element"): ["task=arithmetic", "task.split=element"],
    ("mixture", "problem"): ["task=mixture", "model=small", "train=mixture"],
    ("cipher, one to three rules", "problem"): ["task=cipher", "task.training=[F1,F1F2,F1F2F1]"],
}
ROWS = (25_600, 60_000, 512_000)  # of training
PROBLEMS = 2000


def table() -> pd.DataFrame:
    """A row for each world, split, depth and number of training rows, with the share of problems and its error."""
    found = []
    for (name, split), words in WORLDS.items():
        task = al.compose(*words, "shift.axis=task", "shift.levels=[0]").task
        computed = [c for c in task.train.compositions if not hasattr(task, "kinds") or task.kinds[c[0]] == "compute"]
        for depth in sorted({*map(len, computed)}):
            some = tuple(c for c in computed if len(c) == depth)
            where = replace(task.train, compositions=some, shares=(), chains=())
            batch = draw(task, where, PROBLEMS, al.stream(0, "prefixes"))
            for rows in ROWS:
                chance = begun(task, batch, rows)
                found.append((name, split, depth, rows, chance.mean(), chance.std() / PROBLEMS**0.5))
    return pd.DataFrame(found, columns=["world", "split", "operations", "rows", "share", "error"])


def main() -> None:
    with settings_of("prefixes", "out=FOLDER") as (_, folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = table()
        found.to_csv(folder / "prefixes.csv", index=False, float_format="%.4g")
        print(found.to_string(index=False))


if __name__ == "__main__":
    main()
