"""Laws of coverage: made-up outcomes whose law is known, scores by hand, and what is refused."""

from itertools import product
from math import log, nan

import numpy as np
import pandas as pd
import pytest

from alchemy.measures.coverage import covered
from alchemy.studies.coverage import laws
from alchemy.studies.coverage.design import design
from alchemy.studies.coverage.theories import THEORIES, Facts, forecast

ONE: dict[str, object] = {"name": "it", "source": "-", "says": "-", "measure": "log_score", "match": "chain"}
ONE |= {"arm": "seen twice", "other": "seen once", "sesoi": 0.1}


def made(truth, rules=(8, 16, 32), each=(0.5, 1, 1.5, 2, 3, 4), seeds=3, form="chain"):
    """Outcomes of random designs in which exactly what `truth` says of its facts comes right."""
    rows = []
    for R, ratio, seed in product(rules, each, range(seeds)):
        pairs = [*product(range(R), repeat=2)]
        order = np.random.default_rng([seed, R]).permutation(len(pairs))
        training = [pairs[i] for i in order[: round(ratio * R)]]
        unseen = [pairs[i] for i in order[-R:]]
        for its in covered(training, unseen, range(R)):
            facts = Facts(R, len(training), *vars(its).values())
            rows.append({"form": form, "design": "random", "seed": seed, **vars(facts), "right": float(truth(facts))})
    return pd.DataFrame(rows).assign(problems=10).astype(dict.fromkeys(laws.FACTS, int))


@pytest.mark.parametrize("theory", ["seen twice", "seen once", "connected", "quadratic"])
def test_the_theory_that_made_the_outcomes_scores_best(theory):
    table = made(THEORIES[theory][1])
    scores = {name: np.mean([*laws.score_by_seed(table, name, 0.95, "chain").values()]) for name in THEORIES}
    assert max(scores, key=scores.get) == theory
    assert scores[theory] == pytest.approx(log(0.95))


def test_a_theory_that_is_always_wrong_scores_as_its_doubt():
    table = made(lambda its: its.times < 2)
    assert [*laws.score_by_seed(table, "seen twice", 0.9, "chain").values()] == pytest.approx([log(0.1)] * 3)


def test_coverage_grows_with_the_rules_and_pairs_with_their_square():
    table = made(THEORIES["seen twice"][1])
    found = laws.exponent(table, "chain")
    assert sorted(found) == [0, 1, 2]
    assert all(0.7 < value < 1.3 for value in found.values())
    assert laws.exponents(laws.by_number(table, "seen twice", "chain")) == found
    square = made(THEORIES["quadratic"][1], rules=(4, 8, 16), each=(0.5, 1, 1.5, 2, 3, 4, 6))
    assert all(1.6 < value < 2.4 for value in laws.exponent(square, "chain").values())


@pytest.mark.parametrize(
    ("x", "y", "at"),
    [
        ([4, 16], [0.0, 1.0], 8.0),
        ([4, 16], [0.25, 0.75], 8.0),
        ([4, 16, 64], [0.0, 0.5, 0.4], 16.0),
        ([4, 16], [0.6, 1.0], nan),
        ([4, 16], [0.0, 0.4], nan),
    ],
)
def test_where_half_is_crossed_by_hand(x, y, at):
    assert laws.crossed_half(np.array(x, float), np.array(y, float)) == pytest.approx(at, nan_ok=True)


def test_answers_without_chains_are_kept_apart():
    both = pd.concat([made(lambda its: its.times >= 1), made(lambda its: False, form="direct")], ignore_index=True)
    assert laws.half_at(both, both["right"], "direct") == {}
    assert laws.half_at(both, both["right"], "chain")
    assert laws.score_by_seed(both, "seen once", 0.95, "direct") != laws.score_by_seed(both, "seen once", 0.95, "chain")


def test_forecasts_are_the_probability_or_what_is_left_of_it():
    its = Facts(rules=8, compositions=16, times=1, anywhere=3, connected=True, whole=False)
    found = {theory: forecast(theory, its, 0.9) for theory in THEORIES}
    right = {theory for theory, value in found.items() if value == 0.9}
    assert right == {"seen once", "seen twice anywhere", "connected", "quadratic"}
    assert all(value == pytest.approx(0.1) for theory, value in found.items() if theory not in right)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arm": "seen often"}, "prediction it: arm is none of seen twice"),
        ({"other": "seen often"}, "prediction it: other is none of"),
        ({"measure": "lost_bits"}, "prediction it: measure is none of log_score"),
        ({"match": "opening"}, "prediction it: match is none of chain, direct"),
        ({"stake": "chain"}, "prediction it: stake is not for this study"),
        ({"measure": "exponent"}, "prediction it: arm is none of chain, direct"),
    ],
)
def test_a_prediction_of_something_else_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        design([ONE | change], {"sure": 0.95})


@pytest.mark.parametrize("sure", [0.5, 1.0, "much", None])
def test_a_probability_that_says_nothing_is_refused(sure):
    with pytest.raises(ValueError, match=r"study.sure="):
        design([ONE], {"sure": sure})
    assert len(design([ONE], {"sure": 0.95})) == 1


def test_outcomes_by_times_and_by_design_by_hand():
    rows = [(8, "random", 16, 0, 1, 0.0), (8, "random", 16, 2, 3, 1.0), (8, "latin", 8, 9, 2, 0.5)]
    table = pd.DataFrame(rows, columns=["rules", "design", "compositions", "times", "problems", "right"])
    table["seed"] = 3
    assert laws.by_times(table) == {0: {3: 0.0}, 2: {3: 1.0}, laws.MOST_TIMES: {3: 0.5}}
    assert laws.seedwise(table) == {3: pytest.approx(4 / 6)}
    assert laws.per_rule(table).tolist() == [2.0, 2.0, 1.0]


def test_a_brier_score_is_the_squared_distance():
    table = made(lambda its: its.times < 2)
    found = laws.score_by_seed(table, "seen twice", 0.9, "chain", "Brier score")
    assert [*found.values()] == pytest.approx([0.81] * 3)
