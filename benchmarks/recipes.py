"""Compares how many rows recipes need for the default world: python -m benchmarks.recipes [seeds=20,21,22,23,24]

The seeds differ from those that the gallery and the benchmark report. It prints a Markdown table: rows until 0.999 of
held-out problems are right, checked every 3,200 rows, a dash where that takes more than 102,400; and median seconds.
"""

import statistics
import sys

import torch

from alchemy.errors import sentence
from alchemy.runs.plan import given
from alchemy.training.fit import Progress
from benchmarks.rows import MARK, default, learn

CANDIDATES = (
    "",  # the default
    "train.batch=128 train.warmup=50 train.betas=[0.9,0.95]",
    "train.batch=128 train.warmup=50",
    "train.batch=128 train.warmup=50 train.betas=[0.9,0.999]",
    "train.batch=128 train.warmup=50 train.learning_rate=6e-3",
    "train.betas=[0.9,0.95]",
    "train.learning_rate=3e-3",
    "train.learning_rate=6e-3",
    "train.batch=32 train.learning_rate=3e-3",
    "model.positions=rotary",
)


def line(words: str, found: list[Progress]) -> str:
    rows = [f"{last.rows / 1000:.0f}" if last.exact_match >= MARK else "-" for last in found]
    seconds = statistics.median(last.seconds for last in found)
    return f"| {words or 'the default'} | {', '.join(rows)} | {seconds:.1f} |"


def main() -> None:
    torch.set_num_threads(1)
    try:
        text = given(sys.argv[1:], {"seeds": "20,21,22,23,24"}, "a setting: use seeds=20,21,22")["seeds"]
        if not all(seed.isdigit() for seed in text.split(",")):
            raise ValueError(f"seeds={text} must be whole numbers, such as seeds=20,21,22")
    except ValueError as error:
        sys.exit(f"benchmarks.recipes: {sentence(error)}")
    print("| recipe | thousand rows to 0.999, by seed | seconds, median |\n|---|---|---|")
    for words in CANDIDATES:
        print(
            line(words, [learn(default(seed=int(seed), words=tuple(words.split()))) for seed in text.split(",")]),
            flush=True,
        )


if __name__ == "__main__":
    main()
