"""The design of the study: predictions, matches and bases that are refused, and that all jobs must share."""

import pytest

from alchemy.stats.predictions import SIGNS
from alchemy.studies.reasoning_tax.design import MATCHES, design_of
from tests.helpers.arms import NAMED, PLAN, SETTINGS, planned


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"measure": "beauty"}, "measure is none of lost_bits"),
        ({"match": "accuracy"}, "match is none of opening, kl, norm"),
        ({"direction": "up"}, "direction is none of above"),
        ({"sesoi": 0.0}, "sesoi must be above 0"),
        ({"arms": "gold"}, "no field arms"),
        ({"arm": ""}, "lacks arm"),
        ({"measure": "overthinking"}, "stake is for lost_bits and storage: leave it out"),
        ({"spread": "much"}, "spread"),
        ({"primary": 1}, "primary"),
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
    assert planned().matches == {"opening": 0.5, "kl": 0.2, "norm": 0.015}
    assert planned(match={"norm": 0.02}).matches["norm"] == 0.02


def test_what_is_predicted_of_the_headline_fits_the_study():
    """One prediction is primary, of what was fixed; a loss between two arms is a share of what one of them loses."""
    assert [one.name for one in PLAN.predictions if one.primary] == ["foreign chains cost more than rewards"]
    assert len(PLAN.predictions) == len(NAMED) == len({one.name for one in PLAN.predictions})
    for key, one in zip(NAMED, PLAN.predictions, strict=True):
        assert one.match in MATCHES
        assert one.direction in SIGNS
        assert key.split("_")[0] == one.name.lower().split()[0]
        if one.measure == "lost_bits" and one.other:
            assert (one.stake, one.sesoi) == (one.arm, 0.25)
