"""Verdicts on predictions: made-up runs whose truth is known, counts of seeds by hand, and every sentence."""

from functools import cache
from math import nan

import numpy as np
import pandas as pd
import pytest

from alchemy.results.table import seed_values
from alchemy.stats.contrasts import Contrast
from alchemy.stats.families import text_of
from alchemy.studies.reasoning_tax import trajectories as tax
from alchemy.studies.reasoning_tax import verdicts
from tests.helpers.arms import ALL, PLAN, SETTINGS, planned, table, trajectory

FIRST = "foreign chains cost more than rewards"  # the primary prediction
SAID = {one["name"]: one for one in SETTINGS["predictions"]}
IT = {"name": "it", "source": "-", "says": "-", "measure": "lost_bits", "arm": "a", "other": "b", "sesoi": 0.1}
ARMS = ("gold", "self", "foreign", "rlvr")


def some(*names, **change):
    """The design with these predictions alone, since each counts among those that all are adjusted by."""
    return planned(**SETTINGS | {"predictions": [SAID[name] | change for name in names]})


def judged(seeds=3, plan=PLAN, more=(), **made):
    """The verdicts on made-up runs, by name."""
    whole = pd.concat([table(seeds, **made), *more])
    return verdicts.verdicts(tax.tax_of(whole, plan)).set_index("name")


@cache
def made_truth():
    """The verdicts on ten seeds of all arms, and of gold chains at a small load."""
    return judged(10, arms=ALL, more=[table(10, arms=("gold",), load=0.02)])


def lost(at=0.5, match="kl", **arms):
    """A study in which arms lose these bits, by seed, where they reach a KL (or a size of the update)."""
    return {
        (0.1, arm, "none", seed): trajectory(**{f"update__{match}": (0, at), "knowledge__bits": (6, 6 - bits)})
        for arm, seeds in arms.items()
        for seed, bits in enumerate(seeds)
    }


def found_in(runs, *predictions):
    """The verdicts of these runs on predictions that differ from IT, at a KL of .5."""
    plan = planned([IT | {"match": "kl"} | one for one in predictions], match={"kl": 0.5, "norm": 0.5})
    return verdicts.verdicts(tax.Tax(runs, plan)).set_index("name")


# ---- made-up runs


def test_the_made_truth_is_found():
    found, said = made_truth(), made_truth()["verdict"].to_dict()
    bits = (
        0.7 * 3 * (0.46 / 0.94) ** 1.5
    )  # lost at an opening rate of .5, by all arms but the foreign, which loses .3 more
    assert found.loc[FIRST, "estimate"] == pytest.approx(0.3 / (bits + 0.3), abs=0.03)
    assert said[FIRST] == "supported"
    assert found.loc[FIRST, "p"] == found.loc[FIRST, "p_adjusted"] == 2 / 1024
    assert said["own chains cost more than rewards"] == "equivalent to zero"
    random = (0.19 + 0.38 + 0.5) / 3
    for arm in ("gold", "rlvr"):
        for name, other in (("lower half stores", 0.14), ("more than any half", random)):
            assert found.loc[f"{name} ({arm})", "estimate"] == pytest.approx(0.92 - other, abs=0.05)
        assert found.loc[f"more than half the update ({arm})", "estimate"] == pytest.approx(0.92 - 0.72, abs=0.05)
        assert said[f"lower half stores ({arm})"] == "supported"
    assert said["loss is latent (difference in differences)"] == said["some is lost for good"] == "supported"
    assert said["more comes back than stays missing (raw)"] == "supported"
    assert said["the split is additive"] == "supported"  # as much is latent after either practice
    assert said["overthinking"] == "small but real"  # .004 a nat of KL, in every seed, where .02 would matter
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


def test_every_seed_that_was_run_is_in_the_table():
    """And what its numbers say: the median, the seeds on either side, and the interval from the second to the ninth."""
    measured = made_truth()[made_truth()["verdict"] != "not measured"]
    assert len(measured) == 21
    for row in measured.to_dict("records"):
        values = seed_values(row["by_seed"])
        assert list(values) == list(range(10))
        ranked = sorted(values.values())
        assert (row["seeds"], row["above"], row["below"]) == (
            10,
            sum(v > 0 for v in ranked),
            sum(v < 0 for v in ranked),
        )
        assert [row["low"], row["estimate"], row["high"]] == pytest.approx(
            [ranked[1], np.median(ranked), ranked[8]], rel=1e-5, abs=1e-9
        )
    others = made_truth()[made_truth()["verdict"] == "not measured"]
    assert set(others["by_seed"]) == {""}
    assert set(others["seeds"]) == {0}


def test_the_text_has_the_primary_prediction_first():
    lines = text_of(made_truth().reset_index()).splitlines()
    assert lines[1].removeprefix(FIRST).split()[0] == "supported"
    assert len(lines) == 1 + len(PLAN.predictions)


@pytest.mark.parametrize(("bits", "said"), [(-0.5, "supported"), (0.0, "equivalent to zero"), (0.6, "refuted")])
def test_one_problem_is_judged_against_many(bits, said):
    plan = some("one problem is enough")
    found = judged(6, plan, arms=("rlvr", "one_shot"), worse={"one_shot": bits}).loc["one problem is enough"]
    assert found["verdict"] == said
    assert found["estimate"] == pytest.approx(-bits * 2 / 3 / 0.35, abs=0.2)  # of the .35 that rewards lose at that KL


def test_without_a_worse_arm_there_is_none():
    found = judged(7, some(FIRST, "KL is all"), arms=ARMS, worse={}, spread=0.01)
    assert found.loc[FIRST, "verdict"] == "equivalent to zero"
    assert found.loc["KL is all", "verdict"] in ("supported", "small but real")
    assert abs(found.loc["KL is all", "estimate"]) < 0.01
    assert found.loc["KL is all", "equivalence_p"] == 1 / 128


def test_a_large_effect_of_the_arm_refutes_that_kl_is_all():
    found = judged(6, some("KL is all"), arms=ARMS, worse={"foreign": 1.5, "self": -0.6})
    assert found.loc["KL is all", "estimate"] > 0.05
    assert found.loc["KL is all", "verdict"] == "refuted"


def test_the_sign_decides():
    assert judged(6, worse={"rlvr": 0.4}).loc[FIRST, "verdict"] == "refuted"


@pytest.mark.parametrize("seeds", [1, 2, 5])
def test_fewer_than_six_seeds_have_no_interval_and_show_no_effect(seeds):
    found = judged(seeds, arms=("gold", "foreign", "rlvr", "random", "direct"))
    assert set(found["verdict"]) <= {"undecided", "not measured", "equivalent to zero"}
    assert found.loc[FIRST, "verdict"] == "undecided"
    assert found["low"].isna().all()
    assert not (found["p_adjusted"] < 0.05).any()


def test_absent_arms_are_not_measured_and_said_so():
    found = judged(6, some(FIRST, "reasoning itself costs", "unloaded models keep all"), arms=("gold",))
    assert set(found["verdict"]) == {"not measured"}
    assert "arm foreign was not run" in found.loc[FIRST, "sentence"]
    assert "arm random was not run" in found.loc["reasoning itself costs", "sentence"]
    assert "at load 0.02" in found.loc["unloaded models keep all", "sentence"]
    assert found["p_adjusted"].isna().all()


def test_seeds_that_only_one_arm_has_are_left_out():
    found = judged(3, arms=("gold", "foreign"), more=[table(2, arms=("rlvr",))]).loc[FIRST]
    assert (found["seeds"], list(seed_values(found["by_seed"]))) == (2, [0, 1])


def test_records_without_chains_leave_their_predictions_unmeasured():
    frame = table(6)
    found = verdicts.verdicts(tax.tax_of(frame[frame["part"] != "chain"], PLAN)).set_index("name")
    for name in ("SFT lowers InfoGain", "RLVR raises KI"):
        assert found.loc[name, "verdict"] == "not measured"
        assert "records are lacking" in found.loc[name, "sentence"]
    assert found.loc[FIRST, "verdict"] == "supported"


def test_a_base_that_is_past_the_match_is_not_compared_there():
    plan = planned(**SETTINGS | {"match": {"opening": 0.01, "kl": 0.5}})
    found = judged(2, plan=plan).loc[FIRST]
    assert found["verdict"] == "not measured"
    assert "before training, past 0.01" in found["sentence"]


@pytest.mark.parametrize(("load", "said"), [(0.0213, "supported"), (0.03, "not measured")])
def test_a_load_near_enough_is_the_one_that_is_meant(load, said):
    name = "unloaded models keep all"
    assert judged(6, some(name), more=[table(6, arms=("gold",), load=load)]).loc[name, "verdict"] == said


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
        (one,) = planned([IT | {"load": asked}]).predictions
        assert verdicts.load_of(study, one) == load
    assert (verdicts.keep_of("gold"), verdicts.keep_of("gold/lower")) == (("gold", "none"), ("gold", "lower"))


def test_preservation_can_be_predicted_of():
    name = "freezing the lower half keeps"
    found = judged(6, some(name), arms=("gold",), keeps=("none", "lower", "random")).loc[name]
    assert found["verdict"] == "supported"
    assert found["estimate"] == pytest.approx((0.55 - 0.2) / 0.55, abs=0.1)


# ---- counts of seeds, by hand


def test_only_secondary_predictions_are_adjusted_and_both_p_of_each():
    """Ten seeds. All .3, all .2, all .05 above zero: p is 2 in 1024. Five on either side, within .1: equivalence is 1
    in 1024. Of four that are no primary one, the least p counts four times, and the next no less than that.
    """
    runs = lost(a=[0.3] * 10, b=[0.2] * 10, c=[0.02, -0.02] * 5, d=[0.05] * 10)
    more = [{"name": arm, "arm": arm, "other": "", "direction": "above"} for arm in "abcd"]
    more += [{"name": "none", "arm": "c", "other": "", "direction": "none"}]
    more[0]["primary"] = True
    found = found_in(runs, *more)
    once = 1 / 1024
    assert found["p"].to_list() == [2 * once, 2 * once, 1, 2 * once, 1]
    assert found["p_adjusted"].to_list() == pytest.approx([2 * once, 8 * once, 1, 8 * once, 1])
    assert found["equivalence_p"].to_list() == pytest.approx([1, 1, 4 * once, 4 * once, 4 * once])
    said = ["supported", "supported", "equivalent to zero", "small but real", "supported"]
    assert found["verdict"].to_list() == said
    assert found["role"].to_list() == ["primary"] + ["secondary"] * 4
    assert set(found["unit"]) == {"bits per fact lost"}
    assert set(found["sesoi"]) == {0.1}
    assert found["above"].to_list() == [10, 10, 5, 10, 5]
    assert found["below"].to_list() == [0, 0, 5, 0, 5]


def test_equivalence_of_many_predictions_is_not_had_by_each_alone():
    """Six seeds within .1 are so by chance once in 64 times: enough for the primary one, and too little for one of
    four.
    """
    runs = lost(a=[0.03, -0.03] * 3)
    alike = [{"name": str(number), "other": "", "direction": "none"} for number in range(4)]
    assert found_in(runs, *alike[:3])["verdict"].to_list() == ["supported"] * 3
    found = found_in(runs, *alike, {"name": "first", "other": "", "direction": "none", "primary": True})
    assert found["equivalence_p"].to_list() == pytest.approx([4 / 64] * 4 + [1 / 64])
    assert found["verdict"].to_list() == ["undecided"] * 4 + ["supported"]
    above = [one | {"direction": "above"} for one in alike]
    assert set(found_in(runs, *above)["verdict"]) == {"undecided"}


def test_a_difference_of_which_all_seeds_have_the_sign_is_not_equivalent_to_zero():
    """p = 2/64 = .03 and 2/1024, within a sesoi of .1."""
    for seeds, family in ((6, 1), (10, 2)):
        alike = [{"name": str(number), "direction": "above"} for number in range(family)]
        found = found_in(lost(a=[0.32] * seeds, b=[0.3] * seeds), *alike)
        assert (found["p_adjusted"] < 0.05).all()
        assert (found["equivalence_p"] < 0.05).all()
        assert set(found["verdict"]) == {"small but real"}


@pytest.mark.parametrize(("most", "moved"), [(0.099, False), (0.101, True)])
def test_arms_that_have_lost_nothing_are_not_compared(most, moved):
    """Neither has lost a tenth of a bit, by the middle seed; so there is no verdict, and others are not adjusted for
    it.
    """
    runs = lost(a=[most] * 5 + [9.0], b=[0.02] * 6, c=[0.5] * 6)
    plan = [{"name": "still"}, {"name": "share", "stake": "a"}, {"name": "other", "arm": "c", "other": ""}]
    found = found_in(runs, *plan)
    said = found["verdict"].to_list()
    assert said == (["undecided"] * 3 if moved else ["not compared", "not compared", "supported"])
    assert found.loc["other", "p_adjusted"] == pytest.approx(3 * 2 / 64 if moved else 2 / 64)
    assert found["seeds"].to_list() == [6, 6, 6]
    if not moved:
        assert found.loc[["still", "share"], ["p_adjusted", "equivalence_p"]].isna().all(axis=None)
        assert found.loc["still", "sentence"] == (
            "a less b at kl 0.5: +0.079 [+0.079, +8.980] bits per fact lost, 6 of 6 seeds above 0, 0 below; not "
            "compared, since less than 0.1 bits are lost there (a 0.099, b 0.020)."
        )
        assert "not compared" in text_of(found.reset_index())
    assert found_in(lost(a=[0.01], b=[0.0]), {}).loc["it", "sentence"] == (
        "a less b at kl 0.5: +0.010 bits per fact lost; not compared, since less than 0.1 bits are lost there "
        "(a 0.010, b 0.000)."
    )


def test_a_loss_is_told_as_a_share_of_what_the_named_arm_loses_in_the_same_seed():
    """.6 less .3 of .6 is a half in each seed, although seeds lose from .6 to 3.6."""
    runs = lost(a=[0.6 * seed for seed in range(1, 7)], b=[0.3 * seed for seed in range(1, 7)])
    found = found_in(runs, {"stake": "a", "sesoi": 0.25}, {"name": "all", "other": "", "stake": "b"}).loc
    assert (found["it", "estimate"], found["all", "estimate"]) == (pytest.approx(0.5), pytest.approx(2))
    assert found["it", "unit"] == "share of what a loses"
    assert found["it", "compared"] == "a less b at kl 0.5"
    assert seed_values(found["it", "by_seed"]) == pytest.approx(dict.fromkeys(range(6), 0.5))


def test_a_seed_in_which_the_named_arm_loses_nothing_is_not_left_out():
    """It counts by its sign, and its share is one of .05 bits; without such seeds, six of six would support it."""
    runs = lost(a=[0.6] * 6 + [-0.1, 0.0, 0.0], b=[0.3] * 6 + [0.2, -0.1, 0.0])
    found = found_in(runs, {"stake": "a", "sesoi": 0.25}).loc["it"]
    assert (found["seeds"], found["above"], found["below"]) == (9, 7, 1)
    values = seed_values(found["by_seed"])
    assert [values[seed] for seed in (5, 6, 7, 8)] == pytest.approx([0.5, -6, 2, 0])
    assert found["estimate"] == pytest.approx(0.5)
    assert found["verdict"] == "undecided"


def test_what_the_run_could_show_is_said_of_each():
    """By as many as were measured: of 10 seeds that agree 25 predictions could be shown, and not 26."""
    runs = lost(a=[0.3] * 10, b=[0.0] * 10)
    plan = [{"name": str(number)} for number in range(25)] + [{"name": "absent", "arm": "c", "other": ""}]
    found = found_in(runs, *plan, {"name": "first", "primary": True, "spread": 0.05})
    assert set(found["verdict"]) == {"supported", "not measured"}
    least = "with 10 seeds an effect of 2.1 standard deviations of seeds is found in 80 of 100 runs"
    assert found["power"].to_list() == [least] * 25 + ["", found.loc["first", "power"]]
    assert found.loc["first", "power"] == "with 10 seeds an effect of 0.1 is found in 98 of 100 runs (pilot: sd 0.05)"
    assert found_in(lost(a=[0.3] * 5, b=[0.1] * 5), {}).loc["it", "power"].startswith("5 seeds can show nothing here")


# ---- word for word


@pytest.mark.parametrize(
    ("change", "its", "words"),
    [
        (
            {},
            Contrast(0.3, 0.1, 0.5, 0.01, 0.8, 9, 8, 1),
            "a less b at opening 0.5: +0.300 [+0.100, +0.500] bits per fact lost, 8 of 9 seeds above 0, 1 below; "
            "adjusted p 0.02, equivalence p 0.9 for 0.1; predicted above 0: supported.",
        ),
        (
            {"other": "", "measure": "threshold", "direction": "none"},
            Contrast(0.3, nan, nan, 0.01, 0.8, 2, 2, 0),
            "a: +0.300 opening rate less p*, 2 of 2 seeds above 0, 0 below; adjusted p 0.02, equivalence p 0.9 for "
            "0.1; predicted no difference: supported.",
        ),
        (
            {"match": "kl", "stake": "c"},
            Contrast(0.3, nan, nan, nan, nan, 1, 1, 0),
            "a less b at kl 0.5: +0.300 share of what c loses; one seed has no interval, so undecided.",
        ),
        ({}, Contrast(nan, nan, nan, nan, nan, 0, 0, 0), "Not measured: arm a was not run at load 0.1."),
    ],
)
def test_a_sentence_by_hand(change, its, words):
    (one,) = planned([IT | change]).predictions
    study = tax.Tax({(0.1, "c", "none", 0): trajectory()}, PLAN)
    assert verdicts.sentence(study, one, its, 0.02, 0.9, "supported") == words


def test_why_nothing_was_measured():
    (one,) = planned([IT]).predictions
    short = trajectory(procedural__opening=(0.0, 0.3))
    far = trajectory(procedural__opening=(0.0, 0.9))

    def why(*seeds):
        runs = {(0.1, arm, "none", seed): run for seed, arms in enumerate(seeds) for arm, run in arms.items()}
        return verdicts.why(tax.Tax(runs, PLAN), one)

    assert why({"a": far}) == "arm b was not run at load 0.1"
    assert why({"a": short, "b": far}) == "a: its opening rate never reached 0.5: highest 0.3"
    assert why({"a": far, "b": far}).startswith("its records are lacking")
    assert why({"a": short, "b": far}, {"a": far}).startswith("its records are lacking")  # one seed gets there


def test_the_text_by_hand():
    columns = ["name", "role", "verdict", "estimate", "low", "high", "p_adjusted", "above", "below"]
    rows = [
        ["one seed", "secondary", "undecided", 0.2, nan, nan, nan, 1, 0],
        ["two seeds", "secondary", "undecided", 0.2, nan, nan, 0.5, 2, 0],
        ["none", "secondary", "not measured", *[nan] * 4, 0, 0],
    ]
    rows += [["first", "primary", "supported", -0.3, -0.5, -0.1, 0.0123, 1, 8]]
    assert text_of(pd.DataFrame(rows, columns=columns)).splitlines() == [
        "predictions, the primary one first: median seed [95 % interval], seeds above and below 0, p adjusted",
        "first                            supported            -0.300 [-0.500, -0.100]  1:8  p 0.012",
        "one seed                         undecided            +0.200",
        "two seeds                        undecided            +0.200  2:0  p 0.5",
        "none                             not measured",
    ]
