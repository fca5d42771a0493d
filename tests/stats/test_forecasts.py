"""Scores of forecasts, worked out by hand, and theories side by side."""

import math

import numpy as np
import pandas as pd
import pytest

from alchemy.stats.forecasts import brier, compared, log_score

COLUMNS = ["theory", "seed", "level", "probability", "outcome"]


@pytest.mark.parametrize(
    ("probability", "outcome", "squared"),
    [
        (1.0, 1.0, 0.0),
        (0.0, 1.0, 1.0),
        (0.7, 1.0, 0.09),
        (0.7, 0.0, 0.49),
        (0.5, 0.3, 0.25),  # a half is wrong by a half, whatever happens
        (0.8, 0.6, 0.6 * 0.04 + 0.4 * 0.64),
    ],
)
def test_brier_is_the_squared_distance_of_each_row_averaged(probability, outcome, squared):
    assert brier(probability, outcome) == pytest.approx(squared)


def test_the_brier_score_of_a_share_is_that_of_its_rows_one_by_one():
    rows = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 1.0])
    assert brier(0.35, rows.mean()) == pytest.approx(np.mean((0.35 - rows) ** 2))
    assert log_score(0.35, rows.mean()) == pytest.approx(np.mean(np.log(np.where(rows == 1, 0.35, 0.65))))


@pytest.mark.parametrize(
    ("probability", "outcome", "log"),
    [
        (0.5, 1.0, -math.log(2)),
        (0.25, 0.0, math.log(0.75)),
        (0.8, 0.6, 0.6 * math.log(0.8) + 0.4 * math.log(0.2)),
        (0.0, 1.0, math.log(0.001)),  # clipped
        (0.0, 0.0, math.log(0.999)),
        (1.0, 0.0, math.log(0.001)),
        (0.0005, 1.0, math.log(0.001)),
    ],
)
def test_the_log_score_is_that_of_what_happened(probability, outcome, log):
    assert log_score(probability, outcome) == pytest.approx(log)


def test_both_scores_are_best_at_the_true_share():
    stated = np.linspace(0.01, 0.99, 99)
    for truth in (0.1, 0.5, 0.83):
        shares = np.full(99, truth)
        assert stated[brier(stated, shares).argmin()] == pytest.approx(truth)
        assert stated[log_score(stated, shares).argmax()] == pytest.approx(truth)


@pytest.mark.parametrize(("probability", "outcome"), [(1.2, 0.5), (-0.1, 0.5), (0.5, 2.0), (math.nan, 0.5)])
def test_what_is_no_probability_is_refused(probability, outcome):
    for score in (brier, log_score):
        with pytest.raises(ValueError, match="use 0 to 1"):
            score(probability, outcome)


def test_theories_are_compared_by_seed_on_the_cells_that_both_forecast():
    told = [
        ("replay", 0, 1, 0.5, 1.0),
        ("replay", 0, 2, 0.5, 0.0),
        ("replay", 1, 1, 0.5, 1.0),
        ("rules", 0, 1, 0.9, 1.0),  # better than replay in seed 0
        ("rules", 1, 1, 0.2, 1.0),  # and worse in seed 1
        ("rules", 2, 1, 0.9, 1.0),  # where replay says nothing
        ("guess", 0, 1, 0.5, 1.0),  # a tie with replay
    ]
    found = compared(pd.DataFrame(told, columns=COLUMNS))
    means = found.means.set_index("theory")
    assert means["cells"].to_dict() == {"replay": 3, "rules": 3, "guess": 1}
    assert means["seeds"].to_dict() == {"replay": 2, "rules": 3, "guess": 1}
    assert means.loc["rules", "brier"] == pytest.approx((0.01 + 0.64 + 0.01) / 3)
    assert means.loc["replay", "log_score"] == pytest.approx(math.log(0.5))
    seeds = found.seeds.set_index(["theory", "seed"])["log_score"]
    assert seeds["rules", 1] == pytest.approx(math.log(0.2))
    pairs = found.pairs.set_index(["first", "second"])
    assert pairs.loc[("replay", "rules"), ["prefer_first", "prefer_second", "seeds"]].tolist() == [1, 1, 2]
    assert pairs.loc[("replay", "guess"), ["prefer_first", "prefer_second", "seeds"]].tolist() == [0, 0, 1]
    assert pairs.loc[("replay", "rules"), "difference"] == pytest.approx(
        (math.log(0.5 / 0.9) + math.log(0.5 / 0.2)) / 2
    )
    assert pairs.loc[("rules", "guess"), ["prefer_first", "seeds"]].tolist() == [1, 1]


def test_seeds_are_the_unit_however_many_cells_they_have():
    told = [("one", 0, level, 0.0, 0.0) for level in range(9)] + [("one", 1, 0, 0.0, 1.0)]
    assert compared(pd.DataFrame(told, columns=COLUMNS)).means["brier"].tolist() == [0.5]


def test_a_cell_that_a_theory_forecasts_twice_is_refused_and_a_lacking_column_named():
    told = [("one", 0, 1, 0.5, 1.0), ("one", 0, 1, 0.6, 1.0)]
    with pytest.raises(ValueError, match="one forecasts one cell twice"):
        compared(pd.DataFrame(told, columns=COLUMNS))
    with pytest.raises(ValueError, match="lacks the column seed"):
        compared(pd.DataFrame(told, columns=COLUMNS).drop(columns="seed"))
