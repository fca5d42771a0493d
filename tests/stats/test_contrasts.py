"""Contrasts: sign tests by hand and against scipy's, Holm, the five verdicts, and how seldom a null has one."""

from fractions import Fraction
from itertools import product
from math import isnan, nan

import numpy as np
import pytest
from scipy.stats import binomtest

from alchemy.data.seeds import stream
from alchemy.stats.contrasts import VERDICTS, Contrast, at_least, contrast, holm, verdict
from alchemy.stats.intervals import interval
from alchemy.stats.predictions import SIGNS


def judged(values, direction, sesoi, family=1):
    """The verdict on differences by seed, with both p adjusted as the first of a family."""
    found = contrast(np.array(values, dtype=float), sesoi)
    return verdict(found, min(1, found.p * family), direction, sesoi, min(1, found.equivalence * family))


def test_a_contrast_by_hand():
    """Five of six above zero, by chance as often as 6 + 1 of 64 sides; all above -.25, and four below .25."""
    found = contrast(np.array([0.1, 0.2, -0.1, 0.2, 0.3, 0.4]), 0.25)
    assert (found.estimate, found.low, found.high) == (0.2, -0.1, 0.4)
    assert (found.seeds, found.above, found.below) == (6, 5, 1)
    assert found.p == Fraction(2 * 7, 64)
    assert found.equivalence == Fraction(1 + 6 + 15, 64)


def test_sides_of_a_median_by_hand():
    assert [at_least(count, 4) for count in range(5)] == [n / 16 for n in (16, 15, 11, 5, 1)]


@pytest.mark.parametrize("seeds", [2, 5, 6, 9, 14])
def test_both_p_are_those_of_sign_tests(seeds):
    for values in stream(seeds, "signs").normal(0.3, 1, (40, seeds)):
        found = contrast(values, 0.8)
        above = int((values > 0).sum())
        assert (found.above, found.below) == (above, seeds - above)
        assert found.p == pytest.approx(binomtest(above, seeds).pvalue)
        within = [int((values > -0.8).sum()), int((values < 0.8).sum())]
        one_sided = [binomtest(count, seeds, alternative="greater").pvalue for count in within]
        assert found.equivalence == pytest.approx(max(one_sided))
        assert found.estimate == np.median(values)
        assert [[found.low], [found.high]] == pytest.approx(np.array(interval(values[None], "bits")), nan_ok=True)


def test_a_p_says_no_more_than_the_interval():
    """It leaves zero out if, and only if, p < .05."""
    for seeds in (6, 9, 12):
        for values in stream(seeds, "both").normal(0.6, 1, (100, seeds)):
            found = contrast(values)
            assert (found.low > 0 or found.high < 0) == (found.p < 0.05)


def test_few_or_no_seeds():
    none = contrast(np.array([nan, nan]), 0.1)
    assert (none.seeds, none.above, none.below) == (0, 0, 0)
    assert all(map(isnan, (none.estimate, none.low, none.high, none.p, none.equivalence)))
    one = contrast(np.array([0.4, nan]), 0.1)
    assert (one.estimate, one.seeds, one.above) == (0.4, 1, 1)
    assert all(map(isnan, (one.low, one.high, one.p, one.equivalence)))
    assert isnan(contrast(np.ones(9)).equivalence)  # without a sesoi there is none
    for seeds in (2, 3, 4, 5):
        few = contrast(np.full(seeds, 0.3), 0.5)
        assert (few.p, few.equivalence) == (Fraction(2, 2**seeds), Fraction(1, 2**seeds))
        assert isnan(few.low)
    assert isnan(contrast(np.array([0.3] * 5 + [nan])).low)  # a seed that is not there is none


def test_a_seed_at_zero_is_on_neither_side_and_at_the_sesoi_is_not_within():
    found = contrast(np.array([0.0, 0.0, 0.25, 0.25, -0.125, 0.5]), 0.25)
    assert (found.above, found.below, found.seeds) == (3, 1, 6)
    assert found.p == min(1, 2 * Fraction(20 + 15 + 6 + 1, 64))
    assert found.equivalence == Fraction(20 + 15 + 6 + 1, 64)  # three below .25
    assert contrast(np.full(6, -0.25), 0.25).equivalence == 1
    zero = contrast(np.zeros(6), 0.25)
    assert (zero.p, zero.equivalence, zero.above, zero.below) == (1, Fraction(1, 64), 0, 0)


def test_what_rounding_leaves_of_differences_is_on_neither_side():
    """.1 + .2 is a little more than .3."""
    found = contrast(np.array([0.1 + 0.2 - 0.3, 0.3 - (0.1 + 0.2), -0.3]))
    assert (found.above, found.below, found.seeds) == (0, 1, 3)
    small = contrast(np.array([1e-9, 1e-9, -1e-9]))  # as far as differences go that are all small
    assert (small.above, small.below) == (2, 1)


def test_holm_by_hand():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "not measured": nan})
    assert [adjusted[name] for name in "abc"] == pytest.approx([0.03, 0.06, 0.06])
    assert isnan(adjusted["not measured"])
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


RULES = [  # estimate, adjusted p, equivalence p, and the verdict by direction: above, below, none, not above
    (0.3, 0.01, 0.90, ["supported", "refuted", "refuted", "refuted"]),
    (-0.3, 0.01, 0.90, ["refuted", "supported", "refuted", "undecided"]),
    (0.1, 0.01, 0.90, ["supported", "refuted", "refuted", "refuted"]),  # as large as the sesoi
    (-0.1, 0.01, 0.90, ["refuted", "supported", "refuted", "undecided"]),
    (0.09, 0.01, 0.40, ["supported", "refuted", "undecided", "undecided"]),  # perhaps smaller than what matters
    (0.02, 0.02, 0.02, ["small but real"] * 4),
    (-0.02, 0.02, 0.02, ["small but real"] * 4),
    (0.02, 0.99, 0.04, ["equivalent to zero", "equivalent to zero", "supported", "supported"]),
    (-0.02, 0.99, 0.04, ["equivalent to zero", "equivalent to zero", "supported", "supported"]),
    (0.3, 0.06, 0.90, ["undecided"] * 4),
    (0.3, 0.05, 0.05, ["undecided"] * 4),  # neither is below .05
    (0.3, nan, nan, ["undecided"] * 4),
]


@pytest.mark.parametrize(("estimate", "p", "equivalence", "said"), RULES)
def test_verdicts_by_rule(estimate, p, equivalence, said):
    found = Contrast(estimate, nan, nan, 0.5, 0.5, 9, 5, 4)  # its own p is not the adjusted one
    assert [verdict(found, p, direction, 0.1, equivalence) for direction in SIGNS] == said
    assert {*said} <= {*VERDICTS}
    with pytest.raises(ValueError, match="direction 'up' of a prediction is none of above, below, none, not above"):
        verdict(found, p, "up", 0.1, equivalence)


@pytest.mark.parametrize("direction", SIGNS)
def test_an_effect_within_the_sesoi_that_every_seed_has_is_small_but_real(direction):
    assert judged([0.01] * 10, direction, 0.1, family=18) == "small but real"
    assert judged([-0.01] * 9 + [0.02], direction, 0.1) == "small but real"
    mixed = [0.01, -0.01] * 5
    assert judged(mixed, direction, 0.1, family=18) == ("equivalent to zero" if SIGNS[direction] else "supported")


@pytest.mark.parametrize("values", [[0.3] * 5, [1e-6] * 5, [-0.3] * 5, [0.0] * 3])
def test_fewer_than_six_seeds_show_no_effect(values):
    """Five that agree show at most that what there is is small: one side has them once in 32 times, either in 16."""
    for direction in SIGNS:
        assert judged(values, direction, 0.1) in ("undecided", "equivalent to zero", "supported")
        assert contrast(np.array(values), 0.1).p > 0.05
    assert judged(values[:4], "none", 0.1) == "undecided"


@pytest.mark.parametrize(("seeds", "real", "small"), [(6, 1, 1), (8, 1, 9), (9, 10, 10), (10, 11, 11)])
def test_a_null_is_seldom_taken_for_an_effect(seeds, real, small):
    """Where seeds are as likely above as below, all 2**seeds sides of them are alike likely: so many are `real` and
    above, and so many `small`, where the truth is a difference as large as the sesoi.
    """
    sides = np.array([*product([-1.0, 1.0], repeat=seeds)])
    found = [judged(row, "above", 0.5) for row in sides]
    assert found.count("supported") == found.count("refuted") == real
    assert [judged(row, "none", 0.5) for row in sides].count("refuted") == 2 * real
    assert max(2 * real, small) / len(sides) < 0.05
    assert [judged(2 + row / 9, "none", 2) for row in sides].count("small but real") == small
    near = np.array([*product([-1.0, 2.1], repeat=seeds)])  # of either sign, and as often beyond the sesoi as within
    said = [judged(row, "none", 2) for row in near]
    assert said.count("supported") + said.count("small but real") == small


def test_a_family_of_nulls_has_a_verdict_once_in_twenty_times_at_most():
    """By hand: of ten predictions over ten seeds, one is real only if all its seeds agree, so once in 512 times; and
    1 - (1 - 1/512)**10 is .019. Of 400 families 2 to 14 are within two deviations.
    """
    wrong = 0
    for family in stream(1, "nulls").standard_normal((400, 10, 10)):
        found = {str(number): contrast(row, 0.3) for number, row in enumerate(family)}
        adjusted = holm({name: its.p for name, its in found.items()})
        small = holm({name: its.equivalence for name, its in found.items()})
        said = {verdict(its, adjusted[name], "above", 0.3, small[name]) for name, its in found.items()}
        wrong += bool(said & {"supported", "refuted", "small but real"})
    assert 2 <= wrong <= 14
