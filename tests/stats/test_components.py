"""Components of variance: by hand, by symmetry, and against numbers drawn with components that are known."""

from math import isnan

import numpy as np
import pytest

from alchemy.stats.components import components

HAND = np.array([[1.0, 4.0], [3.0, 2.0], [8.0, 12.0]])


def test_components_by_hand():
    """Means: of worlds 2.5, 2.5, 10, of seeds 4, 6, of all 5. What is left of each world is -.5, .5 and 1.5, -1.5
    and -1, 1, with squares 2 (.25 + 2.25 + 1) = 7, over (3 - 1)(2 - 1) = 2: the rest is 3.5. The variance of means is
    (6.25 + 6.25 + 25) / 2 = 18.75 of worlds, of which 3.5 / 2 is the rest: 17; and 2 of seeds, of which 3.5 / 3 is the
    rest: 5/6. The sum is 21 1/3.
    """
    found = components(HAND)
    assert found.variance == pytest.approx({"worlds": 17, "seeds": 5 / 6, "rest": 3.5})
    assert found.share == pytest.approx({"worlds": 51 / 64, "seeds": 2.5 / 64, "rest": 10.5 / 64})
    assert found.negative == ()
    assert str(found) == "worlds 80%, seeds 4%, rest 16% of the variance"


def test_what_is_only_rest_has_estimates_below_zero_and_says_so():
    """Diagonal: means all agree, so that both estimates are less than 0 by their part of the rest."""
    found = components(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert found.variance == {"worlds": 0, "seeds": 0, "rest": 4}
    assert found.share == {"worlds": 0, "seeds": 0, "rest": 1}
    assert found.negative == ("worlds", "seeds")
    assert str(found) == "worlds 0%, seeds 0%, rest 100% of the variance (estimated below 0: worlds, seeds)"


def test_nothing_varies():
    found = components(np.full((3, 4), 0.5))
    assert found.variance == {"worlds": 0, "seeds": 0, "rest": 0}
    assert all(map(isnan, found.share.values()))


def test_worlds_and_seeds_change_places_and_order_and_mean_do_not_count():
    found, turned = components(HAND), components(HAND.T)
    assert (turned.variance["worlds"], turned.variance["seeds"]) == pytest.approx(
        (found.variance["seeds"], found.variance["worlds"])
    )
    assert components(10 + 2 * HAND[[2, 0, 1]]).variance == pytest.approx(
        {name: 4 * its for name, its in found.variance.items()}
    )


@pytest.mark.parametrize("values", [np.zeros((1, 3)), np.zeros((3, 1)), np.zeros(4), np.array([[1, 2], [3, np.nan]])])
def test_too_few_values_are_refused(values):
    with pytest.raises(ValueError, match="two or more worlds and seeds"):
        components(values)


@pytest.mark.slow
def test_components_of_drawn_numbers_are_those_they_were_drawn_with():
    """Of 20,000 layouts of 4 worlds and 5 seeds. Estimates have no bias before those below 0 are cut; so worlds that
    hardly differ are told from layouts of 60 and 50, where none is cut.
    """
    rng = np.random.default_rng(0)

    def drawn(worlds, seeds, sizes):
        one, other, rest = sizes
        effects = one * rng.standard_normal((worlds, 1)) + other * rng.standard_normal((1, seeds))
        return effects + rest * rng.standard_normal((worlds, seeds))

    some = [components(drawn(4, 5, (2.0, 1.0, 0.3))).variance for _ in range(20_000)]
    means = {name: np.mean([its[name] for its in some]) for name in ("worlds", "seeds", "rest")}
    assert means == pytest.approx({"worlds": 4.0, "seeds": 1.0, "rest": 0.09}, rel=0.04)
    many = [components(drawn(60, 50, (0.5, 1.0, 1.0))).variance for _ in range(500)]
    means = {name: np.mean([its[name] for its in many]) for name in ("worlds", "seeds", "rest")}
    assert means == pytest.approx({"worlds": 0.25, "seeds": 1.0, "rest": 1.0}, rel=0.04)
