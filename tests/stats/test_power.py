"""What a comparison can show before it is run: against counting, against drawn studies, and against the verdicts."""

from math import inf, nan

import numpy as np
import pytest

from alchemy.data.seeds import stream
from alchemy.stats.contrasts import contrast, holm, verdict
from alchemy.stats.power import found_in_100, needed, power_line, smallest_found


@pytest.mark.parametrize("family", [1, 2, 19])
def test_so_many_seeds_on_one_side_are_needed_as_a_verdict_asks_for(family):
    """With one seed fewer on that side there is no verdict; where none suffice, all of them do not."""
    for seeds in range(2, 21):
        least = needed(seeds, family)
        for above in range(seeds // 2 + 1, seeds + 1):
            found = contrast(np.array([1.0] * above + [-1.0] * (seeds - above)), 0.1)
            adjusted = holm({"it": found.p, **dict.fromkeys(map(str, range(family - 1)), 1.0)})["it"]
            said = verdict(found, adjusted, "above", 0.1, found.equivalence)
            assert said == ("supported" if least and above >= least else "undecided")
    assert [needed(seeds, family) for seeds in (5, 6, 7, 10, 11)] == {
        1: [0, 6, 7, 9, 10],
        2: [0, 0, 7, 9, 10],
        19: [0, 0, 0, 10, 11],
    }[family]


@pytest.mark.parametrize(("effect", "seeds", "family"), [(0.0, 6, 1), (1.0, 6, 1), (2.0, 10, 18), (0.8, 15, 4)])
def test_an_effect_is_found_as_often_as_in_drawn_studies(effect, seeds, family):
    """In 20,000 studies, which know a share to .4 of 100."""
    above = (stream(seeds, "studies").normal(effect, 1, (20_000, seeds)) > 0).sum(axis=1)
    assert found_in_100(effect, seeds, family) == pytest.approx(100 * (above >= needed(seeds, family)).mean(), abs=1.2)


def test_a_null_is_found_in_its_direction_by_hand():
    assert found_in_100(0, 6) == pytest.approx(100 / 64)
    assert found_in_100(0, 10) == pytest.approx(100 * 11 / 1024)
    assert found_in_100(9, 5) == 0


@pytest.mark.parametrize(("seeds", "family"), [(6, 1), (10, 1), (10, 18), (20, 18)])
def test_the_smallest_effect_is_the_first_that_is_found_in_80_of_100(seeds, family):
    least = smallest_found(seeds, family)
    assert found_in_100(least, seeds, family) >= 80 > found_in_100(least - 0.05, seeds, family)
    assert smallest_found(5) == smallest_found(9, 18) == inf


def test_what_can_be_shown_in_a_sentence():
    assert power_line(0.25, nan, 5) == "5 seeds can show nothing here, whatever comes out: 6 or more can"
    assert power_line(0.25, 0.1, 9, 18) == "9 seeds can show nothing here, whatever comes out: 10 or more can"
    without = "with 6 seeds an effect of 1.8 standard deviations of seeds is found in 80 of 100 runs"
    assert power_line(0.25, nan, 6) == power_line(0.25, 0.0, 6) == without
    said = "with 10 seeds an effect of 0.25 is found in 79 of 100 runs (pilot: sd 0.125)"
    assert power_line(0.25, 0.125, 10, 18) == said
