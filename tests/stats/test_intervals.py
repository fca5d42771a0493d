"""Intervals: a slow bootstrap as the oracle, and how often they hold the truth."""

import numpy as np
import pytest

from alchemy.data.seeds import stream
from alchemy.stats.intervals import difference, interval
from alchemy.stats.rows import mean, row_error, share


def slow(means, errors, rng, replicates=20_000):
    """The same bootstrap, one replicate at a time."""
    seeds, centre = len(means), float(np.mean(means))
    widened = ((means - centre) * np.sqrt(seeds / (seeds - 1))).tolist()
    errors, found = errors.tolist(), []
    turns = rng.integers(0, seeds, (replicates, seeds)).tolist(), rng.standard_normal((replicates, seeds)).tolist()
    for drawn, moved in zip(*turns, strict=True):
        each = [widened[seed] + errors[seed] * by for seed, by in zip(drawn, moved, strict=True)]
        found.append(centre + sum(each) / seeds)
    return np.percentile(found, [2.5, 97.5])


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_the_interval_is_that_of_a_slow_bootstrap(seeds):
    rng = stream(0, "cells")
    means, errors = rng.random((4, seeds)), 0.1 * rng.random((4, seeds))
    low, high = interval(means, errors)
    for cell in range(4):
        assert [low[cell], high[cell]] == pytest.approx(slow(means[cell], errors[cell], rng), abs=0.02)


def test_three_seeds_hold_it_less_often_than_ten():
    """Known of every bootstrap over so few: the README says by how much."""
    rng = stream(2, "cells")
    for seeds, least, most in ((3, 0.77, 0.85), (5, 0.83, 0.91)):
        low, high = interval(rng.standard_normal((2000, seeds)), np.full((2000, seeds), 1e-3))
        assert least < ((low <= 0) & (high >= 0)).mean() < most


def test_it_holds_the_truth_about_as_often_as_it_says():
    """Ten seeds around .6 with a deviation of .1, each with its rows' noise: 95 % intervals, 400 of them."""
    rng = stream(1, "cells")
    errors = np.full((400, 10), 0.03)
    means = 0.6 + 0.1 * rng.standard_normal((400, 10)) + errors * rng.standard_normal((400, 10))
    low, high = interval(means, errors)
    assert 0.88 < np.mean((low <= 0.6) & (high >= 0.6)) < 0.99


def test_one_seed_has_none_and_agreeing_ones_still_have_width():
    assert np.isnan(interval(np.ones((2, 1)), np.zeros((2, 1)))).all()
    error = row_error(np.zeros(2000))
    low, high = interval(np.zeros((1, 3)), np.full((1, 3), error))
    assert -0.001 < low[0] <= 0 <= high[0] < 0.001
    assert high[0] > 0


def test_a_mean_lies_in_its_interval():
    rng = stream(2, "cells")
    means = rng.random((200, 3)) ** 8
    low, high = interval(means, np.full((200, 3), 1e-3))
    assert ((low <= means.mean(axis=1)) & (means.mean(axis=1) <= high)).all()


def test_row_error_is_the_error_of_a_mean():
    rows = stream(3, "rows").random(400)
    assert row_error(rows) == pytest.approx(rows.std() / 20)


def test_means_and_shares_by_hand():
    """Of 2, 4, 4, 10 the deviation is 3; of one row in four, the root of 3 over 4."""
    assert mean(np.array([2, 4, 4, 10])) == (5.0, 1.5)
    assert mean(np.full(9, 3.5, dtype=np.float32)) == (3.5, 0.0)
    assert share(np.array([True, False, False, False])) == (0.25, pytest.approx(3**0.5 / 8))
    assert share(np.ones(4, dtype=bool)) == (1.0, pytest.approx((0.1 * 0.9 / 6) ** 0.5))  # half a row of five
    for none in (mean(np.zeros(0)), share(np.zeros(0, dtype=bool))):
        assert np.isnan(none[0])
        assert none[1] == 0


def test_seeds_that_differ_by_hand():
    """Of 0 and 1 two are drawn: both 0 or both 1 once in four times each, which is .5 ± .5, times the root of 2."""
    low, high = interval(np.array([[0.0, 1.0]] * 2), np.zeros((2, 2)))
    assert [*low, *high] == pytest.approx([0.5 - 0.5**0.5] * 2 + [0.5 + 0.5**0.5] * 2)
    low, high = difference(np.array([[0.0, 1.0]]), np.zeros((1, 2)), np.array([[10.0, 14.0]]), np.zeros((1, 2)))
    assert [*low, *high] == pytest.approx([-11.5 - 5 * 0.5**0.5, -11.5 + 5 * 0.5**0.5])  # once in 16 times each


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_seeds_that_agree_have_the_width_of_their_rows_errors(seeds):
    """1.96 errors of a mean over seeds either way, and of two means that are drawn apart the root of 2 as much; the
    percentiles of 4,000 draws are known to some 4 %.
    """
    means, errors = np.full((1, seeds), 0.3), np.full((1, seeds), 0.1)
    low, high = interval(means, errors)
    half = 1.96 * 0.1 / seeds**0.5
    assert [0.3 - low[0], high[0] - 0.3] == pytest.approx([half, half], rel=0.07)
    low, high = difference(means, errors, means + 1, errors)
    assert [-1 - low[0], high[0] + 1] == pytest.approx([half * 2**0.5] * 2, rel=0.07)


def test_more_cells_than_are_looked_at_at_once_have_each_its_own_interval():
    rng = stream(4, "cells")
    means, errors = rng.random((2100, 3)), 0.1 * rng.random((2100, 3))
    low, high = interval(means, errors)
    for cell in (0, 1023, 1024, 2047, 2048, 2099):
        alone = interval(means[cell : cell + 1], errors[cell : cell + 1])
        assert [low[cell], high[cell]] == pytest.approx([alone[0][0], alone[1][0]])
    assert (low < high).all()


def test_one_seed_on_either_side_has_no_difference():
    one, three = (np.ones((1, 1)), np.ones((1, 1))), (np.ones((1, 3)), np.ones((1, 3)))
    assert np.isnan(difference(*one, *three)).all()
    assert np.isnan(difference(*three, *one)).all()


def test_the_error_of_rows_that_agree_is_that_of_half_a_row_more():
    """As if half of 9 + 1 rows had been otherwise, a share of .05: its error is the root of .05 times .95 over 11."""
    assert row_error(np.ones(9)) == row_error(np.zeros(9, dtype=bool)) == pytest.approx((0.05 * 0.95 / 11) ** 0.5)
    assert row_error(np.array([0, 1] * 8)) == pytest.approx(0.5 / 4)
