"""The number that a prediction is about, of single runs by hand: parts of the loss, thresholds, and curves of KL."""

from math import isnan, nan

import numpy as np
import pytest

from alchemy.data.seeds import stream
from alchemy.stats.contrasts import contrast, verdict
from alchemy.studies.reasoning_tax import trajectories as tax
from alchemy.studies.reasoning_tax import verdicts
from alchemy.studies.reasoning_tax.coordinates import column
from tests.helpers.arms import PLAN, col, trajectory


def of(**runs):
    """A study of one seed, of runs by arm."""
    return tax.Tax({(0.1, arm, "none", 0): run for arm, run in runs.items()}, PLAN)


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
    """Of 60 studies of six seeds in which only KL matters, none finds that the arm adds to it."""
    arms = ["gold", "self", "foreign", "rlvr"]
    found = []
    for study in range(60):
        rng = stream(study, "studies")
        runs = {key: run for seed in range(6) for key, run in noisy(seed, arms, rng).items()}
        added = contrast(np.array([*verdicts.added_r2(tax.Tax(runs, PLAN), 0.1, arms).values()]), 0.05)
        found.append(verdict(added, added.p, "not above", 0.05, added.equivalence))
    assert "refuted" not in found
    assert found.count("supported") > 30


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
    for lost in (
        0.05,
        0.0499,
        -0.1,
    ):  # of less than a twentieth of a bit, shares are of a twentieth: no seed is left out
        values[col("split@kl.lost_bits")] = np.array([nan, lost])
        told = verdicts.latent_less_storage(of(gold=run), tax.Run(run.step, values), "kl")
        assert told == pytest.approx(0.2 / 0.05)


def test_what_comes_back_by_hand():
    """Of .4 bits, .1 are back and .3 missing; after 40 gentle steps .2 are latent, and after 40 usual ones .3."""
    split = {"recovered_bits": 0.1, "missing_bits": 0.3, "lost_bits": 0.4}
    values = {col(f"split@kl.{name}"): np.array([nan, value]) for name, value in split.items()}
    for practice, dose, latent in (("gentle", 5, 0.4), ("gentle", 40, 0.2), ("usual", 5, 0.0), ("usual", 40, 0.3)):
        one = column("practice", "latent_bits", "kl", practice=practice, dose=dose)
        values[one] = np.array([nan, latent])
    run = tax.Run(np.array([0.0, 4.0]), values)
    assert verdicts.VALUES["recovered_less_missing"](of(gold=run), run, "kl") == pytest.approx(-0.5)
    assert verdicts.VALUES["latent_gentle_less_usual"](of(gold=run), run, "kl") == pytest.approx(-0.25)
    one_practice = {one: its for one, its in values.items() if one.where.practice != "gentle"}
    assert isnan(verdicts.VALUES["latent_gentle_less_usual"](of(gold=run), tax.Run(run.step, one_practice), "kl"))
    little = tax.Run(run.step, values | {col("split@kl.lost_bits"): np.array([nan, 0.04])})
    assert verdicts.VALUES["recovered_less_missing"](of(gold=run), little, "kl") == pytest.approx(-0.2 / 0.05)
    assert verdicts.VALUES["latent_gentle_less_usual"](of(gold=run), little, "kl") == pytest.approx(-0.1 / 0.05)


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
