"""Differences of two sweeps, cell by cell, by hand."""

import math

import numpy as np
import pytest

from alchemy.results.compare import differences
from alchemy.results.records import Record
from alchemy.results.table import from_records
from alchemy.stats.intervals import interval

AT = {"axis": "task", "kind": "-", "domain": "-", "level": 1, "setting": "F2F2"}
CELL = ("task", "-", "-", 1)


def table(**cells):
    """A table of cells by part_metric, each with its unit and its values by seed."""
    return from_records(
        Record(metric, value, 0.05, 80, AT | {"seed": seed, "part": part}, unit)
        for (part, _, metric), (unit, values) in ((name.partition("_"), its) for name, its in cells.items())
        for seed, value in enumerate(values)
    )


def test_differences_by_hand():
    """Of a share by the intervals of both means at 97.5 %, of bits by those of both medians, from seven seeds on."""
    old = table(full_right=("share", [0.0] * 9), full_bits=("bits", range(7)), full_more=("bits", range(6)))
    new = table(full_right=("share", [1.0] * 4), full_bits=("bits", range(10, 24, 2)), full_more=("bits", range(9)))
    moves = differences(old, new)
    part = 1 - 0.0125 ** (1 / 9), 1 - 0.0125 ** (1 / 4)  # the high end of nine zeros, and what four ones leave out
    assert moves[*CELL, "full", "right"] == pytest.approx((1.0, 1 - part[1] - part[0], 1.0), abs=1e-6)
    assert moves[*CELL, "full", "bits"] == (16 - 3, 10 - 6, 22 - 0)
    mean, *ends = moves[*CELL, "full", "more"]
    assert mean == 1.5
    assert all(map(math.isnan, ends))  # six are too few


def test_seeds_of_either_side_are_taken_as_others():
    values = [0.1, 0.5, 0.7]
    same = table(full_right=("share", values))
    (low,), (high,) = interval(np.array([values]), covered=0.975)
    assert differences(same, same)[*CELL, "full", "right"] == pytest.approx((0, low - high, high - low))


def test_a_seed_without_a_number_was_not_measured():
    old = table(full_right=("share", [0.2, math.nan, 0.4]), full_left=("share", [math.nan]), full_mid=("share", [1.0]))
    new = table(full_right=("share", [0.5]), full_left=("share", [0.5]), full_mid=("share", [math.nan]))
    ((cell, (mean, low, _)),) = differences(old, new).items()
    assert cell[-1] == "right"
    assert mean == pytest.approx(0.2)
    assert math.isnan(low)


def test_a_composition_that_nothing_executed_before_was_at_zero():
    old = table(executed_tie=("share", [0.1, 0.2]), executed_F1=("share", [0.9, 0.8]))
    new = table(executed_tie=("share", [0.1, 0.2]), executed_F9=("share", [0.5, 1.0]))
    moves = differences(old, new)
    assert moves[*CELL, "executed", "F9"][0] == 0.75
    (low,), (high,) = interval(np.array([[0.5, 1.0]]), covered=0.975)
    (none,), (some,) = interval(np.zeros((1, 2)), covered=0.975)
    assert moves[*CELL, "executed", "F9"][1:] == pytest.approx((low - some, high - none))
