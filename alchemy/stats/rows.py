"""Means of a seed's rows, with their standard errors."""

import numpy as np
from numpy.typing import NDArray


def mean(rows: NDArray) -> tuple[float, float]:
    """The mean of a seed's rows (B,), in any unit, and its standard error; NaN and 0 if there are no rows."""
    if not len(rows):
        return np.nan, 0.0
    values = rows.astype(np.float64)
    return float(values.mean()), float(values.std()) / len(values) ** 0.5


def row_error(rows: NDArray) -> float:
    """The standard error of the mean of a seed's rows (B,), each from 0 to 1.

    Rows that all agree might have had exceptions, so the error is at least that of a share of half a row in B.
    """
    rare = 0.5 / (len(rows) + 1)
    least = (rare * (1 - rare) / (len(rows) + 2)) ** 0.5
    return max(mean(rows)[1], least)


def share(rows: NDArray) -> tuple[float, float]:
    """The share of a seed's rows (B,) that are true, and its standard error by `row_error`; NaN and 0 if there are no
    rows.

    >>> value, error = share(np.array([True, True, False, True]))
    >>> value, round(error, 3)
    (0.75, 0.217)
    """
    return mean(rows)[0], row_error(rows) if len(rows) else 0.0
