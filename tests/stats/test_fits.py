"""Fitted laws: known curves are found again and each seed's own, and noise is fitted by none."""

import numpy as np
import pytest

from alchemy.data.seeds import stream
from alchemy.stats.fits import LAWS, fit_law, fit_threshold, law_verdict

X = np.tile(np.linspace(0, 4, 9), 3)
SEEDS = np.repeat([0, 1, 2], 9)
TRUE = {"exponential": (0.8, 0.5), "Gaussian": (1.5, 0.1), "logistic": (3.0, 1.2)}


@pytest.mark.parametrize("name", LAWS)
def test_a_law_finds_its_own_parameters(name):
    y = LAWS[name][0](X, *TRUE[name]) + 0.01 * stream(1, name).standard_normal(len(X))
    law = fit_law(name, X, y, SEEDS)
    assert law.parameters == pytest.approx(TRUE[name], rel=0.1)
    assert law.explained > 0.99
    assert all(low <= value <= high for low, value, high in zip(law.lowest, law.parameters, law.highest, strict=True))
    assert str(law) == law_verdict([law])


def test_noise_is_fitted_by_none():
    y = stream(2, "noise").random(len(X))
    laws = [fit_law(name, X, y, SEEDS) for name in LAWS]
    assert law_verdict(sorted(laws, key=lambda law: -law.explained)).startswith("No law fits")
    assert law_verdict([]) == "No law could be fitted."


def test_the_lowest_and_the_highest_are_those_of_single_seeds():
    apart = fit_law("exponential", X, np.exp(-np.repeat([0.5, 0.8, 1.6], 9) * X), SEEDS)
    assert (apart.lowest[0], apart.highest[0]) == pytest.approx((0.5, 1.6), rel=1e-3)
    alone = fit_law("exponential", X[:9], np.exp(-0.8 * X[:9]), SEEDS[:9])
    assert np.isnan([*alone.lowest, *alone.highest]).all()
    assert str(alone).startswith("exponential: kappa = 0.8, tau = ")


def test_a_threshold_is_where_half_is_right():
    rise = 1 / (1 + np.exp(-4 * (X - 2.3)))
    assert fit_threshold(X, rise, SEEDS).parameters[1] == pytest.approx(2.3, abs=0.01)
    for never in (0.4 * rise, 1 - rise, 0.6 + 0.4 * rise, stream(3, "noise").random(len(X)) * 0.2 + 0.4):
        assert fit_threshold(X, never, SEEDS) is None


def test_a_step_leaves_its_parameters_open():
    law = fit_law("exponential", X, (X == 0).astype(float), SEEDS)
    assert law.steep
    assert "not identified" in str(law)
    assert not fit_law("exponential", X, np.exp(-0.8 * X), SEEDS).steep
