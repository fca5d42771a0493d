"""A cell of a sweep that crosses worlds with seeds, as a table of both: what the variance is split from."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alchemy.results.table import seed_values

if TYPE_CHECKING:  # its import takes a second
    import pandas as pd


def crossed(cells: "pd.DataFrame", world: str = "task.draw") -> NDArray[np.float64]:
    """(W, S) values of the one cell that `cells` has for each world, in the order of worlds and of seeds.

    `world` is the column that tells worlds apart. Raises ValueError if a world has two cells, or lacks a seed.

    >>> import pandas as pd
    >>> cells = pd.DataFrame({"task.draw": [0, 1], "by_seed": ["0=0.1 1=0.3", "0=0.5 1=0.7"]})
    >>> crossed(cells).tolist()
    [[0.1, 0.3], [0.5, 0.7]]
    """
    if cells[world].duplicated().any():
        raise ValueError(f"{world} has two cells of one value: choose one axis, level, part and metric")
    rows = [seed_values(text) for _, text in sorted(zip(cells[world], cells["by_seed"], strict=True))]
    seeds = sorted(set().union(*rows))
    if lacking := [seed for row in rows for seed in seeds if seed not in row]:
        raise ValueError(f"seed {lacking[0]} is not in every world of {world}: sweep all seeds in all worlds")
    return np.array([[row[seed] for seed in seeds] for row in rows])
