"""What reasoning training costs: made-up runs whose truth is known; interpolation, tests and verdicts by hand."""

from dataclasses import asdict
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy import stats

from alchemy import tax, verdicts
from alchemy.contrast import Contrast, contrast, holm, verdict
from alchemy.predictions import design, design_of, settings_of
from alchemy.seeds import stream
from tests.conftest import ROOT
from tests.made import tax_records

LISTS = [ROOT / "conf" / "predictions" / f"{name}.yaml" for name in ("reasoning_tax", "reasoning_tax_full")]
NAMED: Any = OmegaConf.to_container(OmegaConf.merge(*map(OmegaConf.load, LISTS)))
del NAMED["defaults"]
SETTINGS: Any = {"predictions": [*NAMED.values()], "match_opening": 0.5, "match_kl": 0.5}
PLAN = design(SETTINGS | {"match_opening": 0.5, "match_kl": 0.5})
ALL = ("gold", "direct", "self", "foreign", "rlvr", "gold_rlvr", "random", "unrelated")


def table(seeds=3, **made):
    """The tidy table of made-up records."""
    found = [one for seed in range(seeds) for one in tax_records(seed, **made)]
    return pd.DataFrame([{**asdict(one), **one.at} for one in found])


def judged(seeds=3, plan=PLAN, more=(), **made):
    """The verdicts by name."""
    whole = pd.concat([table(seeds, **made), *more])
    return verdicts.verdicts(tax.tax_of(whole, plan)).set_index("name")


def test_a_crossing_is_on_the_line_between_two_steps():
    x, y = np.array([0.1, 0.3, 0.5, 0.2, 0.6]), np.array([6.0, 5.0, 4.0, 1.0, 0.0])
    assert tax.crossed(x, y, 0.4) == pytest.approx(4.5)
    assert tax.crossed(x, y, 0.3) == pytest.approx(5.0)
    assert tax.crossed(x, y, 0.35) == pytest.approx(4.75)  # the first time, not that between .2 and .6
    assert tax.crossed(x, y, 0.05) == 6.0  # there from the start
    assert isnan(tax.crossed(x, y, 0.7))
    assert isnan(tax.crossed(np.array([]), np.array([]), 0.7))


def test_a_step_at_which_one_was_not_measured_is_stepped_over():
    run = tax.Run(np.arange(3.0), {"a.x": np.array([0.0, 0.4, 1.0]), "a.y": np.array([0.0, nan, 10.0])})
    assert run.at("a.y", "a.x", 0.5) == pytest.approx(5.0)
    assert isnan(run.at("a.z", "a.x", 0.5))


def test_a_contrast_is_student_s_t():
    values = np.array([0.31, 0.12, 0.40, 0.22])
    found = contrast(values, 0.1)
    ours = stats.ttest_1samp(values, 0)
    assert (found.p, found.estimate, found.seeds) == (pytest.approx(ours.pvalue), pytest.approx(0.2625), 4)
    assert (found.low, found.high) == pytest.approx(tuple(ours.confidence_interval(0.95)))
    low = stats.ttest_1samp(values, -0.1, alternative="greater").pvalue
    high = stats.ttest_1samp(values, 0.1, alternative="less").pvalue
    assert found.equivalence == pytest.approx(max(low, high))


def test_equivalence_by_hand():
    """Mean 0, deviation .02, three seeds: t = .1 / (.02 / sqrt 3) = 8.66 on two degrees of freedom, where
    P(T > t) = (1 - t / sqrt(t² + 2)) / 2.
    """
    t = 0.1 / (0.02 / 3**0.5)
    assert contrast(np.array([-0.02, 0.0, 0.02]), 0.1).equivalence == pytest.approx((1 - t / (t**2 + 2) ** 0.5) / 2)


def test_few_or_equal_seeds():
    assert contrast(np.array([]), 0.1).seeds == 0
    one = contrast(np.array([0.4, nan]), 0.1)
    assert (one.estimate, one.seeds) == (0.4, 1)
    assert all(map(isnan, (one.low, one.high, one.p, one.equivalence)))
    same = contrast(np.array([0.1, 0.1, 0.1]) + 0.2, 0.1)
    assert (same.p, same.equivalence, same.low) == (0.0, 1.0, same.high)
    none = contrast(np.array([1e-17, -2e-17, 0.0]) + 0.0, 0.1)
    assert none.equivalence == pytest.approx(0.0, abs=1e-12)
    assert contrast(np.zeros(3), 0.1).p == 1.0


def test_holm_by_hand():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "not measured": nan})
    assert [adjusted[name] for name in "abc"] == pytest.approx([0.03, 0.06, 0.06])
    assert isnan(adjusted["not measured"])
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("estimate", "p", "equivalence", "direction", "said"),
    [
        (0.3, 0.01, 0.9, "above", "supported"),
        (-0.3, 0.01, 0.9, "above", "refuted"),
        (-0.3, 0.01, 0.9, "below", "supported"),
        (0.3, 0.06, 0.9, "above", "undecided"),
        (0.0, 0.99, 0.04, "above", "equivalent to zero"),
        (0.02, 0.01, 0.04, "above", "equivalent to zero"),  # certain, and too small to matter
        (-0.02, 0.01, 0.04, "above", "equivalent to zero"),
        (0.02, 0.01, 0.04, "none", "supported"),
        (0.3, 0.01, 0.9, "none", "refuted"),
        (0.09, 0.01, 0.4, "none", "undecided"),  # a difference, which may be smaller than what matters
        (0.3, 0.2, 0.9, "none", "undecided"),
        (-0.3, 0.01, 0.9, "none", "refuted"),
        (-0.3, 0.01, 0.9, "not above", "undecided"),
        (0.3, 0.01, 0.9, "not above", "refuted"),
        (0.02, 0.01, 0.04, "not above", "supported"),
        (0.3, nan, nan, "above", "undecided"),
    ],
)
def test_verdicts_by_rule(estimate, p, equivalence, direction, said):
    assert verdict(Contrast(estimate, nan, nan, p, equivalence, 3), p, direction, 0.1, equivalence) == said


def test_a_null_is_seldom_taken_for_an_effect():
    """Of 4,000 nulls of 3 seeds: one-sided predictions supported in 2.5 %, refuted in as many; where the truth is a
    difference as large as the sesoi, no difference is supported in 5 % at most.
    """
    rng = stream(0, "nulls")
    nulls = rng.standard_normal((4000, 3))

    def share(moved, direction, sesoi, said):
        found = [contrast(row + moved, sesoi) for row in nulls]
        return np.mean([verdict(one, one.p, direction, sesoi, one.equivalence) == said for one in found])

    assert 0.018 < share(0.0, "above", 0.5, "supported") < 0.032
    assert 0.018 < share(0.0, "above", 0.5, "refuted") < 0.032
    assert share(2.0, "none", 2.0, "supported") < 0.055
    assert share(0.0, "none", 0.5, "refuted") < 0.055


def test_a_family_of_nulls_supports_one_in_twenty_at_most():
    rng = stream(1, "nulls")
    wrong = 0
    for family in rng.standard_normal((1000, 10, 4)):
        found = {str(number): contrast(row, 0.3) for number, row in enumerate(family)}
        adjusted = holm({name: its.p for name, its in found.items()})
        wrong += any(
            verdict(its, adjusted[name], "above", 0.3, its.equivalence) in ("supported", "refuted")
            for name, its in found.items()
        )
    assert 0.03 < wrong / 1000 < 0.065


def test_the_made_truth_is_found():
    found = judged(4, arms=ALL, more=[table(4, arms=("gold",), load=0.02)])
    said = found["verdict"].to_dict()
    assert found.loc["RL forgets less", "estimate"] == pytest.approx(0.3, abs=0.06)
    assert said["RL forgets less"] == "supported"
    for arm in ("gold", "rlvr"):
        assert found.loc[f"lower half stores ({arm})", "estimate"] == pytest.approx(0.92 - 0.14, abs=0.05)
        assert found.loc[f"more than any half ({arm})", "estimate"] == pytest.approx(
            0.92 - (0.19 + 0.38 + 0.5) / 3, abs=0.05
        )
        assert found.loc[f"more than half the update ({arm})", "estimate"] == pytest.approx(0.92 - 0.72, abs=0.05)
        assert said[f"lower half stores ({arm})"] == "supported"
    assert said["loss is latent"] == "supported"
    assert said["chains cost more than answers"] == "refuted"  # answers lose 4 bits a nat, chains .7
    assert said["reasoning itself costs"] == "equivalent to zero"  # random reward loses .7 a nat as well
    assert said["unloaded models keep all"] == "supported"
    assert said["tail goes first"] == "not measured"
    assert "seen equally often" in found.loc["tail goes first", "sentence"]
    assert found.loc["threshold p*", "estimate"] == pytest.approx(0.12 - 1 / 8.5, abs=0.01)
    assert said["threshold p*"] == "supported"
    assert found.loc["SFT lowers InfoGain", "estimate"] == pytest.approx(-(0.5 - 0.05), abs=0.05)
    assert found.loc["RLVR raises KI", "estimate"] == pytest.approx(0.1 * (0.5 - 0.05), abs=0.005)
    assert said["SFT lowers InfoGain"] == said["RLVR raises KI"] == "supported"
    assert found.loc["KL is all", "estimate"] > 0.005  # the foreign arm is off the curve
    changed = 0.3 * (1 - np.exp(-3 * (0.46 / 0.94) ** 1.5))  # twice as many weights, at the KL of an opening rate of .5
    assert found.loc["rewards change fewer weights", "estimate"] == pytest.approx(changed, abs=0.01)
    assert said["rewards change fewer weights"] == "supported"
    assert "arm one_shot was not run" in found.loc["one problem is enough", "sentence"]


@pytest.mark.parametrize(("bits", "said"), [(-0.3, "supported"), (0.0, "equivalent to zero"), (0.3, "refuted")])
def test_one_problem_is_judged_against_many(bits, said):
    found = judged(4, arms=("gold", "rlvr", "one_shot"), worse={"one_shot": bits}).loc["one problem is enough"]
    assert found["estimate"] == pytest.approx(-bits * 2 / 3, abs=0.06)  # as far as arms are at that KL
    assert found["verdict"] == said


def test_without_a_worse_arm_there_is_none():
    found = judged(5, arms=("gold", "self", "foreign", "rlvr"), worse={}, spread=0.01)
    assert found.loc["RL forgets less", "verdict"] == "equivalent to zero"
    assert found.loc["KL is all", "verdict"] == "supported"
    assert abs(found.loc["KL is all", "estimate"]) < 0.01


def test_a_large_effect_of_the_arm_refutes_that_kl_is_all():
    found = judged(5, arms=("gold", "self", "foreign", "rlvr"), worse={"foreign": 1.5, "self": -0.6})
    assert found.loc["KL is all", "estimate"] > 0.05
    assert found.loc["KL is all", "verdict"] == "refuted"


def noisy(seed, arms, rng, slope=0.1):
    """Points of runs that lose .7 bits a nat, each by a factor of its own, which has nothing to do with its arm."""
    kl = np.linspace(0.1, 3, 10)
    return {
        (0.1, arm, "none", seed): tax.Run(
            np.arange(11.0),
            {
                "update.kl": np.concatenate([[0], kl]),
                "knowledge.bits": 5.5 - np.concatenate([[0], 0.7 * kl * (1 + slope * rng.standard_normal())]),
            },
        )
        for arm in arms
    }


def test_what_differs_from_run_to_run_is_no_effect_of_the_arm():
    """Of 100 studies of three seeds in which only KL matters, none finds that the arm adds to it."""
    arms = ["gold", "self", "foreign", "rlvr"]
    found = []
    for study in range(100):
        rng = stream(study, "studies")
        runs = {key: run for seed in range(3) for key, run in noisy(seed, arms, rng).items()}
        added = contrast(np.array([*verdicts.added_r2(tax.Tax(runs, PLAN), 0.1, arms).values()]), 0.05)
        found.append(verdict(added, added.p, "not above", 0.05, added.equivalence))
    assert "refuted" not in found
    assert found.count("supported") > 50


def test_the_sign_decides():
    assert judged(5, worse={"rlvr": 0.4}).loc["RL forgets less", "verdict"] == "refuted"


def test_one_seed_decides_nothing():
    found = judged(1, arms=ALL)
    assert set(found["verdict"]) == {"undecided", "not measured"}
    assert found["low"].isna().all()
    assert found.loc["RL forgets less", "verdict"] == "undecided"


def test_absent_arms_are_not_measured_and_said_so():
    found = judged(3, arms=("gold",))
    assert found.loc["RL forgets less", "verdict"] == "not measured"
    assert "arm foreign was not run" in found.loc["RL forgets less", "sentence"]
    assert "arm random was not run" in found.loc["reasoning itself costs", "sentence"]
    assert "at load 0.02" in found.loc["unloaded models keep all", "sentence"]
    assert found.loc["lower half stores (gold)", "verdict"] == "supported"
    assert isnan(found.loc["RL forgets less", "p_adjusted"])


def test_seeds_that_only_one_arm_has_are_left_out():
    found = judged(3, arms=("gold", "foreign"), more=[table(2, arms=("rlvr",))])
    assert found.loc["RL forgets less", "seeds"] == 2


def test_an_arm_that_never_opens_says_how_far_it_came():
    whole = tax.compared(tax.tax_of(table(arms=("gold", "random")), PLAN)).set_index("arm")
    assert isnan(whole.loc["random", "lost_bits@opening"])
    assert whole.loc["random", "reason@opening"] == "its opening rate never reached 0.5: highest 0.04"
    assert (whole.loc["random", "seeds@opening"], whole.loc["random", "of@opening"]) == (0, 3)
    assert whole.loc["random", "seeds@kl"] == 3
    assert whole.loc["random", "kl@kl"] == pytest.approx(0.5)
    assert whole.loc["random", "lost_bits@kl"] == pytest.approx(0.35, abs=0.05)
    gold = whole.loc["gold"]
    assert gold["reason@opening"] == ""
    assert gold["lost_bits@opening_low"] < gold["lost_bits@opening"] < gold["lost_bits@opening_high"]


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
    row = tax.compared(tax.tax_of(frame, PLAN)).iloc[0]
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


def test_records_without_chains_leave_their_predictions_unmeasured():
    frame = table(3)
    found = verdicts.verdicts(tax.tax_of(frame[frame["part"] != "chain"], PLAN)).set_index("name")
    for name in ("SFT lowers InfoGain", "RLVR raises KI"):
        assert found.loc[name, "verdict"] == "not measured"
        assert "records are lacking" in found.loc[name, "sentence"]
    assert found.loc["RL forgets less", "verdict"] == "supported"


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
    asked = design(SETTINGS | {"base_bits": 0.7})
    found = tax.tax_of(whole, asked)
    assert {key[3] for key in found.runs} == {0, 2}
    assert found.left_out == (f"seed 1 at load {found.load:g} (its base has 62% of its bits)",)
    assert {key[3] for key in tax.tax_of(whole, PLAN).runs} == {0, 1, 2}
    assert tax.tax_of(whole, design(SETTINGS | {"base_bits": 0.6})).left_out == ()
    with pytest.raises(ValueError, match=r"no base has base\.bits=0\.9 .62% of its bits.* base=null"):
        tax.tax_of(whole, design(SETTINGS | {"base_bits": 0.9}))
    with pytest.raises(ValueError, match=r"base\.slow=1 must be a share"):
        design(SETTINGS | {"base_slow": 1.0})


def test_a_base_that_is_past_the_match_is_not_compared_there():
    plan = design(SETTINGS | {"match_opening": 0.01})
    found = judged(2, plan=plan).loc["RL forgets less"]
    assert found["verdict"] == "not measured"
    assert "before training, past 0.01" in found["sentence"]


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
        assert run.last("threshold.p_star") == pytest.approx(own + 0.2 * (arm == "deep"))


@pytest.mark.parametrize(("load", "said"), [(0.0213, "supported"), (0.03, "not measured")])
def test_a_load_near_enough_is_the_one_that_is_meant(load, said):
    found = judged(4, more=[table(4, arms=("gold",), load=load)])
    assert found.loc["unloaded models keep all", "verdict"] == said


def test_preservation_can_be_predicted_of():
    said = {"name": "freeze", "source": "-", "says": "-", "measure": "lost_bits", "arm": "gold/random"}
    plan = design({"predictions": [said | {"other": "gold/lower", "sesoi": 0.1}]})
    assert judged(4, plan, keeps=("none", "lower", "random")).loc["freeze", "verdict"] == "supported"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measure": "beauty"}, "measure is none of lost_bits"),
        ({"match": "accuracy"}, "match is none of opening, kl"),
        ({"direction": "up"}, "direction is none of above"),
        ({"sesoi": 0.0}, "sesoi must be above 0"),
        ({"arms": "gold"}, "no field arms"),
        ({"arm": ""}, "lacks arm"),
    ],
)
def test_a_mistaken_prediction_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        design({"predictions": [SETTINGS["predictions"][0] | change]})


def test_a_design_is_the_same_in_all_jobs():
    assert design_of([settings_of(PLAN)] * 2) == PLAN
    with pytest.raises(ValueError, match="different predictions"):
        design_of([settings_of(PLAN), settings_of(PLAN) | {"match_kl": 1.0}])
    with pytest.raises(ValueError, match="match_kl must be above 0"):
        design({"match_kl": 0})
    first = SETTINGS["predictions"][0]
    with pytest.raises(ValueError, match="one name"):
        design({"predictions": [first, first]})
    with pytest.raises(ValueError, match="more than one prediction is primary"):
        design({"predictions": [first, first | {"name": "another"}]})
    assert design({}).matches == {"opening": 0.5, "kl": 0.2}


def test_the_text_has_the_primary_prediction_first():
    lines = verdicts.text(verdicts.verdicts(tax.tax_of(table(4, arms=ALL), PLAN))).splitlines()
    assert lines[1].split()[:4] == ["RL", "forgets", "less", "supported"]
    assert len(lines) == 1 + len(PLAN.predictions)
