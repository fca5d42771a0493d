"""Row by row, with the libraries that the metrics come from: NLTK, rapidfuzz and sacrebleu, three parts a row."""

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rapidfuzz.distance import Levenshtein
from sacrebleu.metrics.bleu import BLEU

from alchemy.score import split_text
from alchemy.vocabulary import PAD
from benchmarks.contender import Once, Work
from benchmarks.rows import KINDS, world, written


def metrics(kind: str) -> Once:
    decode = world().vocabulary.decode
    texts = [[decode(row[row != PAD]) for row in pair] for pair in zip(*written(kind, 2000), strict=True)]
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


WORKS: dict[str, Work] = {f"metrics, {kind}": lambda kind=kind: metrics(kind) for kind in KINDS}  # type: ignore[misc]
