"""Scores by hand, against NLTK, and the fast way against the plain one."""

import warnings
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from alchemy.measures.scores import (
    METRICS,
    PARTS,
    bleu_corpus,
    bleu_sentence,
    canonical,
    corpus_statistics,
    distinct,
    edit_distance,
    score,
    score_pair,
    split_parts,
    split_text,
    write,
)
from tests.helpers.worlds import WORLDS

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


def test_letters_are_renamed_in_the_order_of_first_appearance_but_for_those_of_other_symbols():
    """So Q, Z and A become A, B and C; F stands in [F1]. Where an atom is longer than a letter all stay as they are."""
    rows = encode([["Q", "[F1]", "Z", "Q", "F", "A"], ["B", "A", "<unk>"]])
    assert CIPHER.vocabulary.decode_rows(canonical(CIPHER.vocabulary, rows)) == ["A [F1] B A F C", "A B <unk>"]
    for name in ("arithmetic", "facts"):  # digits up to 10, and names of two letters beside digits of one
        vocabulary = WORLDS[name].vocabulary
        some = len(vocabulary) - np.array([[1, 3, 2, 1]], dtype=np.int16)
        assert canonical(vocabulary, some).tolist() == some.tolist()


def test_an_empty_text_has_no_sentence_bleu_and_is_as_far_from_any_other_as_can_be():
    assert score_pair("", "A B") == (0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)  # of 1- to 4-grams none, of 2 words
    assert score_pair("A B", "")[:3] == (0, 1, 0)
    assert score_pair("", "")[:3] == (1, 0, 0)


def test_sentence_bleu_by_hand():
    """A B C A against A B C D: of 1- to 4-grams 3 of 4 match, 2 of 3, 1 of 2 and none of one, which counts as .1; and
    A B against it is half as long: exp(1 - 4 / 2), with all of 2 and 1 matching, and none of none twice.
    """
    assert bleu_sentence("A B C A", "A B C D") == pytest.approx((3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** (1 / 4))
    assert bleu_sentence("A B", "A B C D") == pytest.approx(exp(-1) * (0.1 * 0.1) ** (1 / 4))
    assert bleu_sentence("A B C D E", "A B C D") == pytest.approx((4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4))
    assert bleu_sentence("X Y", "A B") == 0


def test_corpus_bleu_by_hand():
    """Counts are added up over rows: 4 + 3 of 8 words match, 3 + 2 of 6 pairs, 2 + 1 of 4, 1 + 0 of 2."""
    texts = ["A B C D", "A B C A"], ["A B C D", "A B C D"]
    assert corpus_statistics("A B C A", "A B C D") == (3, 2, 1, 0, 4, 3, 2, 1, 4, 4)
    assert bleu_corpus(*texts) == pytest.approx((7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** (1 / 4))
    assert bleu_corpus(["A B C D"], ["A B C D E F G H"]) == pytest.approx(exp(-1))
    assert bleu_corpus(["A B"], ["A B"]) == 0  # without smoothing: two words have no four in a row


def test_parts_are_cut_after_the_last_marker_and_keep_it():
    ids = CIPHER.vocabulary.ids
    row = encode([["A", "<answer>", "B", "<answer>", "C"], ["A", "B"], ["<answer>"]])
    full, chain, answer = split_parts(row)
    a, b, c, m = (ids[name] for name in ("A", "B", "C", "<answer>"))
    assert full.tolist() == row.tolist()
    assert chain.tolist() == [[a, m, b, m, 0], [0] * 5, [m, 0, 0, 0, 0]]
    assert answer.tolist() == [[0, 0, 0, m, c], [a, b, 0, 0, 0], [m, 0, 0, 0, 0]]
    said = [
        [write(CIPHER.vocabulary, one, part) for one in its]
        for part, its in zip(PARTS[1:], (chain, answer), strict=True)
    ]
    assert said == [["A <answer> B ", "", ""], [" C", "A B", ""]]


def test_rows_without_any_token_are_one_row():
    empty = np.zeros((3, 0), dtype=np.int16)
    unique, where = distinct(empty)
    assert (unique.shape, where.tolist()) == ((1, 0), [0, 0, 0])
    found = score(CIPHER.vocabulary, empty, encode([["A"], [], ["A", "B"]]))["full"]
    assert found.exact_match.tolist() == [0, 1, 0]
    assert found.edit_distance.tolist() == [1, 0, 1]
    rows = encode([["A", "B"], ["B", "A"], ["A", "B"]])
    unique, where = distinct(rows)
    assert unique[where].tolist() == rows.tolist()
    assert len(unique) == 2
