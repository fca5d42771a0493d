"""Means of a seed's rows, and their errors, by hand."""

import numpy as np
import pytest

from alchemy.data.seeds import stream
from alchemy.stats.rows import mean, row_error, share


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


def test_the_error_of_rows_that_agree_is_that_of_half_a_row_more():
    """As if half of 9 + 1 rows had been otherwise, a share of .05: its error is the root of .05 times .95 over 11."""
    assert row_error(np.ones(9)) == row_error(np.zeros(9, dtype=bool)) == pytest.approx((0.05 * 0.95 / 11) ** 0.5)
    assert row_error(np.array([0, 1] * 8)) == pytest.approx(0.5 / 4)
