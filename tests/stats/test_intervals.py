"""Intervals over seeds: two seeds by hand, exact binomial bounds, random weights as a slow oracle, and coverage."""

from fractions import Fraction
from math import comb, isnan, log

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from alchemy.data.seeds import stream
from alchemy.stats.intervals import at_one, difference, interval, order
from benchmarks import intervals as simulated

SHAPES = {
    "even": lambda rng, seeds: rng.random(seeds),
    "U-shaped": lambda rng, seeds: rng.beta(0.1, 0.1, seeds),
    "in tenths": lambda rng, seeds: rng.integers(0, 11, seeds) / 10,
    "equal": lambda rng, seeds: np.full(seeds, 0.3),
    "near zero": lambda rng, seeds: rng.random(seeds) ** 8,
}


def ends(*seeds, unit="share", **more):
    """The interval of one cell."""
    (low,), (high,) = interval(np.array([seeds]), unit, **more)
    return low, high


# ---- of the mean of shares


def test_two_seeds_by_hand():
    """a < b and 1 are weighted by the three parts of a stick: the sum has a density that rises to b and falls to 1, so
    it is beyond x >= b once in (1 - a)(1 - b) / (1 - x)² times, and below x <= b once in (b - a)(1 - a) / (x - a)².
    """
    assert ends(0.1, 0.6, covered=0.5)[1] == pytest.approx(0.7)  # a quarter is beyond: 1 - root(.9 × .4 / 4)
    assert ends(0.1, 0.6)[1] == pytest.approx(1 - (0.025 * 0.9 * 0.4) ** 0.5)
    assert ends(0.4, 0.9)[0] == pytest.approx((0.025 * 0.9 * 0.4) ** 0.5)  # the same in the mirror
    assert ends(0.4, 0.9, covered=0.5)[1] == pytest.approx(0.4 + (0.75 * 0.5 * 0.6) ** 0.5)  # three quarters are below


@pytest.mark.parametrize(
    "seeds",
    [(0.2, 0.5, 0.8), (0.05, 0.1, 0.1), (0.3, 0.3), (0.9, 0.95, 0.95), (0.25,) * 6, (0.0,) * 15, (0.5, 0.6) * 3],
)
def test_an_end_beyond_all_seeds_by_hand(seeds):
    """Beyond x, above all seeds, the sum is once in the product of (1 - seed) / (1 - x) times; below all, in the
    mirror.
    """
    high = 1 - (0.025 * np.prod([1 - seed for seed in seeds])) ** (1 / len(seeds))
    low = (0.025 * np.prod(seeds)) ** (1 / len(seeds))
    found = ends(*seeds)
    assert found == pytest.approx((low, high), abs=1e-6)
    assert low <= min(seeds) <= max(seeds) <= high


def test_a_level_by_hand():
    """Of two equal seeds, covered .5: a quarter is beyond, whose root is a half."""
    assert ends(0.5, 0.5, covered=0.5) == pytest.approx((0.25, 0.75), abs=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 40])
def test_seeds_that_are_all_or_nothing_have_the_exact_binomial_interval(seeds):
    rows = (np.arange(seeds) < np.arange(seeds + 1)[:, None]).astype(float)
    low, high = interval(rows)
    exact = [binomtest(ones, seeds).proportion_ci(0.95, method="exact") for ones in range(seeds + 1)]
    assert low == pytest.approx([one.low for one in exact], abs=1e-6)
    assert high == pytest.approx([one.high for one in exact], abs=1e-6)


@pytest.mark.parametrize("seeds", [2, 3, 10, 30])
def test_the_ends_are_percentiles_of_randomly_weighted_sums(seeds):
    """Of 200,000 draws, which know a percentile to some .003 here, as five streams of draws had it."""
    rng = stream(seeds, "weights")
    weights = rng.standard_exponential((200_000, seeds + 1))
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.array([make(rng, seeds) for make in SHAPES.values()])
    low, high = interval(rows)
    for row, *found in zip(rows, low, high, strict=True):
        drawn = np.percentile(weights @ np.append(row, 0), 2.5), np.percentile(weights @ np.append(row, 1), 97.5)
        assert found == pytest.approx(drawn, abs=0.01)


@pytest.mark.parametrize("name", SHAPES)
def test_laws_of_the_interval(name):
    """It holds the mean, lies within 0 and 1, is mirrored with the seeds, and knows no order of them."""
    rng = stream(1, name)
    rows = np.array([SHAPES[name](rng, 4) for _ in range(20)])
    low, high = interval(rows)
    assert ((low >= 0) & (low <= rows.mean(axis=1)) & (rows.mean(axis=1) <= high) & (high <= 1)).all()
    assert np.array(interval(rng.permuted(rows, axis=1))) == pytest.approx(np.array([low, high]), abs=1e-9)
    assert np.array(interval(1 - rows)) == pytest.approx(np.array([1 - high, 1 - low]), abs=1e-7)
    more, most = interval(np.minimum(rows + 0.1, 1))
    assert (more >= low - 1e-7).all()
    assert (most >= high - 1e-7).all()
    inner, outer = interval(rows, covered=0.8), interval(rows, covered=0.99)
    assert (outer[0] <= low).all() & (low <= inner[0]).all() & (inner[1] <= high).all() & (high <= outer[1]).all()


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 10, 20])
def test_whatever_share_of_seeds_is_at_one_it_is_held_in_95_of_100_experiments(seeds):
    """Exactly, by the binomial chance of each number of seeds at 1; those of a difference hold at least as often."""
    ones = np.arange(seeds + 1)
    rows = (np.arange(seeds) < ones[:, None]).astype(float)
    low, high = interval(rows)
    for share in np.linspace(0.005, 0.995, 100):
        assert binom.pmf(ones, seeds, share)[(low <= share) & (share <= high)].sum() >= 0.95
    if seeds <= 5:
        pairs = [(one, other) for one in ones for other in ones]
        less, more = difference(*(rows[list(its)] for its in zip(*pairs, strict=True)))
        for mine, its in ((0.05, 0.05), (0.3, 0.3), (0.5, 0.2), (0.9, 0.1), (0.7, 0.6)):
            chance = np.array([binom.pmf(one, seeds, mine) * binom.pmf(other, seeds, its) for one, other in pairs])
            assert chance[(less <= mine - its) & (mine - its <= more)].sum() >= 0.95


def test_five_seeds_on_one_side_of_a_half_do_not_leave_it_out_and_six_do():
    """Six are by chance on one side of a half once in 32 times, five once in 16."""
    for seeds in range(2, 9):
        assert (ends(*[0.0] * seeds)[1] < 0.5) == (ends(*[1.0] * seeds)[0] > 0.5) == (seeds >= 6)


def test_no_number_outside_of_0_to_1_is_taken_for_a_share():
    for wrong in ([0.2, 1.1], [-0.1, 0.3], [np.nan, 0.5]):
        with pytest.raises(ValueError, match=r"a share lies from 0 to 1, and this one is .*: check its unit"):
            ends(*wrong)
    assert ends(-1e-12, 1 + 1e-12) == pytest.approx(ends(0, 1))  # what rounding makes is none


# ---- of the median of other numbers


def test_which_seeds_are_the_ends_by_hand():
    """The median lies beyond the k-th of n seeds, on either side, as a coin falls on one side fewer than k times."""
    for seeds in range(1, 31):
        beyond = [2 * sum(Fraction(comb(seeds, j), 2**seeds) for j in range(k)) for k in range(seeds // 2 + 1)]
        assert order(seeds) == max(k for k, chance in enumerate(beyond) if chance <= Fraction(5, 100))
        assert order(seeds, 0.975) == max(k for k, chance in enumerate(beyond) if chance <= Fraction(25, 1000))
    assert [order(seeds) for seeds in (5, 6, 8, 9, 11, 12)] == [0, 1, 1, 2, 2, 3]


def test_the_median_is_between_two_seeds_by_hand():
    assert all(map(isnan, ends(3, 1, 4, 1, 5, unit="bits")))
    assert ends(3, 1, 4, 1.5, 9, 2, unit="bits") == (1, 9)
    assert ends(3, 1, 4, 1.5, 9, 2, -6, 5, 30, unit="ratio") == (1, 9)  # the second of nine on either side
    assert ends(*range(12), unit="nats") == (2, 9)
    assert ends(*range(6), unit="nats", covered=0.9) == (0, 5)


@pytest.mark.parametrize(("seeds", "held"), [(6, 31 / 32), (9, 1 - 20 / 512), (12, 1 - 2 * 79 / 4096)])
def test_the_median_is_held_as_often_as_a_coin_says(seeds, held):
    """In 20,000 experiments with a skewed truth, whose median is the logarithm of 2; they know the share to .001."""
    low, high = interval(stream(seeds, "median").exponential(size=(20_000, seeds)), "bits")
    assert ((low <= log(2)) & (log(2) <= high)).mean() == pytest.approx(held, abs=0.005)


# ---- of both


def test_a_difference_by_hand():
    """Each side has an interval of 97.5 %, of which one eightieth is beyond either end."""
    part = 1 - 0.0125 ** (1 / 10)  # the high end of ten zeros
    (low,), (high,) = difference(np.zeros((1, 10)), np.ones((1, 10)))
    assert (low, high) == pytest.approx((-1, 2 * part - 1), abs=1e-6)
    (low,), (high,) = difference(np.arange(7.0)[None], np.arange(100.0, 900, 100)[None], "bits")
    assert (low, high) == (0 - 800, 6 - 100)
    assert all(np.isnan(difference(np.ones((1, 6)), np.ones((1, 9)), "bits")))  # 6 are too few for 97.5 %
    three = difference(np.zeros((1, 3)), np.ones((1, 3)))
    assert three[0] < 0 < three[1]  # nor do three seeds of each tell the most different apart


@pytest.mark.parametrize("unit", ["share", "bits"])
def test_one_seed_has_none_and_no_cell_has_no_intervals(unit):
    assert np.isnan(interval(np.ones((2, 1)), unit)).all()
    assert np.isnan(difference(np.ones((1, 1)), np.ones((1, 9)), unit)).all()
    assert np.isnan(difference(np.ones((1, 9)), np.ones((1, 1)), unit)).all()
    assert [len(end) for end in interval(np.ones((0, 3)), unit)] == [0, 0]


def test_many_cells_have_each_its_own():
    rows = stream(4, "cells").random((50, 7))
    for unit in ("share", "tokens"):
        low, high = interval(rows, unit)
        assert [(low[cell], high[cell]) for cell in range(50)] == [ends(*row, unit=unit) for row in rows]


def test_seeds_at_one_are_counted_where_each_is_all_or_nothing():
    rows = [[0, 0, 1], [0.05, 0.02, 0.95], [0.051, 0, 1], [0, 0.949, 1], [1, 1, 1], [0, 0.01, 0.05], [0, 0.5, 1]]
    assert at_one(np.array(rows)).tolist() == [1, 1, -1, -1, 3, 0, -1]
    assert at_one(np.array([[0.99]])).tolist() == [1]


@pytest.mark.slow
def test_intervals_hold_the_truth_in_every_shape_at_every_number_of_seeds():
    """As benchmarks/intervals.py simulates it, by 300 experiments each, which know a share of .95 to .013; the least of
    all that the lab offers was .943. What others use holds it once in twelve times where most seeds are nothing.
    """
    found = simulated.table(300)
    ours = found["kind"].isin([*simulated.KINDS][:2])
    offered = found[ours & found["coverage"].notna()]
    assert (offered["coverage"] >= simulated.LEAST).all(), offered.nsmallest(5, "coverage")
    assert found[~ours].groupby("kind")["coverage"].min().max() < 0.3
    least = offered.groupby("kind")["seeds"].min()
    assert least.to_dict() == {"mean of shares": 2, "median of other numbers": 6}
    assert offered.groupby(["kind", "seeds"]).size().unique().tolist() == [len(found.groupby(["shape", "way"]))]
