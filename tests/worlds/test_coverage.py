"""The world of coverage: rules that differ as maps, designs as they are named, nothing held out that training has."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from alchemy.data.compositions import follow, probing
from alchemy.measures.coverage import covered
from tasks.coverage import coverage


def made(rules=8, design="random_2", held_out=1.0, draw=0, length=4, cot=True):
    return coverage(rules, design, held_out, draw, length, cot)


def maps(world, compositions):
    probe = probing(world, world.length)
    return [follow(world, probe, one).tobytes() for one in compositions]


@pytest.mark.parametrize("rules", [4, 8, 16, 64])
def test_all_rules_differ_as_maps_and_most_do_not_commute(rules):
    world = made(rules, "random_1")
    assert len(set(maps(world, [(rule,) for rule in range(rules)]))) == rules
    pairs = [*combinations(range(rules), 2)]
    both = zip(maps(world, pairs), maps(world, [pair[::-1] for pair in pairs]), strict=True)
    assert sum(one == other for one, other in both) < 0.6 * len(pairs)
    kinds = Counter(rule.split()[0] for rule in world.rules)
    assert kinds["permute"] == max(rules // 4, 1)
    assert kinds["rotate"] == max(rules // 8, 1)


@pytest.mark.parametrize("design", ["random_0.5", "random_2", "random_4", "latin_1", "latin_3", "star_2", "blocks_2"])
@pytest.mark.parametrize("draw", range(3))
def test_nothing_held_out_is_a_composition_of_training_nor_the_same_map(design, draw):
    world = made(16, design, draw=draw)
    train, unseen = world.train.compositions, world.train.held_out.compositions
    assert len(train) == round(16 * float(design.partition("_")[2]))
    assert len(unseen) == 16
    assert not {*train} & {*unseen}
    assert not {*maps(world, train)} & {*maps(world, unseen)}


def test_more_compositions_include_fewer_and_the_same_are_held_out():
    few, many = made(design="random_1"), made(design="random_4")
    assert few.rules == many.rules
    assert few.unseen == many.unseen
    assert many.training[: len(few.training)] == few.training


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("kind", ["latin", "blocks"])
def test_each_rule_stands_as_often_in_each_place(kind, times):
    world = made(16, f"{kind}_{times}")
    for place in (0, 1):
        assert set(Counter(one[place] for one in world.train.compositions).values()) == {times}
    assert {its.times for its in covered(world.train.compositions, world.train.held_out.compositions, range(16))} == {
        times
    }


def test_blocks_are_never_joined():
    world = made(8, "blocks_2")
    found = covered(world.train.compositions, [(a, b) for a in range(8) for b in range(8)], range(8))
    assert sum(not its.connected for its in found) >= 32
    assert not any(its.whole for its in found)


def test_a_star_joins_all_rules_and_shows_most_of_them_once():
    world = made(16, "star_2")
    found = covered(world.train.compositions, world.train.held_out.compositions, range(16))
    assert all(its.connected and its.whole for its in found)
    assert np.mean([its.times == 1 for its in found]) > 0.8


def test_a_draw_decides_rules_design_and_what_is_held_out():
    assert made() == made()
    assert made(draw=1).rules != made().rules
    assert made(draw=1).unseen != made().unseen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"design": "random"}, "design=random is unknown: use random, latin, star or blocks"),
        ({"design": "ring_2"}, "design=ring_2 is unknown"),
        ({"design": "random_nan"}, "design=random_nan is unknown"),
        ({"design": "random_-1"}, "is unknown"),
        ({"design": "random_9"}, "do not fit into the 64 pairs of 8 rules"),
        ({"design": "latin_1.5"}, "latin and blocks take whole numbers"),
        ({"design": "blocks_2", "rules": 7}, "do not fit into the 49 pairs of 7 rules"),
        ({"held_out": 0.0}, "do not fit"),
        ({"held_out": 8.0}, "do not fit"),
        ({"rules": 1}, "rules=1 is no number to compose"),
        ({"rules": 10_000}, "rules=10000 is no number to compose: set it from 2 to 200"),
        ({"rules": 64, "length": 3}, "length=3 has only 5 permutations of places"),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    with pytest.raises(ValueError, match=said):
        made(**change)
