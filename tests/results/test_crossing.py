"""A sweep over worlds and seeds as a table of both."""

import pandas as pd
import pytest

from alchemy.results.crossing import crossed
from alchemy.stats.components import components


def test_worlds_are_rows_and_seeds_are_columns():
    cells = pd.DataFrame({"task.draw": [1, 0], "by_seed": ["3=0.7 2=0.5", "2=0.1 3=0.3"]})
    assert crossed(cells).tolist() == [[0.1, 0.3], [0.5, 0.7]]
    assert components(crossed(cells)).share["rest"] == pytest.approx(0, abs=1e-9)


def test_what_is_no_crossing_is_refused():
    twice = pd.DataFrame({"task.draw": [0, 0], "by_seed": ["0=0.1", "0=0.2"]})
    with pytest.raises(ValueError, match=r"task\.draw has two cells of one value"):
        crossed(twice)
    short = pd.DataFrame({"world": [0, 1], "by_seed": ["0=0.1 1=0.2", "0=0.3"]})
    with pytest.raises(ValueError, match="seed 1 is not in every world of world"):
        crossed(short, "world")
