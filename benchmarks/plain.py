"""Contender: rows written with Python's strings, one by one, and scores by NLTK, rapidfuzz and sacrebleu themselves."""

from string import ascii_uppercase

import numpy as np
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU

from alchemy.data.vocabulary import PAD
from alchemy.measures.scores import split_text
from benchmarks.contender import Once, Work
from benchmarks.rows import KINDS, SCORED, SEED, world, written

WRITTEN = 50_000  # rows


ROTATED = str.maketrans(ascii_uppercase, ascii_uppercase[13:] + ascii_uppercase[:13])


def generate() -> Once:
    """Returns the writing of prompt, chain and answer as in the published data set, as text that is not tokenised."""
    names = [[world().vocabulary.rules[rule] for rule in rules] for rules in world().train.compositions]
    rng = np.random.default_rng(SEED)

    def apply(element: str, rule: str) -> str:
        return element.translate(ROTATED) if rule == "[F1]" else element[1:] + element[0]

    def once() -> int:
        rows = []
        elements, which = rng.integers(0, 26, (WRITTEN, 4)).tolist(), rng.integers(0, 3, WRITTEN).tolist()
        for letters, number in zip(elements, which, strict=True):
            first, second = names[number]
            element = "".join([ascii_uppercase[letter] for letter in letters])
            middle = apply(element, first)
            prompt = f"{' '.join(element)} {first} {second} <think>"
            output = f"{' '.join(middle)} {second} <answer> {' '.join(apply(middle, second))}"
            rows.append({"input": prompt, "output": output})
        return len(rows)

    return once


def metrics(kind: str) -> Once:
    decode = world().vocabulary.decode
    texts = [[decode(row[row != PAD]) for row in pair] for pair in zip(*written(kind, SCORED), strict=True)]
    smooth = SmoothingFunction().method1

    def once() -> int:
        for part in range(3):
            pairs = [[(text, *split_text(text))[part] for text in pair] for pair in texts]
            for mine, its in pairs:
                sentence_bleu([its.split()], mine.split(), smoothing_function=smooth)
                Levenshtein.normalized_distance(mine, its)
            sum(mine == its for mine, its in pairs)
            BLEU(tokenize="13a").corpus_score([mine for mine, _ in pairs], [[its for _, its in pairs]])
        return len(texts)

    return once


WORKS: dict[str, Work] = {"generation": generate}
WORKS |= {f"metrics, {kind}": lambda kind=kind: metrics(kind) for kind in KINDS}  # type: ignore[misc]
