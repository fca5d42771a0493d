"""What reasoning training costs: made-up runs whose truth is known; interpolation, tests and verdicts by hand."""

from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from alchemy.data.seeds import stream
from alchemy.stats.contrasts import Contrast, contrast, holm, verdict
from alchemy.studies.reasoning_tax import trajectories as tax
from alchemy.studies.reasoning_tax import verdicts
from alchemy.studies.reasoning_tax.design import design_of
from tests.helpers.arms import ALL, PLAN, SETTINGS, col, planned, table


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
    run = tax.Run(np.arange(3.0), {col("a.x"): np.array([0.0, 0.4, 1.0]), col("a.y"): np.array([0.0, nan, 10.0])})
    assert run.at(col("a.y"), col("a.x"), 0.5) == pytest.approx(5.0)
    assert isnan(run.at(col("a.z"), col("a.x"), 0.5))


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
                col("update.kl"): np.concatenate([[0], kl]),
                col("knowledge.bits"): 5.5 - np.concatenate([[0], 0.7 * kl * (1 + slope * rng.standard_normal())]),
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
    whole = tax.arms_compared(tax.tax_of(table(arms=("gold", "random")), PLAN)).set_index("arm")
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


def test_a_base_that_is_past_the_match_is_not_compared_there():
    plan = planned(**SETTINGS | {"match": {"opening": 0.01, "kl": 0.5}})
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
        assert run.last(col("threshold.p_star")) == pytest.approx(own + 0.2 * (arm == "deep"))


@pytest.mark.parametrize(("load", "said"), [(0.0213, "supported"), (0.03, "not measured")])
def test_a_load_near_enough_is_the_one_that_is_meant(load, said):
    found = judged(4, more=[table(4, arms=("gold",), load=load)])
    assert found.loc["unloaded models keep all", "verdict"] == said


def test_preservation_can_be_predicted_of():
    said = {"name": "freeze", "source": "-", "says": "-", "measure": "lost_bits", "arm": "gold/random"}
    plan = planned([said | {"other": "gold/lower", "sesoi": 0.1}])
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
        planned([SETTINGS["predictions"][0] | change])


def test_a_design_is_the_same_in_all_jobs():
    run = {"predictions": SETTINGS["predictions"], "study": {"match": SETTINGS["match"], "base": None}}
    assert design_of([run] * 2) == PLAN
    with pytest.raises(ValueError, match="different predictions"):
        design_of([run, run | {"study": {"match": {"opening": 0.5, "kl": 1.0}, "base": None}}])
    with pytest.raises(ValueError, match=r"study\.match\.kl=0\.0 must be above 0"):
        planned(match={"kl": 0.0})
    first = SETTINGS["predictions"][0]
    with pytest.raises(ValueError, match="one name"):
        planned([first, first])
    with pytest.raises(ValueError, match="more than one prediction is primary"):
        planned([first, first | {"name": "another"}])
    assert planned().matches == {"opening": 0.5, "kl": 0.2}


def test_the_text_has_the_primary_prediction_first():
    lines = verdicts.text(verdicts.verdicts(tax.tax_of(table(4, arms=ALL), PLAN))).splitlines()
    assert lines[1].split()[:4] == ["RL", "forgets", "less", "supported"]
    assert len(lines) == 1 + len(PLAN.predictions)


# ---- measures of runs, by hand


def trajectory(step=(0, 1), **values):
    """A run with these values of columns, part__metric."""
    return tax.Run(
        np.array(step, dtype=float),
        {col(name.replace("__", ".")): np.array(its, dtype=float) for name, its in values.items()},
    )


def of(**runs):
    """A study of one seed, of runs by arm."""
    return tax.Tax({(0.1, arm, "none", 0): run for arm, run in runs.items()}, PLAN)


def test_what_a_part_returns_by_hand():
    """The halves that were drawn return .1, .2 and .6, so .3 on average; what is not measured has none."""
    part = "restore@kl.bits:"
    values = {"lower": 0.9, "upper": 0.2, "halfway": 0.7, "random_0": 0.1, "random_1": 0.2, "random_2": 0.6}
    run = tax.Run(np.array([0.0, 4.0]), {col(part + name): np.array([nan, value]) for name, value in values.items()})
    assert verdicts.returned(run, "kl", "lower") == 0.9
    assert verdicts.returned(run, "kl", "random") == pytest.approx(0.3)
    assert isnan(verdicts.returned(run, "opening", "random"))
    said = {
        name: verdicts.VALUES[f"lower_less_{name}"](of(gold=run), run, "kl") for name in ("upper", "random", "halfway")
    }
    assert said == pytest.approx({"upper": 0.7, "random": 0.6, "halfway": 0.2})


def test_what_was_lost_is_split_by_hand():
    split = {"latent_bits": 0.3, "storage_bits": 0.1, "lost_bits": 0.4, "overthinking": 0.02}
    run = tax.Run(
        np.array([0.0, 4.0]), {col(f"split@kl.{name}"): np.array([nan, value]) for name, value in split.items()}
    )
    found = {
        name: verdicts.VALUES[name](of(gold=run), run, "kl")
        for name in ("latent_less_storage", "storage", "overthinking")
    }
    assert found == pytest.approx({"latent_less_storage": 0.5, "storage": 0.1, "overthinking": 0.02})
    values = dict(run.values)
    for lost, share in ((0.05, 0.2 / 0.05), (0.0499, nan)):  # of less than a twentieth of a bit, shares say nothing
        values[col("split@kl.lost_bits")] = np.array([nan, lost])
        told = verdicts.latent_less_storage(of(gold=run), tax.Run(run.step, values), "kl")
        assert told == pytest.approx(share, nan_ok=True)


def test_shares_kept_by_hand():
    """Half-way to a KL of .5: of 6 bits 5 are kept, and of 4 bits of rare facts 2."""
    run = trajectory(
        update__kl=(0, 1), knowledge__bits_head=(6, 4), knowledge__bits_tail=(4, 0), knowledge__bits=(0, 1)
    )
    assert verdicts.head_less_tail(of(gold=run), run, "kl") == pytest.approx(5 / 6 - 2 / 4)
    assert isnan(verdicts.kept(of(gold=run), run, "kl"))  # a base that knows nothing has nothing to keep
    assert isnan(verdicts.kept(of(gold=run), trajectory((1, 2), update__kl=(0, 1), knowledge__bits=(6, 4)), "kl"))


def test_the_opening_rate_at_which_chains_open_by_hand():
    run = trajectory((0, 1, 2), procedural__opens=(0.1, 0.4, 0.8), procedural__opening=(0.04, 0.1, 0.2))
    assert verdicts.onset(run) == pytest.approx(0.125)  # a quarter of the way from .4 to .8
    at = trajectory((0, 1, 2), threshold__p_star=(0.1, nan, nan), **{"procedural__opens": (0.1, 0.4, 0.8)})
    assert isnan(verdicts.threshold(of(gold=at), at, "kl"))
    at = tax.Run(run.step, {**run.values, **at.values})
    assert verdicts.threshold(of(gold=at), at, "kl") == pytest.approx(0.025)


def test_points_are_those_past_the_base_at_which_both_were_measured():
    run = trajectory((0, 1, 2, 3), update__kl=(0, 0.5, nan, 2), knowledge__bits=(6, 5.5, 5, 4))
    assert verdicts.points(run).tolist() == [[0.5, 0.5], [2.0, 2.0]]


KL = np.array([0.1, 0.4, 1.0, 3.0])
BENT = np.log1p(KL)


def around(*arms):
    lost = np.concatenate(arms)
    return ((lost - lost.mean()) ** 2).sum()


def test_how_much_is_explained_by_hand():
    """Curves fitted to one seed are held against another, whose points lie off them by .1, up and down."""
    up, down = 0.1 * np.array([1, -1, 1, -1]), 0.1 * np.array([-1, 1, -1, 1])
    alike = [np.column_stack([KL, BENT])] * 2
    assert verdicts.r2([alike], alike) == pytest.approx((1, 1))
    little = [np.column_stack([KL, BENT / 100])] * 2  # as well explained as much
    assert verdicts.r2([little], little) == pytest.approx((1, 1))
    off = [np.column_stack([KL, BENT + up]), np.column_stack([KL, BENT + down])]
    explained = 1 - 8 * 0.1**2 / around(BENT + up, BENT + down)
    assert verdicts.r2([alike, alike], off) == pytest.approx((explained, explained))


def test_an_arm_of_its_own_slope_is_explained_by_the_arm_alone():
    """One arm loses log(1 + KL), the other twice as much: one curve for both lies half a log from either."""
    apart = [np.column_stack([KL, BENT]), np.column_stack([KL, 2 * BENT])]
    alone, whole = verdicts.r2([apart], apart)
    assert whole == pytest.approx(1)
    assert alone == pytest.approx(1 - 2 * ((BENT / 2) ** 2).sum() / around(BENT, 2 * BENT))
    bend = [np.column_stack([KL, BENT]), np.column_stack([KL, BENT + BENT**2])]
    assert verdicts.r2([bend], bend)[1] == pytest.approx(1)
    assert verdicts.r2([bend], bend)[0] < 0.99
    cubic = [np.column_stack([KL, BENT**3])] * 2
    assert verdicts.r2([cubic], cubic) == pytest.approx((1, 1))
    level = [np.column_stack([KL, 0 * KL])] * 2
    assert all(map(isnan, verdicts.r2([apart], level)))  # nothing varies


def losing(slopes):
    """A study: bits lost are `slopes` (by arm and seed) times log(1 + KL)."""
    runs = {
        (0.1, arm, "none", seed): trajectory(
            range(5), update__kl=np.append(0, KL), knowledge__bits=6 - slope * np.append(0, BENT)
        )
        for (arm, seed), slope in slopes.items()
    }
    return tax.Tax(runs, PLAN)


def test_seeds_are_explained_by_the_others():
    """Both arms of seed 1 lose twice what those of seed 0 do: neither tells the other, and so little is explained."""
    study = losing({("a", 0): 1, ("b", 0): 1, ("a", 1): 2, ("b", 1): 2, ("a", 2): 3})
    found = verdicts.r2_by_seed(study, 0.1, ["a", "b", "c"])
    assert set(found) == {0, 1}  # seed 2 lacks an arm, and arm c was never run
    alone = [1 - 2 * (BENT**2).sum() / around(slope * BENT, slope * BENT) for slope in (1, 2)]
    assert [found[seed][0] for seed in (0, 1)] == pytest.approx(alone)
    assert verdicts.r2_by_seed(losing({("a", 0): 1, ("b", 0): 1}), 0.1, ["a", "b"])[0] == pytest.approx((1, 1))
    assert verdicts.r2_by_seed(study, 0.1, ["a"]) == verdicts.r2_by_seed(study, 0.2, ["a", "b"]) == {}
    added = verdicts.added_r2(losing({("a", 0): 1, ("b", 0): 2}), 0.1, ["a", "b"])
    assert added == pytest.approx({0: 2 * ((BENT / 2) ** 2).sum() / around(BENT, 2 * BENT)})
    assert verdicts.added_r2(losing({("a", 0): 0, ("b", 0): 0}), 0.1, ["a", "b"]) == {}


# ---- verdicts, word for word

SAID = {"name": "it", "source": "-", "says": "-", "measure": "lost_bits", "arm": "a", "other": "b", "sesoi": 0.1}


@pytest.mark.parametrize(
    ("change", "seeds", "words"),
    [
        (
            {},
            3,
            "a less b at opening 0.5: +0.300 [+0.100, +0.500] bits per fact lost, 3 seeds; adjusted p 0.02, "
            "equivalence p 0.9 for 0.1; predicted above 0: supported.",
        ),
        (
            {"other": "", "measure": "threshold", "direction": "none"},
            2,
            "a: +0.300 [+0.100, +0.500] opening rate less p*, 2 seeds; adjusted p 0.02, equivalence p 0.9 for 0.1; "
            "predicted no difference: supported.",
        ),
        ({"match": "kl"}, 1, "a less b at kl 0.5: +0.300 bits per fact lost; one seed has no interval, so undecided."),
        ({}, 0, "Not measured: arm a was not run at load 0.1."),
    ],
)
def test_a_sentence_by_hand(change, seeds, words):
    (one,) = planned([SAID | change]).predictions
    its = Contrast(0.3, 0.1, 0.5, 0.01, 0.8, seeds)
    assert verdicts.sentence(of(c=trajectory()), one, its, 0.02, 0.9, "supported") == words


def test_why_nothing_was_measured():
    (one,) = planned([SAID]).predictions
    short = trajectory(procedural__opening=(0.0, 0.3))
    far = trajectory(procedural__opening=(0.0, 0.9))
    assert verdicts.why(of(a=far), one) == "arm b was not run at load 0.1"
    assert verdicts.why(of(a=short, b=far), one) == "a: its opening rate never reached 0.5: highest 0.3"
    assert verdicts.why(of(a=far, b=far), one).startswith("its records are lacking")
    both = tax.Tax({(0.1, "a", "none", 0): short, (0.1, "a", "none", 1): far, (0.1, "b", "none", 0): far}, PLAN)
    assert verdicts.why(both, one).startswith("its records are lacking")  # one seed gets there


def test_only_secondary_predictions_are_adjusted_and_p_of_equivalence_where_none_is_predicted():
    """Three seeds with differences d - e, d, d + e: t = d sqrt(3) / e, and P(T > t) = (1 - t / sqrt(t² + 2)) / 2."""

    def p(t):
        return (1 - t / (t**2 + 2) ** 0.5) / 2

    lost = {"a": 0.3, "b": 0.2, "c": 0.02}  # bits at KL .5, in seed 1; .01 less in seed 0, and .01 more in seed 2
    runs = {
        (0.1, arm, "none", seed): trajectory(update__kl=(0, 0.5), knowledge__bits=(6, 6 - bits - 0.01 * (seed - 1)))
        for arm, bits in lost.items()
        for seed in range(3)
    }
    more = [{"name": "first", "arm": "a", "primary": True}, {"name": "second", "arm": "b"}]
    more += [
        {"name": "third", "arm": "c", "direction": "none"},
        {"name": "fourth", "arm": "c", "direction": "not above"},
    ]
    plan = planned([SAID | {"other": "", "match": "kl"} | one for one in more], match={"kl": 0.5})
    found = verdicts.verdicts(tax.Tax(runs, plan)).set_index("name")
    root = 3**0.5 / 0.01
    alone = [2 * p(lost[arm] * root) for arm in "abcc"]
    assert found["p"].to_list() == pytest.approx(alone)
    assert found["p_adjusted"].to_list() == pytest.approx([alone[0], 3 * alone[1], 2 * alone[2], 2 * alone[3]])
    equal = [p((0.1 - lost[arm]) * root) for arm in "abcc"]
    assert found["equivalence_p"].to_list() == pytest.approx([equal[0], equal[1], 2 * equal[2], 2 * equal[3]])
    assert found["verdict"].to_list() == ["supported", "supported", "supported", "supported"]
    assert found["role"].to_list() == ["primary", "secondary", "secondary", "secondary"]
    assert set(found["unit"]) == {"bits per fact lost"}
    assert set(found["sesoi"]) == {0.1}


def test_the_text_by_hand():
    columns = ["name", "role", "verdict", "estimate", "low", "high", "p_adjusted"]
    rows = [
        ["one seed", "secondary", "undecided", 0.2, nan, nan, nan],
        ["none", "secondary", "not measured", *[nan] * 4],
    ]
    rows += [["first", "primary", "supported", -0.3, -0.5, -0.1, 0.0123]]
    assert verdicts.text(pd.DataFrame(rows, columns=columns)).splitlines()[1:] == [
        "first                            supported            -0.300 [-0.500, -0.100]  p 0.012",
        "one seed                         undecided            +0.200",
        "none                             not measured",
    ]


# ---- contrasts at their edges


def test_a_verdict_at_the_edge_of_its_rules():
    """A p of exactly .05 is none below it; an estimate of exactly the sesoi is as large as it."""

    def said(estimate, p, equivalence, direction):
        return verdict(Contrast(estimate, nan, nan, p, equivalence, 3), p, direction, 0.1, equivalence)

    assert said(0.3, 0.05, 0.9, "above") == "undecided"
    assert said(0.0, 0.9, 0.05, "none") == "undecided"
    assert said(0.1, 0.01, 0.9, "none") == "refuted"
    with pytest.raises(ValueError, match="direction 'up' of a prediction is none of above, below, none, not above"):
        said(0.1, 0.01, 0.9, "up")


def test_differences_that_agree_are_certain():
    """Above zero by the sesoi or more they are not equivalent to it, by less they are; at the sesoi nobody can say."""
    assert (contrast(np.full(3, 0.25), 0.5).p, contrast(np.full(3, 0.25), 0.5).equivalence) == (0, 0)
    assert contrast(np.full(3, 0.5), 0.5).equivalence == contrast(np.full(3, -0.5), 0.5).equivalence == 0.5
    assert contrast(np.full(3, 0.75), 0.5).equivalence == contrast(np.full(3, -0.75), 0.5).equivalence == 1
    one = contrast(np.full(3, -0.25), 0.5)
    assert (one.low, one.estimate, one.high, one.p, one.equivalence, one.seeds) == (-0.25, -0.25, -0.25, 0, 0, 3)
    zero = contrast(np.zeros(4), 0.5)
    assert (zero.low, zero.estimate, zero.high, zero.p, zero.equivalence) == (0, 0, 0, 1, 0)
    rounded = contrast(np.array([1.0, 1.0 + 1e-15, 1.0]))
    assert (rounded.low, rounded.p) == (rounded.high, 0)
    assert isnan(rounded.equivalence)  # without a sesoi there is none
    even = contrast(np.array([-1.0, 1.0]), 0.5)  # t = 0, and ± 1/2 on one degree of freedom: 1/2 - atan(1/2) / pi
    assert (even.p, even.equivalence) == (1, pytest.approx(0.5 - np.arctan(0.5) / np.pi))
    assert isnan(contrast(np.array([nan]), 0.1).estimate)


def test_the_load_that_is_meant_by_hand():
    """The nearest that was run, if it is within a fifth of what is asked for; else what is asked for, which was not."""
    study = tax.Tax({(load, "a", "none", 0): trajectory() for load in (0.02, 0.1, 0.5)}, PLAN)
    for asked, load in (
        (None, 0.5),
        (0.105, 0.1),
        (0.09, 0.1),
        (0.2, 0.2),
        (0.022, 0.02),
        (0.45, 0.5),
        (0.6, 0.5),
        (9, 9),
    ):
        (one,) = planned([SAID | {"load": asked}]).predictions
        assert verdicts.load_of(study, one) == load
    assert (verdicts.keep_of("gold"), verdicts.keep_of("gold/lower")) == (("gold", "none"), ("gold", "lower"))


def test_what_rounding_leaves_of_differences_that_cancel_is_none():
    """.1 + .2 is a little more than .3."""
    found = contrast(np.array([0.1 + 0.2, -0.3, 0.0]), 0.5)
    assert (found.estimate, found.p) == (0, 1)
    assert found.low == -found.high < 0
