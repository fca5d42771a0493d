"""Scores by hand, against NLTK, and the fast way against the plain one."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from alchemy.score import METRICS, PARTS, bleu_corpus, bleu_sentence, edit_distance, score, score_pair, split_text
from tests.conftest import WORLDS

CIPHER = WORLDS["cipher"]
WORDS = [*"ABCDFZ", "[F1]", "[F2]", "<answer>", "<think>", "<unk>"]  # F is a letter of [F1] too
rows = st.lists(st.sampled_from(WORDS), max_size=14)


def encode(texts):
    width = max((len(text) for text in texts), default=0)
    ids = CIPHER.vocabulary.ids
    return np.array([[ids[w] for w in text] + [0] * (width - len(text)) for text in texts], dtype=np.int16).reshape(
        len(texts), width
    )


@settings(max_examples=300, deadline=None)
@given(rows, rows)
def test_sentence_bleu_equals_nltk(mine, gold):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    theirs = sentence_bleu([gold], mine, smoothing_function=SmoothingFunction().method1) if mine and gold else 0.0
    assert bleu_sentence(" ".join(mine), " ".join(gold)) == pytest.approx(theirs, abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(rows, rows), min_size=1, max_size=6))
def test_scores_of_tokens_equal_scores_of_texts(pairs):
    """Cutting by token, renaming letters and scoring repeats once against plain texts, row by row."""
    scores = score(CIPHER.vocabulary, encode([p for p, _ in pairs]), encode([g for _, g in pairs]))
    texts = [(" ".join(mine), " ".join(gold)) for mine, gold in pairs]
    for part, cut in zip(PARTS, (lambda t: t, lambda t: split_text(t)[0], lambda t: split_text(t)[1]), strict=True):
        cut_texts = [(cut(mine), cut(gold)) for mine, gold in texts]
        expected = np.array([score_pair(*pair)[:3] for pair in cut_texts])
        mine = scores[part]
        assert_allclose(np.stack([mine.exact_match, mine.edit_distance, mine.bleu_sentence], axis=1), expected)
        assert mine.mean("bleu_corpus") == pytest.approx(bleu_corpus(*zip(*cut_texts, strict=True)), abs=1e-9)


def test_the_answer_keeps_the_space_before_it_and_the_chain_the_one_after():
    mine, gold = encode([[*"NOPQ", "[F2]", "<answer>", *"ABCD"]]), encode([["B", "[F2]", "<answer>", *"OPQN"]])
    scores = score(CIPHER.vocabulary, mine, gold)
    assert scores["answer"].edit_distance[0] == 4 / 8  # ' A B C D' against ' O P Q N'
    assert scores["chain"].edit_distance[0] == 7 / 13  # 'N O P Q [F2] ' against 'B [F2] '


def test_a_letter_that_a_rule_s_name_shares_is_not_renamed():
    """F against [F1] is three letters away, any other letter four."""
    mine, gold = encode([["F"], ["B"]]), encode([["[F1]"], ["[F1]"]])
    assert score(CIPHER.vocabulary, mine, gold)["full"].edit_distance.tolist() == [3 / 4, 1]


def test_edit_distance_by_hand():
    assert edit_distance("N O P Q", "A B C D") == 4 / 7
    assert edit_distance("", "") == 0
    assert edit_distance("", "A B") == 1


def test_a_right_row_is_perfect_by_every_metric():
    row = encode([["A", "B", "[F2]", "<answer>", "A", "B", "C", "D"]] * 3)
    scores = score(CIPHER.vocabulary, row, row)["full"]
    assert [scores.mean(metric) for metric in METRICS] == [1, 0, 1, 1]
