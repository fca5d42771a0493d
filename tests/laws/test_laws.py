"""Laws that hold in every world and on every axis; a new file in conf/task is under them unasked."""

import pytest

from alchemy.data.shift import AXES
from alchemy.testing import parametrize_with_laws
from alchemy.testing.grounds import LEVELS, Grounds, shift_of
from tests.helpers.worlds import WORLDS


@parametrize_with_laws(WORLDS, learnable=True)
def test_law(law):
    law()


UP = range(7)
NOTHING_KEPT_OUT = {"element": [0], "places": [0], "atoms": [0]}
PLAIN = {"composition": [*UP], **NOTHING_KEPT_OUT, "length": [*LEVELS], "steps": [-1, *UP], "format": [*UP]}
REACHED = {  # the levels of LEVELS that each world has
    "arithmetic": PLAIN | {"task": [0, 1], "steps": [0, 3, 4, 5, 6]},  # training has chains of up to three rules
    "cipher": PLAIN | {"task": [0, 1, 2, 3], "element": [0, 1, 2], "places": [*range(5)], "atoms": [*range(5)]},
    "diverse": PLAIN | {"task": [0, 1, 2, 3]},
    "facts": PLAIN | {"task": [0], "length": [-1, *UP], "steps": [0]},  # of a name two atoms; nobody states a third hop
    "mixture": PLAIN | {"task": [0, 1], "length": [-2, -1, *UP], "steps": [0]},
    "page": PLAIN | {"task": [0, 1, 2, 3]},
}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", REACHED)
def test_a_world_has_its_levels(name, axis):
    found = [level for level, _ in Grounds(WORLDS[name], name).reached(shift_of(axis))]
    assert found == REACHED[name].get(axis, found)  # an axis of one's own has no number here
