"""How often the chain of a test problem stands whole at the beginning of a chain that training has shown.

A chain of x and F1 begins that of x and F1F2, which is another problem. So a model may have read the steps of a test
problem although the problem itself is on the test side; `split=element` of a Distribution rules it out.

Shapes: B rows.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.sampling import in_side, problems_of
from alchemy.data.task import SIXTEENTHS, Task


def begun(task: Task, batch: Batch, rows: int) -> NDArray[np.float64]:
    """(B,) probability that `rows` training rows have a chain that begins with all steps of a problem of `batch`.

    Training's elements are taken to be equally likely. Problems are read from the prompts, which have no noise.

    >>> import alchemy as al
    >>> task = al.compose("task=arithmetic", "task.depths=[1,2]", "task.compositions=[0,0]", "task.shares=[1,1]",
    ...     "task.chains=[1,1]", "task.held_out=0").task
    >>> batch = al.draw(task, task.train, 200, al.stream(0, "look"))
    >>> bool(begun(task, batch, 10_000).max() < begun(task, batch, 1_000_000).max())
    True
    """
    train = task.train
    number = len(train.compositions)
    shares, chains = train.shares or (1 / number,) * number, train.chains or (1.0,) * number
    found = np.zeros(len(batch))
    for places, elements, asked in problems_of(batch, task.vocabulary):
        each = np.zeros(len(places))  # the probability that one training row has it
        for longer, share, chain in zip(train.compositions, shares, chains, strict=True):
            if len(longer) > len(asked) and longer[: len(asked)] == asked:
                where = replace(train, compositions=(longer,), shares=(), chains=())
                shown = in_side(task.vocabulary, where, elements, np.zeros(len(places), dtype=np.intp), "train")
                each += shown * share * chain / task.size(where) / (len(SIXTEENTHS["train"]) / 16)
        found[places] = 1 - (1 - each) ** rows
    return found
