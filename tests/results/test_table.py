"""The table of cells: each has all its seeds, and an interval of the kind that its unit has."""

import math

import numpy as np
import pandas as pd
import pytest

from alchemy.results.query import select
from alchemy.results.records import UNITS, Record
from alchemy.results.table import bracket, from_records, missing, seed_values, summarise
from alchemy.stats.intervals import interval

AT = {"axis": "task", "kind": "-", "domain": "-", "level": 1, "setting": "F2F2"}


def table(*cells, part="full"):
    """A table of cells, each a metric, its unit and its values by seed."""
    return from_records(
        Record(metric, value, 0.05, 80, AT | {"seed": seed, "part": part}, unit)
        for metric, unit, values in cells
        for seed, value in values.items()
    )


ALL_OR_NOTHING, BETWEEN = (0.0, 1.0, 0.97, 0.02), (0.9, 0.1, 0.4, 0.6)
CELLS = [  # of every unit, in turn, so that rows of one cell do not stand together with their like
    ("a", "share", dict(enumerate(ALL_OR_NOTHING))),
    ("b", "bits", dict(zip((3, 9, 4, 1, 2, 7), (5.0, -1.0, 8.0, 2.0, 3.0, 4.0), strict=True))),
    ("c", "share", {5: 0.25}),
    ("d", "share", dict(zip((7, 0, 2, 1), BETWEEN, strict=True))),
    ("e", "nats", dict(enumerate((1.0, 3.0, 2.0)))),
    ("f", "ratio", dict(enumerate(range(9)))),
    ("g", "count", {0: 3.0}),
]


def test_every_seed_that_was_run_is_in_its_cell():
    found = summarise(table(*CELLS).sample(frac=1, random_state=0)).set_index("metric")
    for metric, unit, values in CELLS:
        cell = found.loc[metric]
        assert seed_values(cell["by_seed"]) == values
        assert (cell["seeds"], cell["count"], cell["unit"]) == (len(values), 80 * len(values), unit)
        assert (cell["lowest"], cell["highest"]) == (min(values.values()), max(values.values()))
        assert cell["mean"] == pytest.approx(np.mean([*values.values()]))


def test_a_share_has_an_interval_of_its_mean_and_any_other_unit_of_its_median():
    assert {unit for _, unit, _ in CELLS} < {*UNITS}
    found = summarise(table(*CELLS)).set_index("metric")
    for name, values in (("a", ALL_OR_NOTHING), ("d", BETWEEN)):
        (low,), (high,) = interval(np.array([values]))
        assert (found.loc[name, "low"], found.loc[name, "high"]) == (pytest.approx(low), pytest.approx(high))
    assert tuple(found.loc["b", ["low", "high"]]) == (-1, 8)  # of six seeds the lowest and the highest
    assert tuple(found.loc["f", ["low", "high"]]) == (1, 7)  # of nine the second on either side
    assert found.loc[["c", "e", "g"], ["low", "high"]].isna().all(axis=None)


def test_seeds_at_one_are_counted_of_shares_that_are_all_or_nothing():
    found = summarise(table(*CELLS)).set_index("metric")["at_one"]
    assert found["a"] == 2
    assert found.drop("a").isna().all()
    assert str(found.dtype) == "Int64"
    alone = summarise(table(("one", "share", {0: 1.0}), ("none", "share", {0: 0.0, 1: 0.01}))).set_index("metric")
    assert alone["at_one"].to_dict() == {"one": 1, "none": 0}


def test_a_seed_without_a_number_was_not_measured():
    found = summarise(table(("a", "share", {0: 0.5, 1: math.nan, 2: 0.25}), ("b", "bits", {0: math.nan})))
    assert found["by_seed"].tolist() == ["0=0.5 2=0.25"]
    assert found["seeds"].tolist() == [2]


def test_a_seed_that_does_not_name_a_composition_has_a_zero_in_its_cell():
    named = table(("F1", "share", {0: 0.5}), ("F2", "share", {0: 0.25, 1: 1.0}), part="executed")
    found = summarise(named).set_index("metric")["by_seed"]
    assert {name: seed_values(text) for name, text in found.items()} == {
        "F1": {0: 0.5, 1: 0.0},
        "F2": {0: 0.25, 1: 1.0},
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (ALL_OR_NOTHING, "2 of 4 seeds"),
        ((0.0, 0.0, 0.0), "0 of 3 seeds"),
        ((0.5, 0.5), "[0.08, 0.92]"),  # a half of .025 ** .5
        ((1.0,), ""),
        ((0.4,), ""),
    ],
)
def test_what_seeds_tell_of_others_in_words(values, words):
    (cell,) = summarise(table(("a", "share", dict(enumerate(values))))).to_dict("records")
    assert bracket(cell) == words
    (again,) = pd.DataFrame([cell]).astype({"at_one": float}).to_dict("records")  # as it is read from a file
    assert bracket(again) == words


def test_an_interval_is_written_in_its_form_and_nothing_where_there_is_none():
    assert bracket({"at_one": pd.NA, "seeds": 7, "low": -1.5, "high": 2.25}, "+.1f") == "[-1.5, +2.2]"
    assert bracket({"at_one": math.nan, "seeds": 3, "low": math.nan, "high": math.nan}) == ""
    assert [missing(value) for value in (pd.NA, math.nan, None, 0, 0.0)] == [True, True, True, False, False]
    assert seed_values("") == {}
    assert seed_values("0=1e-05 12=-3.5") == {0: 1e-05, 12: -3.5}


def test_seeds_can_be_asked_for_in_the_file(tmp_path):
    """Those at one are a number, and empty where seeds are not all or nothing; what each seed has stays a text."""
    summarise(table(*CELLS)).to_csv(tmp_path / "cells.csv", index=False)
    for where, holds in (
        ("at_one < seeds", ["a"]),
        ("at_one is null and seeds = 1", ["c", "g"]),
        ("by_seed like '% 9=-1 %'", ["b"]),
        ("by_seed = '0=3'", ["g"]),
        ("low < 0 and high > 5", ["b"]),
        ("low is null", ["c", "e", "g"]),
    ):
        assert select(tmp_path, where)["metric"].tolist() == holds
    found = select(tmp_path, "true")
    assert found["by_seed"].tolist() == summarise(table(*CELLS))["by_seed"].tolist()
    assert found["at_one"].dropna().tolist() == [2]
