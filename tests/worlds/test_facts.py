"""The world of facts: attributes that are uniform and independent, who is asked about, and what is never stated."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.batch import Role
from alchemy.data.sampling import draw, in_side, problems_of
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES
from alchemy.data.task import Distribution
from tests.helpers.worlds import WORLDS

FACTS = WORLDS["facts"]
FIRST = FACTS.vocabulary.first_atom


def attributes(world, rule):
    """(entities,) the attribute of each as one number, of digits."""
    digits = world.apply(rule, world.people) - world.vocabulary.first_atom
    assert digits.min() >= 0
    assert digits.max() < world.values
    return digits @ world.values ** np.arange(world.length)


def test_rows_of_both_modes_by_hand():
    """Two hops: what the link makes of the entity is itself asked for its attribute."""
    entity = FACTS.people[:1]
    boss = FACTS.apply(0, entity)
    age = FACTS.apply(3, boss)
    e, b, a = (FACTS.vocabulary.decode(names[0]) for names in (entity, boss, age))
    assert (boss == FACTS.people).all(axis=1).any()
    assert len({e, b, a}) == 3
    decode = FACTS.vocabulary.decode
    two = f"{e} [r1] [r4]"
    assert decode(FACTS.render(entity, (0, 3)).tokens[0]) == f"{two} [r1] {b} [r4] {a} <answer> {a} </s>"
    assert decode(FACTS.direct(entity, (0, 3)).tokens[0]) == f"{two} {a} </s>"
    assert decode(FACTS.direct(boss, (3,)).tokens[0]) == f"{b} [r4] {a} </s>"
    assert FACTS.spell((0, 3)) == "r1:r4"
    assert FACTS.bits == pytest.approx(6.919, abs=1e-3)  # two digits of eleven


def test_entities_are_different_and_others_for_another_draw():
    assert len(np.unique(FACTS.people, axis=0)) == FACTS.entities == 500
    assert FACTS.people.min() >= FIRST + FACTS.values
    other = replace(FACTS, draw=1)
    assert (other.people != FACTS.people).any()


def test_attributes_are_uniform():
    """Chi-square over all 121 values at p = 0.001, of each relation of 4,000 entities."""
    world = replace(FACTS, entities=4000, links=0, two_hops=0.0)
    for rule in range(world.relations):
        counts = np.bincount(attributes(world, rule), minlength=121)
        assert ((counts - 4000 / 121) ** 2 / (4000 / 121)).sum() < 173.6  # 120 degrees of freedom


def test_links_are_uniform_over_entities():
    world = replace(FACTS, entities=4000)
    counts = np.bincount(np.bincount(world.linked[:, 0], minlength=4000), minlength=8)[:8]
    poisson = 4000 * np.exp(-1) / np.array([1, 1, 2, 6, 24, 120, 720, 5040])
    assert np.abs(counts - poisson)[:4].max() < 5 * poisson[0] ** 0.5


def independent(one, other):
    """Whether attributes of 4,000 entities agree about as often as independent ones, 1 in 121: within 4.5 errors."""
    together = (one == other).mean()
    return abs(together - 1 / 121) < 4.5 * (1 / 121 / len(one)) ** 0.5


def test_attributes_are_independent_between_relations_and_draws_and_digits():
    world = replace(FACTS, entities=4000, links=0, two_hops=0.0)
    another = replace(world, draw=1)
    mine = [attributes(world, rule) for rule in range(8)]
    for i, j in product(range(8), repeat=2):
        assert independent(mine[i], mine[j]) == (i != j)
        theirs = another.apply(j, world.people) - FIRST
        assert independent(mine[i], theirs @ 11 ** np.arange(2))
    low, high = mine[0] % 11, mine[0] // 11
    table = np.zeros((11, 11))
    np.add.at(table, (low, high), 1)
    expected = np.outer(table.sum(1), table.sum(0)) / 4000
    assert ((table - expected) ** 2 / expected).sum() < 149.4  # chi-square, 100 degrees of freedom, p = 0.001


@pytest.mark.parametrize("zipf", [0.0, 0.7, 1.3])
def test_entities_are_asked_about_by_rank_to_the_power_of_minus_zipf(zipf):
    """One-hop rows, all sides: within five standard errors at the ranks 1, 2, 5, 20 and 200, and of the tail."""
    world = replace(FACTS, zipf=zipf, two_hops=0.0)
    elements, _ = world.problems(world.train, 200_000, stream(0, "zipf"))
    key = world.people.astype(int) @ [1, 1000]
    order = np.argsort(key)
    rank = order[np.searchsorted(key[order], elements.astype(int) @ [1, 1000])]
    counts = np.bincount(rank, minlength=500)
    shares = np.arange(1, 501) ** -zipf / (np.arange(1, 501) ** -zipf).sum()
    parts = [*((counts[r - 1], shares[r - 1]) for r in (1, 2, 5, 20, 200)), (counts[250:].sum(), shares[250:].sum())]
    for count, share in parts:
        assert abs(count - 200_000 * share) < 5 * (200_000 * share * (1 - share)) ** 0.5


def test_two_hops_are_asked_by_rank_as_well_of_those_that_have_all_facts_stated():
    world = replace(FACTS, zipf=1.0)
    elements, _ = world.problems(Distribution(((0, 3),), 2), 50_000, stream(0, "zipf"))
    known = world.stated[:, 0] & world.stated[world.linked[:, 0], 3]
    shares = np.where(known, world.weights, 0) / world.weights[known].sum()
    counts = np.array([(elements == names).all(axis=1).sum() for names in world.people[:50]])
    assert (np.abs(counts - 50_000 * shares[:50]) <= 5 * (50_000 * shares[:50]) ** 0.5).all()
    assert 0 < known[:50].sum() < 50


def test_two_hops_are_asked_as_often_as_configured_and_of_stated_facts_alone():
    one_hop = Distribution(tuple((relation,) for relation in range(8)), 2)
    for side in ("train", "valid", "test"):
        batch = draw(FACTS, FACTS.train, 20_000, stream(0, "hops"), side)
        for rows, elements, composition in problems_of(batch, FACTS.vocabulary):
            here = elements
            for rule in composition if len(composition) > 1 else ():
                assert in_side(FACTS.vocabulary, one_hop, here, np.full(len(rows), rule), "train").all()
                here = FACTS.apply(rule, here)
        two = ((batch.role == Role.TRANSFORMATION).sum(axis=1) == 2).mean()
        assert abs(two - 0.3) < 5 * (0.3 * 0.7 / 20_000) ** 0.5


@pytest.mark.parametrize("zipf", [0.0, 1.0])
def test_a_fact_of_the_test_side_is_in_no_row_of_training(zipf):
    """Of 200 thousand rows: as a question, and as a line of a chain."""
    world = replace(FACTS, zipf=zipf)
    batch = draw(world, world.train, 200_000, stream(0, "train"), "train")
    stated = np.zeros((world.entities, world.relations), dtype=int)
    numbers = {tuple(names): number for number, names in enumerate(world.people.tolist())}
    for rows, elements, composition in problems_of(batch, world.vocabulary):
        chained = (batch.role[rows] == Role.CHAIN).any(axis=1)
        who = np.array([numbers[tuple(names)] for names in elements.tolist()])
        for place, rule in enumerate(composition):
            told = chained if len(composition) > 1 else np.ones(len(rows), dtype=bool)
            np.add.at(stated, (who[told], rule), 1)
            if place + 1 < len(composition):
                who = world.linked[who, rule]
    assert_array_equal(stated[~world.stated], 0)
    if not zipf:
        assert (stated[world.stated] > 0).all(), "every fact of the training side is stated"
    asked = Distribution(((2,),), 2)
    assert_array_equal(world.stated[:, 2], in_side(world.vocabulary, asked, world.people, np.zeros(500, int), "train"))


def test_size_counts_the_questions_that_can_be_asked():
    assert FACTS.size(Distribution(((2,), (3,)), 2)) == 1000
    elements, _ = FACTS.problems(Distribution(((0, 3),), 2), 20_000, stream(0, "size"))
    assert FACTS.size(Distribution(((0, 3),), 2)) == len(np.unique(elements, axis=0))


def test_a_question_does_not_go_on_from_an_attribute_that_is_no_entity():
    with pytest.raises(ValueError, match=r"task\.links=1: r2:r1 goes on from an attribute that is no entity"):
        draw(FACTS, Distribution(((1, 0),), 2), 1, stream(0, "hops"))
    few = replace(FACTS, entities=2, relations=2)
    with pytest.raises(ValueError, match="hardly any has all facts stated"):
        draw(few, Distribution(((0, 0, 0, 0, 1), (0, 1)), 2), 50, stream(0, "hops"))


def test_names_of_another_length_are_nobody_s():
    for level in (-1, 1):
        batch = draw(FACTS, AXES["length"](FACTS, level), 100, stream(0, "length"))
        atoms = batch.tokens[batch.role == Role.ELEMENT]
        assert atoms.min() >= FIRST + FACTS.values


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"entities": 0}, "task.entities=0 does not fit"),
        ({"entities": 4097}, "task.entities=4097 does not fit"),
        ({"names": 0}, "task.names=0 is too small"),
        ({"names": 9999}, "task.names=9999 make"),
        ({"length": 0}, "task.length=0 is too small"),
        ({"relations": 0}, "task.relations=0 is too small"),
        ({"links": 8}, "task.links=8 must be"),
        ({"links": -1}, "task.links=-1 must be"),
        ({"values": 1}, "task.values=1 is too small"),
        ({"two_hops": 1.0}, "task.two_hops=1.0 must be"),
        ({"two_hops": -0.1}, "task.two_hops=-0.1 must be"),
        ({"links": 0}, "needs task.links of 1 or more"),
        ({"chains": (0.5,)}, "task.chains="),
        ({"chains": (0.5, 1.5)}, "task.chains="),
        ({"zipf": -1.0}, "task.zipf=-1.0 is too small"),
        ({"draw": -1}, "task.draw=-1 is too small"),
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused_in_a_sentence(settings, words):
    with pytest.raises(ValueError, match="task") as refused:
        replace(FACTS, **settings)
    assert words in str(refused.value)
