"""Scores a file of predictions, with the results in the schema of the released scorer.

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
    """Yields prediction and label of each line of a predictions file. Raises ValueError, naming file and line."""
    for number, row in lines(path, str(path), ASKED):
        predicted, label = (row.get(key) if isinstance(row, dict) else None for key in ("predict", "label"))
        if not isinstance(predicted, str) or not isinstance(label, str):
            raise ValueError(f"{path} line {number} lacks predict or label as text: give it both")
        yield predicted, label


LETTER = re.compile(r"(?<![^ ])[A-EG-Z](?![^ ])")  # an atom between spaces; F stands in rule names too
OTHERS = re.compile(r"[A-EG-Z]")


def canonical_pair(predicted: str, gold: str) -> tuple[str, str]:
    """Returns both texts with their letters renamed in the order of first appearance.

    The scores stay the same, and pairs that differ only in their letters become one, which is scored once. Texts with
    capital letters outside of atoms are returned as they are, since renaming could change their edit distance.

    >>> canonical_pair("Q R [F1] <answer> R S", "Q R [F1] <answer> R Q")
    ('A B [F1] <answer> B C', 'A B [F1] <answer> B A')
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
    """Returns the scores of the full text, the chain and the answer, each as `alchemy.measures.score_pair` gives them.

    The first three of a part are exact match, edit distance and sentence BLEU.

    >>> full, chain, answer = score_parts("A B [F1] <answer> B C", "A B [F1] <answer> B C")
    >>> answer[:2]
    (1.0, 0.0)
    """
    pairs = zip((predicted, *split_text(predicted)), (gold, *split_text(gold)), strict=True)
    return tuple(score_pair(mine, its) for mine, its in pairs)


def results(path: Path) -> dict[str, Any]:
    """Returns the scores of a predictions file in the schema of the released scorer.

    Deviations are those of a population. Beside the scorer's sentence BLEU stands the corpus BLEU of the paper's
    tables. Raises ValueError for a file without rows, and as `predictions`.
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
