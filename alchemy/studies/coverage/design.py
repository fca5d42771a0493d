"""Design of this study, which is fixed before it is run: what is predicted.

This file imports neither pandas nor PyTorch, since it is read before anything is trained.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from alchemy.data.kinds import check
from alchemy.stats.predictions import Prediction, predictions
from alchemy.studies.coverage.theories import THEORIES

MEASURES = {  # a number per seed, and its unit
    "log_score": "nats a problem",
    "exponent": "power of the number of rules",
    "less_one": "power of the number of rules, less 1",
    "less_two": "power of the number of rules, less 2",
}
FORMS = ("chain", "direct")  # how answers are written


def design(listed: Iterable[Mapping[str, Any]], study: Mapping[str, Any]) -> tuple[Prediction, ...]:
    """Predictions of this study. Raises ValueError for one that it cannot judge, and for a probability `study.sure`
    that says nothing.

    `arm` and `other` are theories where log scores are compared, and forms of answers where exponents are; `match` is
    the form of answers whose log scores are meant.
    """
    check("study.sure", study.get("sure"), float)
    if not 0.5 < study["sure"] < 1:
        raise ValueError(f"study.sure={study['sure']} must be above 0.5 and below 1, such as 0.95")
    found = predictions(listed)
    for one in found:
        one.named("measure", MEASURES)
        known = THEORIES if one.measure == "log_score" else FORMS
        one.named("arm", known)
        one.named("match", FORMS)
        if one.other:
            one.named("other", known)
        if one.stake:
            raise ValueError(f"prediction {one.name}: stake is not for this study: leave it out")
    return found
