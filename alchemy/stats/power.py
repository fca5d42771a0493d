"""What a comparison can show before it is run: how often so many seeds find an effect of a given size."""

from collections.abc import Sequence
from math import inf, nan

import numpy as np
from scipy.special import bdtrc, ndtr

from alchemy.stats.contrasts import LEVEL, at_least
from alchemy.stats.predictions import Prediction

ENOUGH = 80.0  # of 100 runs: what a comparison should find its smallest effect of interest in
SIZES = np.arange(0, 10.01, 0.05)  # effects that are tried, in standard deviations of seeds


def needed(seeds: int, family: int = 1) -> int:
    """How many of so many seeds must lie on one side for p < .05, where a prediction is one of a `family` and all are
    adjusted by their number; 0 if not even all of them suffice.

    >>> needed(6), needed(5), needed(10, family=18)
    (6, 0, 10)
    """
    return next((k for k in range(seeds // 2 + 1, seeds + 1) if 2 * at_least(k, seeds) * family < LEVEL), 0)


def fewest(family: int = 1) -> int:
    """The fewest seeds that can show anything of a prediction that is one of a `family`.

    >>> fewest(), fewest(family=21)
    (6, 10)
    """
    return next(seeds for seeds in range(2, 1000) if needed(seeds, family))


def found_in_100(effect: float, seeds: int, family: int = 1) -> float:
    """In how many of 100 runs an effect is found, of so many standard deviations of seeds, in the right direction.

    Seeds are taken to be normal. A `family` of predictions is adjusted by their number, as the first of Holm's is, so
    a few more may be found.

    >>> round(found_in_100(2.0, seeds=10, family=18))
    79
    """
    least = needed(seeds, family)
    return 100 * float(bdtrc(least - 1, seeds, ndtr(effect))) if least else 0.0


def smallest_found(seeds: int, family: int = 1) -> float:
    """The smallest effect, in standard deviations of seeds, that is found in ENOUGH of 100 runs; infinite if none is.

    >>> round(smallest_found(6), 2), smallest_found(5)
    (1.8, inf)
    """
    return float(next((size for size in SIZES if found_in_100(size, seeds, family) >= ENOUGH), inf))


def outlook(predictions: Sequence[Prediction], seeds: int) -> list[str]:
    """What a run of so many seeds can show of its predictions, a sentence each: of the primary one, and of the others,
    which are adjusted together.
    """
    others = [one for one in predictions if not one.primary]
    said = [
        f"primary prediction, {one.name}: {power_line(one.sesoi, one.spread, seeds)}"
        for one in predictions
        if one.primary
    ]
    if others:
        said.append(f"{len(others)} other predictions, adjusted together: {power_line(nan, nan, seeds, len(others))}")
    return said


def power_line(sesoi: float, spread: float, seeds: int, family: int = 1) -> str:
    """A sentence on what so many seeds can show of an effect of `sesoi`, which is in the unit of `spread`, the standard
    deviation over seeds that a pilot had; NaN if there was no pilot.
    """
    if not needed(seeds, family):
        those = f"{seeds} seed{'s' * (seeds != 1)}"
        return f"{those} can show nothing here, whatever comes out: {fewest(family)} or more can"
    if not spread > 0:
        size = f"{smallest_found(seeds, family):.1f} standard deviations of seeds"
        return f"with {seeds} seeds an effect of {size} is found in {ENOUGH:.0f} of 100 runs"
    found = found_in_100(sesoi / spread, seeds, family)
    return f"with {seeds} seeds an effect of {sesoi:g} is found in {found:.0f} of 100 runs (pilot: sd {spread:g})"
