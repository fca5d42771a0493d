"""Counts what held-out compositions share with training: python -m benchmarks.covered [out=outputs/bench]

For experiment=diversity, by number of training compositions and seed: how many of the held-out compositions have both
rules in their places somewhere in training, and how many are the same map of elements as a composition of training (two
rotations in the other order, for example). Nothing is trained.
"""

import pandas as pd

import alchemy as al
from alchemy.data.compositions import follow, probing
from alchemy.measures.coverage import covered
from benchmarks.command import settings_of

NUMBERS = (1, 8, 16, 24, 32, 48, 56)  # of compositions in training
SEEDS = (0, 1, 2)


def counted(number: int, seed: int) -> tuple[int, int, int]:
    """How many compositions are held out; of these, how many are covered, and how many are maps of training."""
    words = ["experiment=diversity", "model.layers=4", f"task.compositions={number}", f"seed={seed}"]
    task = al.compose(*words).task
    probe = probing(task, task.train.length)
    train, held_out = task.train.compositions, task.train.held_out.compositions
    maps = {follow(task, probe, one).tobytes() for one in train}
    seen = sum(its.times > 0 for its in covered(train, held_out, range(len(task.vocabulary.rules))))
    return len(held_out), seen, sum(follow(task, probe, one).tobytes() in maps for one in held_out)


def table() -> pd.DataFrame:
    """A row for each number of training compositions, with sums over seeds and each seed's number."""
    rows = []
    for number in NUMBERS:
        found = {seed: counted(number, seed) for seed in SEEDS}
        row: dict[str, int | str] = {"compositions": number, "held_out": sum(its[0] for its in found.values())}
        for at, name in ((1, "covered"), (2, "same_map")):
            row[name] = sum(its[at] for its in found.values())
            row[f"{name}_by_seed"] = " ".join(f"{seed}={its[at]}" for seed, its in found.items())
        rows.append(row)
    return pd.DataFrame(rows)


def main() -> None:
    with settings_of("covered", "out=FOLDER") as (_, folder):
        folder.mkdir(parents=True, exist_ok=True)
        found = table()
        found.to_csv(folder / "covered.csv", index=False)
        print(found.to_string(index=False))


if __name__ == "__main__":
    main()
