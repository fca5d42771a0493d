"""Scores of completions: exact match, edit distance and both BLEUs, of the full text, its chain and its answer.

A completion is split at its last answer marker, by token. Written out, the chain keeps the space after it and the
answer the space before it, as in the released scorer; without a marker all of it is answer.

Source: arXiv:2508.01191, tables 1 to 4, and its released code.

Shapes: B rows, C tokens of a completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alchemy.data.vocabulary import ANSWER, PAD, Vocabulary

PARTS = ("full", "chain", "answer")
METRICS = ("exact_match", "edit_distance", "bleu_corpus", "bleu_sentence")


@cache
def bleu(tokenize: str) -> Any:
    """BLEU metric of sacrebleu with this tokenisation."""
    from sacrebleu.metrics.bleu import BLEU  # imported when first needed: it takes a fifth of a second

    return BLEU(tokenize=tokenize)


def exact_match(predicted: str, gold: str) -> float:
    """1.0 if the texts are equal, else 0.0."""
    return float(predicted == gold)


def edit_distance(predicted: str, gold: str) -> float:
    """Levenshtein distance in characters, spaces included, divided by the longer length; 0 for two empty texts.

    >>> edit_distance("A B C", "A B D")
    0.2
    """
    from rapidfuzz.distance import Levenshtein

    return Levenshtein.normalized_distance(predicted, gold)


def bleu_sentence(predicted: str, gold: str) -> float:
    """BLEU of one row as the released code computes it: words between spaces, 0.1 in place of a count of zero.

    It is never 1 for fewer than four words, even if all are right, and 0 if either text is empty.
    """
    if not predicted or not gold:
        return 0.0
    counted = bleu("none").corpus_score([predicted], [[gold]])
    if not counted.counts[0]:
        return 0.0
    shares = [(count or 0.1) / max(total, 1) for count, total in zip(counted.counts, counted.totals, strict=True)]
    brevity = min(0.0, 1 - counted.ref_len / counted.sys_len)
    return exp(brevity + sum(map(log, shares)) / 4)


def corpus_statistics(predicted: str, gold: str) -> tuple[int, ...]:
    """Counts of one row that corpus BLEU sums over rows, in 13a tokens.

    They are the matching 1- to 4-grams, all 1- to 4-grams, and the lengths of `predicted` and `gold`: ten numbers.
    """
    counted = bleu("13a").corpus_score([predicted], [[gold]])
    return (*counted.counts, *counted.totals, counted.sys_len, counted.ref_len)


def bleu_corpus(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """BLEU of the whole corpus as in the paper's tables, from 0 to 1: 13a tokens, no smoothing."""
    return bleu_of(np.array([corpus_statistics(*pair) for pair in zip(predicted, gold, strict=True)]))


def bleu_of(statistics: NDArray[np.int64]) -> float:
    """Corpus BLEU, from 0 to 1, of rows (B, 10) of `corpus_statistics`."""
    matches, grams, (written, reference) = np.split(statistics.sum(axis=0), [4, 8])
    scored = bleu("13a").compute_bleu(
        matches.tolist(), grams.tolist(), int(written), int(reference), smooth_method="none"
    )
    return min(float(scored.score) / 100, 1.0)  # rounding can pass 1


@dataclass(frozen=True)
class Scores:
    """Scores of one part of B rows, each (B,). `statistics` (B, 10) are the counts that corpus BLEU sums over rows."""

    exact_match: NDArray[np.float64]
    edit_distance: NDArray[np.float64]
    bleu_sentence: NDArray[np.float64]
    statistics: NDArray[np.int64]

    def bleu(self, sums: NDArray[np.int64]) -> float:
        """Corpus BLEU of several rows, from the sums (10,) of their statistics."""
        return bleu_of(sums[None])

    def mean(self, metric: str) -> float:
        """Mean of a metric over rows. For bleu_corpus, the BLEU of all rows together."""
        if metric == "bleu_corpus":
            return self.bleu(self.statistics.sum(axis=0))
        return float(getattr(self, metric).mean())


@lru_cache(maxsize=1 << 17)
def score_pair(predicted: str, gold: str) -> tuple[float, ...]:
    """Exact match, edit distance and sentence BLEU of one row, then its ten `corpus_statistics`."""
    row = (exact_match(predicted, gold), edit_distance(predicted, gold), bleu_sentence(predicted, gold))
    return (*row, *corpus_statistics(predicted, gold))


def split_text(text: str) -> tuple[str, str]:
    """Chain and answer of a text from elsewhere, split at its last marker.

    Completions of the lab are split by token instead.
    """
    before, marker, after = text.rpartition("<answer>")
    return (before, after) if marker else ("", text)


def score_texts(predicted: str, gold: str) -> dict[str, tuple[float, ...]]:
    """Exact match, edit distance and sentence BLEU of one row of text, by part, as in the released scorer."""
    parts = zip(PARTS, (predicted, *split_text(predicted)), (gold, *split_text(gold)), strict=True)
    return {part: score_pair(p, g)[:3] for part, p, g in parts}


def score(vocabulary: Vocabulary, completion: NDArray[np.int16], gold: NDArray[np.int16]) -> dict[str, Scores]:
    """Scores of completions (B, C) against gold (B, C'), both padded on the right, by part.

    >>> import alchemy as al
    >>> task = al.compose("task=cipher").task
    >>> rows = al.draw(task, task.train, 5, al.stream(0, "look"))
    >>> score(task.vocabulary, rows.completion(), rows.completion())["answer"].mean("exact_match")
    1.0
    """
    scores = {}
    for part, mine, its in zip(PARTS, split_parts(completion), split_parts(gold), strict=True):
        pairs = canonical(vocabulary, np.concatenate([mine, its], axis=1))
        unique, where = distinct(pairs)  # equal rows are scored once
        width = mine.shape[1]
        rows = [
            score_pair(write(vocabulary, row[:width], part), write(vocabulary, row[width:], part)) for row in unique
        ]
        table = np.array(rows, dtype=np.float64).reshape(len(rows), 13)[where]
        scores[part] = Scores(table[:, 0], table[:, 1], table[:, 2], table[:, 3:].astype(np.int64))
    return scores


def distinct(rows: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
    """Different rows (U, C) of rows (B, C), and for each row its index among them (B,). Rows are compared as bytes."""
    if not rows.shape[1]:
        return rows[:1], np.zeros(len(rows), dtype=np.intp)
    width = rows.shape[1]
    texts = np.ascontiguousarray(rows, dtype=np.int16).view(f"S{2 * width}").ravel()
    _, first, number = np.unique(texts, return_index=True, return_inverse=True)
    return rows[first], number


def split_parts(completion: NDArray[np.int16]) -> tuple[NDArray[np.int16], ...]:
    """Full text, chain and answer of completions (B, C), each (B, C) with padding in place of the other part.

    The marker stays in chain and answer, so that `write` knows on which side of it a part lies.
    """
    marked = completion == ANSWER
    places = np.arange(completion.shape[1])
    last = np.where(marked, places, -1).max(axis=1, initial=-1)[:, None]  # -1 where there is no marker
    chain = np.where((places <= last), completion, PAD).astype(np.int16)
    answer = np.where(places >= last, completion, PAD).astype(np.int16)
    return completion, chain, answer


def write(vocabulary: Vocabulary, row: NDArray[np.int16], part: str) -> str:
    """One part of a row as text: a chain without the marker after it, an answer without the marker before it."""
    tokens = row[row != PAD]
    if part == "chain":
        return vocabulary.decode(tokens[:-1]) + " " * (len(tokens) > 1)
    if part == "answer" and len(tokens) and tokens[0] == ANSWER:
        return " " * (len(tokens) > 1) + vocabulary.decode(tokens[1:])
    return vocabulary.decode(tokens)


def canonical(vocabulary: Vocabulary, rows: NDArray[np.int16]) -> NDArray[np.int16]:
    """Rows (B, C) with their atoms renamed in the order of first appearance.

    All scores stay the same, since they only depend on which atoms are equal; far fewer rows differ, so scoring is
    faster. An atom that stands in another symbol's text keeps its name, as F does in [F1], where the edit distance
    could tell it from others. If any atom is longer than a letter, no atom is renamed.
    """
    others = "".join(vocabulary.symbols[: vocabulary.first_atom])
    free = [vocabulary.first_atom + i for i, atom in enumerate(vocabulary.atoms) if atom not in others]
    if not free or any(len(atom) > 1 for atom in vocabulary.atoms):
        return rows
    from alchemy.models.attention_kernels import rename  # takes half a second to import

    renamed = np.empty_like(rows)
    rename(rows, np.array(free, dtype=np.int16), renamed)
    return renamed
