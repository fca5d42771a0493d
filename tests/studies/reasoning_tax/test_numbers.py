"""Every number of the study as one table: where it stands, and that no seed is missing."""

import pandas as pd
import pytest

from alchemy.results.table import seed_values
from alchemy.studies.reasoning_tax import trajectories as tax
from alchemy.studies.reasoning_tax.numbers import COLUMNS, all_numbers
from tests.helpers.arms import PLAN, table

SEEDS = 6


@pytest.fixture(scope="module")
def found():
    return all_numbers(tax.tax_of(table(SEEDS, arms=("gold", "rlvr")), PLAN))


def one(found, **where):
    """The one row that is so."""
    for name, value in where.items():
        found = found[found[name] == value]
    assert len(found) == 1, found
    return found.iloc[0]


def test_every_row_has_every_seed_and_its_median_among_them(found):
    assert [*found.columns] == COLUMNS
    for row in found.to_dict("records"):
        values = seed_values(row["by_seed"])
        assert len(values) == row["seeds"] <= SEEDS
        assert min(values.values()) - 1e-5 <= row["estimate"] <= max(values.values()) + 1e-5
    assert not found.duplicated([name for name in COLUMNS if name not in ("estimate", "low", "high", "by_seed")]).any()


def test_a_base_has_its_numbers_once_and_an_arm_at_each_match_and_last(found):
    bits = {"part": "knowledge", "metric": "bits"}
    base, last = one(found, at="base", **bits), one(found, arm="gold", at="last", **bits)
    assert (base["arm"], base["seeds"], base["unit"]) == ("-", SEEDS, "bits")
    lost = one(found, arm="gold", at="last", part="derived", metric="lost_bits")
    before, after, gone = (seed_values(row["by_seed"]) for row in (base, last, lost))
    assert gone == pytest.approx({seed: before[seed] - after[seed] for seed in before}, abs=1e-4)
    opened = one(found, arm="gold", at="opening", part="derived", metric="lost_bits")
    table_of = tax.arms_compared(tax.tax_of(table(SEEDS, arms=("gold", "rlvr")), PLAN)).set_index("arm")
    assert opened["estimate"] == pytest.approx(table_of.loc["gold", "lost_bits@opening"])
    assert opened["by_seed"] == table_of.loc["gold", "lost_bits@opening_by_seed"]


def test_what_was_restored_is_there_by_portion(found):
    half = one(found, arm="rlvr", at="opening", part="restore", weights="lower", metric="bits")
    assert half["unit"] == "ratio"
    assert half["estimate"] == pytest.approx(0.92, abs=0.05)


def test_a_number_that_no_seed_has_has_no_row(found):
    assert found["estimate"].notna().all()
    short = all_numbers(tax.tax_of(table(2, arms=("gold", "random")), PLAN))
    never = short[(short["arm"] == "random") & (short["at"] == "opening")]
    assert never.empty
    assert isinstance(short, pd.DataFrame)
