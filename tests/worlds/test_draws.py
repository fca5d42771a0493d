"""A world that is drawn has the seed of the run as its draw, unless the draw is fixed."""

import numpy as np
import pytest

from alchemy.runs.build import build
from alchemy.runs.compose import compose_settings


def drawn(*words):
    return build("task", compose_settings(words).task)


def facts_of(world):
    """Names of the entities of a world of facts, and their first attribute."""
    return np.concatenate([world.people, world.apply(0, world.people)], axis=1)


@pytest.mark.parametrize(
    ("words", "drawn_by"),
    [
        (("task=facts",), facts_of),
        (("task=mixture",), lambda world: facts_of(world.worlds[0])),
        (("task=mixture",), lambda world: world.train.held_out.compositions),
        (("task=arithmetic",), lambda world: world.train.held_out.compositions),
        (("task=diverse",), lambda world: world.train.compositions),
        (("experiment=diversity",), lambda world: world.train.compositions),
        (("experiment=worlds",), lambda world: world.train.compositions),
    ],
)
def test_each_seed_has_a_world_of_its_own(words, drawn_by):
    first, again, other = (np.array(drawn_by(drawn(*words, f"seed={seed}"))) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("name", "fixed"),
    [
        ("facts", ["task.draw=0"]),
        ("arithmetic", ["task.draw=0"]),
        ("diverse", ["task.draw=0"]),
        ("mixture", ["task.worlds.facts.draw=0", "task.worlds.arithmetic.draw=0"]),
    ],
)
def test_a_draw_that_is_fixed_is_one_world_for_all_seeds(name, fixed):
    first, other = (drawn(f"task={name}", f"seed={seed}", *fixed) for seed in (0, 5))
    assert first == other == drawn(f"task={name}", "seed=0")
