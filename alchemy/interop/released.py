"""The released scorer's files: predictions in, results out.

Source: arXiv:2508.01191, the schemas of its released code.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from alchemy.data.jsonlines import lines
from alchemy.measures.scores import PARTS, bleu_of, score_pair, split_text

ASKED = "one object a line, with prompt, predict and label"
PUBLISHED = {"full": "full", "chain": "reasoning", "answer": "answer"}  # our parts by their published names


def predictions(path: Path) -> Iterator[tuple[str, str]]:
    """Prediction and label of each line of a predictions file. Raises ValueError with file and line."""
    for number, row in lines(path, str(path), ASKED):
        predicted, label = (row.get(key) if isinstance(row, dict) else None for key in ("predict", "label"))
        if not isinstance(predicted, str) or not isinstance(label, str):
            raise ValueError(f"{path} line {number} lacks predict or label as text: give it both")
        yield predicted, label


LETTER = re.compile(r"(?<![^ ])[A-EG-Z](?![^ ])")  # an atom between spaces; F stands in rule names too
OTHERS = re.compile(r"[A-EG-Z]")


def canonical_pair(predicted: str, gold: str) -> tuple[str, str]:
    """Both texts with their letters renamed in the order of first appearance: the scores stay, repeats are found.

    Texts with capital letters outside of atoms keep their names, since the edit distance could tell.
    """
    both = (predicted, gold)
    if any(OTHERS.search(LETTER.sub("", text)) for text in both):
        return both
    letters = dict.fromkeys(letter for text in both for letter in LETTER.findall(text))
    names = dict(zip(letters, "ABCDEGHIJKLMNOPQRSTUVWXYZ", strict=False))
    mine, its = (LETTER.sub(lambda found: names[found.group()], text) for text in both)
    return mine, its


@lru_cache(maxsize=1 << 16)
def score_parts(predicted: str, gold: str) -> tuple[tuple[float, ...], ...]:
    """Per part, what `score_pair` says of it."""
    pairs = zip((predicted, *split_text(predicted)), (gold, *split_text(gold)), strict=True)
    return tuple(score_pair(mine, its) for mine, its in pairs)


def results(path: Path) -> dict[str, Any]:
    """Scores of a predictions file in the released scorer's schema (deviations are the population's), with the
    corpus BLEU of the paper's tables beside its sentence BLEU. Raises ValueError for a file without rows.
    """
    table = np.array([score_parts(*canonical_pair(*pair)) for pair in predictions(path)])  # (B, part, 13)
    if not len(table):
        raise ValueError(f"{path} has no rows: {ASKED}")
    scored: dict[str, Any] = {"num_samples": len(table)}
    for i, part in enumerate(PARTS):
        means, deviations = table[:, i, :3].mean(axis=0), table[:, i, :3].std(axis=0)
        scored[PUBLISHED[part]] = {
            "total_samples": len(table),
            "exact_match_accuracy": means[0],
            "avg_edit_distance": means[1],
            "avg_bleu_score": means[2],
            "exact_match_accuracy_std": deviations[0],
            "edit_distance_std": deviations[1],
            "bleu_score_std": deviations[2],
            "corpus_bleu": bleu_of(table[:, i, 3:].astype(np.int64)),
        }
    return scored
