"""Trajectories of fine-tuning: crossings by hand, the table of arms at matched gain, and which runs count."""

from math import isnan, nan

import numpy as np
import pandas as pd
import pytest

from alchemy.studies.reasoning_tax import trajectories as tax
from tests.helpers.arms import PLAN, SETTINGS, col, planned, table, trajectory


def test_a_crossing_is_on_the_line_between_two_steps():
    x, y = np.array([0.1, 0.3, 0.5, 0.2, 0.6]), np.array([6.0, 5.0, 4.0, 1.0, 0.0])
    assert tax.crossed(x, y, 0.4) == pytest.approx(4.5)
    assert tax.crossed(x, y, 0.3) == pytest.approx(5.0)
    assert tax.crossed(x, y, 0.35) == pytest.approx(4.75)  # the first time, not that between .2 and .6
    assert tax.crossed(x, y, 0.05) == 6.0  # there from the start
    assert isnan(tax.crossed(x, y, 0.7))
    assert isnan(tax.crossed(np.array([]), np.array([]), 0.7))


def test_a_step_at_which_one_was_not_measured_is_stepped_over():
    run = tax.Run(np.arange(3.0), {col("a.x"): np.array([0.0, 0.4, 1.0]), col("a.y"): np.array([0.0, nan, 10.0])})
    assert run.at(col("a.y"), col("a.x"), 0.5) == pytest.approx(5.0)
    assert isnan(run.at(col("a.z"), col("a.x"), 0.5))


def test_an_arm_that_never_opens_says_how_far_it_came():
    whole = tax.arms_compared(tax.tax_of(table(arms=("gold", "random")), PLAN)).set_index("arm")
    assert isnan(whole.loc["random", "lost_bits@opening"])
    assert whole.loc["random", "reason@opening"] == "its opening rate never reached 0.5: highest 0.04"
    assert (whole.loc["random", "seeds@opening"], whole.loc["random", "of@opening"]) == (0, 3)
    assert whole.loc["random", "seeds@kl"] == 3
    assert whole.loc["random", "kl@kl"] == pytest.approx(0.5)
    assert whole.loc["random", "lost_bits@kl"] == pytest.approx(0.35, abs=0.05)
    gold = whole.loc["gold"]
    assert gold["reason@opening"] == ""
    assert isnan(gold["lost_bits@opening_low"])  # of three seeds there is no interval
    assert whole.loc["random", "lost_bits@opening_by_seed"] == ""


def test_the_table_has_the_median_of_all_seeds_and_each_of_them():
    """Six seeds that lose .1, .3, .2, .9, .5 and .4 bits at a KL of .5, and one that does not get there."""
    lost = dict(zip((3, 0, 8, 4, 12, 5), (0.1, 0.3, 0.2, 0.9, 0.5, 0.4), strict=True))
    runs = {
        (0.1, "gold", "none", seed): trajectory(update__kl=(0, 0.5), knowledge__bits=(6, 6 - bits))
        for seed, bits in lost.items()
    }
    runs[0.1, "gold", "none", 6] = trajectory(update__kl=(0, 0.4), knowledge__bits=(6, 3))
    row = tax.arms_compared(tax.Tax(runs, PLAN)).iloc[0]
    ends = [row[f"lost_bits@kl{end}"] for end in ("", "_low", "_high")]
    assert ends == pytest.approx([0.35, 0.1, 0.9])
    assert row["lost_bits@kl_by_seed"] == "0=0.3 3=0.1 4=0.9 5=0.4 8=0.2 12=0.5"
    assert (row["seeds@kl"], row["of@kl"]) == (6, 7)
    assert row["reason@kl"] == "1 of 7 seeds: its KL never reached 0.5: highest 0.4"


def test_what_all_runs_of_a_seed_share_is_counted_once_a_seed():
    """The first run of each seed at the main load; of three seeds the middle one."""
    p_star = {("gold", 0): 0.1, ("rlvr", 0): 0.9, ("gold", 1): 0.3, ("rlvr", 2): 0.2}
    runs = {
        (0.1, arm, "none", seed): trajectory(threshold__p_star=(value, nan)) for (arm, seed), value in p_star.items()
    }
    found = tax.Tax(runs | {(0.02, "gold", "none", 3): trajectory(threshold__p_star=(5, nan))}, PLAN)
    shared = found.world(lambda run: run.last(col("threshold.p_star")))
    assert (shared.estimate, shared.seeds) == (0.2, 3)


def test_a_row_of_the_table_by_hand():
    """Two steps: opening .1 and .6, so .5 is four fifths of the way, in every column."""
    rows = []
    values = {"procedural.opening": (0.1, 0.6), "procedural.free": (0.0, 1.0), "knowledge.bits": (6.0, 5.0)}
    values |= {"knowledge.free": (0.8, 0.7), "update.kl": (0.0, 1.0), "knowledge.overthinking": (0.0, 0.05)}
    values |= {"update.changed": (0.0, 0.5)}
    values |= {"chain.infogain": (-9.0, 1.0), "chain.infogain_bounded": (2.5, 3.0), "chain.nats": (4.0, 3.0)}
    for column, ends in values.items():
        part, metric = column.split(".")
        for step, value in zip((0, 5), ends, strict=True):
            rows.append([0.1, "gold", "none", 0, step, part, metric, value])
    frame = pd.DataFrame(rows, columns=["load", "arm", "keep", "seed", "step", "part", "metric", "value"])
    row = tax.arms_compared(tax.tax_of(frame, PLAN)).iloc[0]
    named = {name: row[f"{name}@opening"] for name in tax.CHANGES}
    assert named["change_free"] == pytest.approx(0.8)
    assert named["lost_bits"] == pytest.approx(0.8)
    assert named["change_knowledge_free"] == pytest.approx(-0.08)
    assert named["overthinking"] == pytest.approx(0.04)
    assert named["kl"] == pytest.approx(0.8)
    assert named["changed"] == pytest.approx(0.4)
    assert named["change_infogain"] == pytest.approx(8.0)
    assert named["change_infogain_bounded"] == pytest.approx(0.4)
    assert named["change_nats"] == pytest.approx(-0.8)
    assert isnan(named["change_ki"])  # it was not measured
    assert isnan(named["norm"])
    assert row["lost_bits@kl"] == pytest.approx(0.5)
    assert isnan(row["lost_bits@opening_low"])


def test_a_number_measured_twice_differently_is_refused():
    frame = table(1)
    twice = pd.concat([frame, frame.assign(value=frame["value"] + 1)])
    with pytest.raises(ValueError, match="measured twice"):
        tax.tax_of(twice, PLAN)
    assert tax.tax_of(pd.concat([frame, frame]), PLAN).rows == tax.tax_of(frame, PLAN).rows


def test_a_seed_whose_base_lacks_what_is_asked_for_does_not_count():
    """By hand: capacity 8 bits, bases of 6 (seed 1: 5), so 75 and 62.5 %."""
    frame = table(3)
    frame = frame[~((frame["part"] == "threshold") & (frame["metric"] == "capacity"))]
    one = frame[(frame["part"] == "threshold") & (frame["metric"] == "p_star")].assign(metric="capacity", value=8.0)
    first = (frame["part"] == "knowledge") & (frame["metric"] == "bits") & (frame["step"] == 0)
    bits = frame["value"].where(~first, np.where(frame["seed"] == 1, 5.0, 6.0))
    whole = pd.concat([frame.assign(value=bits), one])
    asked = planned(**SETTINGS, base={"bits": 0.7})
    found = tax.tax_of(whole, asked)
    assert {key[3] for key in found.runs} == {0, 2}
    assert found.left_out == (f"seed 1 at load {found.load:g} (its base has 62% of its bits)",)
    assert {key[3] for key in tax.tax_of(whole, PLAN).runs} == {0, 1, 2}
    assert tax.tax_of(whole, planned(**SETTINGS, base={"bits": 0.6})).left_out == ()
    with pytest.raises(ValueError, match=r"no base has study\.base\.bits=0\.9 .62% of its bits.* study\.base=null"):
        tax.tax_of(whole, planned(**SETTINGS, base={"bits": 0.9}))
    with pytest.raises(ValueError, match=r"study\.base\.slow=1 must be a share"):
        planned(**SETTINGS, base={"slow": 1.0})


def test_arms_with_bases_of_their_own_have_a_threshold_each():
    frame = table(2)
    other = frame[frame["arm"] == "rlvr"].assign(arm="deep")
    at = (other["part"] == "threshold") & (other["metric"] == "p_star")
    moved = other.assign(value=other["value"].where(~at, other["value"] + 0.2))
    found = tax.tax_of(pd.concat([frame, moved]), PLAN)
    for (_, arm, _, seed), run in found.runs.items():
        own = frame[(frame["part"] == "threshold") & (frame["metric"] == "p_star") & (frame["seed"] == seed)][
            "value"
        ].iloc[0]
        assert run.last(col("threshold.p_star")) == pytest.approx(own + 0.2 * (arm == "deep"))
