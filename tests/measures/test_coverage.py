"""What compositions share with training, by hand and against a search that tries every path."""

from itertools import product

import numpy as np
import pytest

from alchemy.measures.coverage import Coverage, covered


def test_a_hand_example():
    """Rule 0 is seen first three times, rule 2 second twice; 3 is seen in no place."""
    training = [(0, 1), (0, 2), (0, 0), (1, 2)]
    asked = [(0, 2), (1, 0), (2, 1), (0, 3), (1, 1)]
    assert covered(training, asked, range(4)) == [
        Coverage(times=2, anywhere=2, connected=True, whole=False),
        Coverage(times=1, anywhere=2, connected=True, whole=False),
        Coverage(times=0, anywhere=2, connected=False, whole=False),
        Coverage(times=0, anywhere=0, connected=False, whole=False),
        Coverage(times=1, anywhere=2, connected=True, whole=False),
    ]


def test_all_rules_are_one_component_once_every_place_is_joined():
    training = [(0, 0), (0, 1), (1, 1)]
    assert covered(training, [(1, 0)], range(2)) == [Coverage(1, 3, True, True)]
    assert not covered(training, [(1, 0)], range(3))[0].whole


def joined(training, one, other):
    """Whether a path of compositions leads from one rule in its place to another, by trying all of them."""
    reached, more = {one}, True
    while more:
        grown = reached | {node for pair in training if {*enumerate(pair)} & reached for node in enumerate(pair)}
        more, reached = grown != reached, grown
    return other in reached


@pytest.mark.parametrize("seed", range(5))
def test_components_are_those_of_a_plain_search(seed):
    rng = np.random.default_rng(seed)
    pairs = [*product(range(6), repeat=2)]
    training = [pairs[i] for i in rng.permutation(36)[:7]]
    for pair, its in zip(pairs, covered(training, pairs, range(6)), strict=True):
        assert its.connected == joined(training, (0, pair[0]), (1, pair[1]))
        assert its.times == min(sum(one[place] == pair[place] for one in training) for place in (0, 1))
        assert its.anywhere == min(sum(one.count(rule) for one in training) for rule in pair)


def test_compositions_of_three_rules_are_covered_in_three_places():
    training = [(0, 1, 2), (2, 1, 0), (0, 0, 0)]
    found = covered(training, [(0, 1, 0), (0, 1, 2), (1, 1, 1)], range(3))
    assert [its.times for its in found] == [2, 1, 0]


def test_training_on_nothing_covers_nothing():
    assert covered([], [(0, 1)], range(2)) == [Coverage(0, 0, False, True)]
