"""Hypothesis strategies for a world: levels of its axes, distributions, batches; pip install 'shift-alchemy[testing]'.

@given(batches(task))
def test_every_row_ends(batch):
    assert ((batch.tokens == END).sum(axis=1) == 1).all()
"""

from dataclasses import replace
from typing import Any

from alchemy.data.batch import Batch
from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS, Noise
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, asking
from alchemy.data.task import SIXTEENTHS, Distribution, Side, Task
from alchemy.testing.checks import Axis
from alchemy.testing.grounds import Grounds, shift_of

try:
    from hypothesis import assume
    from hypothesis import strategies as st
except ImportError:
    raise ImportError("hypothesis is not installed: pip install 'shift-alchemy[testing]'") from None


def levels(axis: Axis, task: Task) -> st.SearchStrategy[int]:
    """Returns a strategy for the levels of an axis, from -3 to 6, that a world has; they shrink to 0.

    The axis is given as in `check_shift`.
    """
    found = Grounds(task, "").reached(shift_of(axis))
    return st.sampled_from(sorted((level for level, _ in found), key=abs))


def distributions(task: Task, noise: bool = True) -> st.SearchStrategy[Distribution]:
    """Returns a strategy for distributions of which a world has test problems; they shrink to training.

    They are those of its levels on every axis, or some of their compositions alone. With `noise`, prompts may
    have noise of any kind and rate.
    """
    grounds = Grounds(task, "")
    found = [
        where for axis in AXES for _, where in sorted(grounds.reached(shift_of(axis)), key=lambda one: abs(one[0]))
    ]
    rates = st.floats(0, 1).map(lambda rate: round(rate, 6))
    noises = st.builds(Noise, st.sampled_from(NOISE_KINDS), st.sampled_from(NOISE_DOMAINS), rates)

    @st.composite
    def some(choose: st.DrawFn) -> Distribution:
        where = replace(choose(st.sampled_from([task.train, *found])), noise=None)
        if choose(st.booleans()):
            asked = st.lists(st.sampled_from(where.compositions), min_size=1, max_size=8, unique=True)
            where = asking(where, tuple(choose(asked)))
            assume(has_rows(task, where))
        return replace(where, noise=choose(st.none() | noises)) if noise else where

    return some()


def batches(
    task: Task, where: st.SearchStrategy[Distribution] | None = None, most: int = 32, side: Side | None = None
) -> st.SearchStrategy[Batch]:
    """Returns a strategy for batches of up to `most` rows of a world; they shrink to one row of training.

    The rows are those of training, or of the distributions that `where` draws, on one side, or on any for side=None.
    """
    sides: Any = st.sampled_from([*SIXTEENTHS]) if side is None else st.just(side)

    @st.composite
    def some(choose: st.DrawFn) -> Batch:
        place = task.train if where is None else choose(where)
        count, seed = choose(st.integers(1, most)), choose(st.integers(0, 2**32 - 1))
        chosen = choose(sides)
        assume(has_rows(task, place, chosen))
        return draw(task, place, count, stream(seed, "hypothesis"), chosen)

    return some()


def has_rows(task: Task, where: Distribution, side: Side = "test") -> bool:
    """Whether a world has problems of a distribution on this side."""
    try:
        draw(task, where, 1, stream(0, "reachable"), side)
    except ValueError:
        return False
    return True
