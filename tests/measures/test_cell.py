"""A cell of noise: what is completed once, what each prompt is completed as, and what it does not depend on."""

import numpy as np
import pytest

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.measures.cell import KEPT, Remembers, greedy, measure, untouched
from alchemy.models.decoding import complete
from tests.helpers.models import half_trained
from tests.helpers.worlds import tiny_model

COUNT = 300


@pytest.fixture
def model():
    return half_trained("learned")


def noised(task, level, kind="insert"):
    return Shift("format", (level,), kind, "all").at(task, level)


def pair(task, where):
    return tuple(draw(task, one, COUNT, stream(0, "test")) for one in (where, where.clean()))


@pytest.mark.parametrize("kind", ["insert", "delete", "modify"])
@pytest.mark.parametrize("level", [1, 3])
def test_each_prompt_is_completed_as_it_stands(cipher, model, level, kind):
    """Against completions of all prompts at once: equal but for what last bits decide, which is next to none."""
    batch, clean = pair(cipher, noised(cipher, level, kind))
    clear = untouched(batch, clean)
    assert 0 < clear.sum() < COUNT
    mine, all_at_once = greedy(model, batch, clean, clear), complete(model, batch)
    width = max(mine.shape[1], all_at_once.shape[1])
    padded = [np.pad(rows, ((0, 0), (0, width - rows.shape[1]))) for rows in (mine, all_at_once)]
    assert (padded[0] == padded[1]).all(axis=1).mean() > 0.99


def test_a_cell_does_not_depend_on_what_was_measured_before_it(cipher, model):
    where, remembers = noised(cipher, 2), Remembers(model)
    alone = measure(cipher, model, where, COUNT, 0).values
    for other in (cipher.train, noised(cipher, 4), noised(cipher, 1, "delete")):
        measure(cipher, remembers, other, COUNT, 0)
    assert measure(cipher, remembers, where, COUNT, 0).values == alone


class Counts:
    """A model from elsewhere that knows how many rows it was asked for."""

    def __init__(self, model):
        self.model, self.asked = model, []

    def complete(self, batch, temperature, rng):
        self.asked.append(len(batch))
        return complete(self.model, batch)


def test_prompts_that_noise_left_are_completed_once(cipher, model):
    counts = Counts(model)
    remembers = Remembers(counts)
    left = 0
    for level in (1, 2, 3, 4, 5):
        batch, clean = pair(cipher, noised(cipher, level))
        clear = untouched(batch, clean)
        greedy(remembers, batch, clean, clear)
        left += int((~clear).sum())
    assert sum(counts.asked) == COUNT + left
    assert len(remembers.known) == KEPT


def test_what_is_sampled_is_not_remembered(cipher, model):
    remembers, batch = Remembers(model), pair(cipher, noised(cipher, 1))[1]
    one = remembers.complete(batch, 1.0, np.random.default_rng(0))
    assert np.array_equal(one, complete(model, batch, 1.0, np.random.default_rng(0)))
    assert not remembers.known


@pytest.mark.parametrize("level", [0, 6])
def test_noise_that_leaves_all_prompts_or_none(cipher, level):
    model = tiny_model(cipher)
    batch, clean = pair(cipher, noised(cipher, level))
    for clear in (np.ones(COUNT, dtype=bool), np.zeros(COUNT, dtype=bool)):
        rows = clean if clear.all() else batch
        assert np.array_equal(greedy(model, batch, clean, clear), complete(model, rows))
