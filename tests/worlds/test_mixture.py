"""Worlds in one vocabulary: shares of tokens, sides as alone, and questions that begin in one and go on in another."""

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from numpy.testing import assert_array_equal

from alchemy.data.batch import Role
from alchemy.data.sampling import draw, in_side, problems_of, sample
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import PAD
from alchemy.results.code import used_by
from alchemy.runs.plan import composition_level, plan
from alchemy.runs.targets import named
from alchemy.training.fit import fresh
from tasks.arithmetic import Arithmetic
from tasks.facts import Facts
from tasks.mixture import Mixture
from tests.helpers.knowing import WORLD
from tests.helpers.worlds import ROOT, WORLDS

MIXTURE = WORLDS["mixture"]
FACTS, SUMS = MIXTURE.worlds
RELATIONS = len(FACTS.vocabulary.rules)


def settings(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", ["task=mixture", "model.layers=1", "model.width=16", *overrides])


def in_mixture(world, elements):
    """Ids of elements of one world, in the mixture."""
    return MIXTURE.ours[MIXTURE.worlds.index(world)][elements]


@pytest.mark.parametrize("tokens", [(0.6, 0.4), (0.1, 0.9), (3, 1)])
def test_shares_of_tokens_are_as_configured(tokens):
    world = replace(MIXTURE, tokens=tokens)
    batch = draw(world, world.train, 100_000, stream(0, "tokens"), "train")
    real = batch.role != Role.PAD
    asked = (batch.tokens * (batch.role == Role.TRANSFORMATION)).max(axis=1) - world.vocabulary.first_rule
    knows = real[asked < RELATIONS].sum() / real.sum()
    assert knows == pytest.approx(tokens[0] / sum(tokens), abs=0.01)


def test_a_world_reads_and_writes_as_it_does_alone():
    for number, world in enumerate(MIXTURE.worlds):
        alone = sample(world, world.train, 200, stream(0, "alone"))
        for rows, elements, composition in problems_of(alone, world.vocabulary):
            ours = tuple(rule + MIXTURE.firsts[number] for rule in composition)
            chained = (alone.role[rows] == Role.CHAIN).any(axis=1)
            for mode, some in (("render", chained), ("direct", ~chained)):
                mine = getattr(MIXTURE, mode)(in_mixture(world, elements[some]), ours)
                texts = world.vocabulary.decode_rows(alone.tokens[rows[some]])
                assert MIXTURE.vocabulary.decode_rows(mine.tokens) == texts


@pytest.mark.parametrize("padding", [0, 1, 2, 5])
@pytest.mark.parametrize("number", [0, 1], ids=["facts", "arithmetic"])
def test_a_problem_has_the_side_that_it_has_alone_whatever_its_padding(number, padding):
    world = MIXTURE.worlds[number]
    elements, which = world.problems(world.train, 3_000, stream(0, "sides"))
    ours = tuple(tuple(rule + MIXTURE.firsts[number] for rule in c) for c in world.train.compositions)
    wide = np.pad(in_mixture(world, elements), ((0, 0), (0, padding)))
    where = Distribution(ours, wide.shape[1])
    for side in ("train", "valid", "test"):
        alone = in_side(world.vocabulary, world.train, elements, which, side)
        assert_array_equal(in_side(MIXTURE.vocabulary, where, wide, which, side), alone)
        assert alone.any()


def test_no_fact_of_the_test_side_is_in_training():
    batch = draw(MIXTURE, MIXTURE.train, 50_000, stream(0, "train"), "train")
    people = in_mixture(FACTS, FACTS.people).astype(int) @ [1, 1000]
    order, asked = np.argsort(people), 0
    for rows, elements, composition in problems_of(batch, MIXTURE.vocabulary):
        if composition[0] < RELATIONS:
            who = order[np.searchsorted(people[order], elements.astype(int) @ [1, 1000])]
            assert FACTS.stated[who, composition[0]].all()
            asked += len(rows)
    assert asked > 25_000


def test_a_composite_query_by_hand():
    """The attribute is recalled, then added to and doubled, modulo 11."""
    entity, rules = in_mixture(FACTS, FACTS.people[5:6]), (2, RELATIONS + 1, RELATIONS + 3)
    one, other = FACTS.apply(2, FACTS.people[5:6])[0] - FACTS.vocabulary.first_atom
    added = (one + 4) % 11, (other + 4) % 11
    doubled = f"{2 * added[0] % 11} {2 * added[1] % 11}"
    name = FACTS.vocabulary.decode(FACTS.people[5])
    chain = (
        f"{name} [r3] [x+4] [2x] [r3] {one} {other} [x+4] {added[0]} {added[1]} [2x] {doubled} <answer> {doubled} </s>"
    )
    assert MIXTURE.spell(rules) == "r3:x+4:2x"
    assert MIXTURE.vocabulary.decode(MIXTURE.render(entity, rules).tokens[0]) == chain
    assert (
        MIXTURE.vocabulary.decode(MIXTURE.direct(entity, rules).tokens[0]) == f"{name} [r3] [x+4] [2x] {doubled} </s>"
    )


@pytest.mark.parametrize("side", ["train", "test"])
def test_a_composite_query_is_asked_of_stated_facts_alone(side):
    rules = [(2, RELATIONS + 1), (2, RELATIONS + 1, RELATIONS + 3), (5, RELATIONS), (4,)]
    where = Distribution(tuple(rules), MIXTURE.train.length, shares=(0.3, 0.3, 0.2, 0.2))
    alike = replace(MIXTURE, worlds=(replace(FACTS, zipf=0.0), SUMS))  # or a few entities' sides move the shares
    batch = draw(alike, where, 4_000, stream(0, "composite"), side)
    people = {tuple(names): number for number, names in enumerate(in_mixture(FACTS, FACTS.people).tolist())}
    for rows, elements, composition in problems_of(batch, MIXTURE.vocabulary):
        stated = FACTS.stated[[people[tuple(names)] for names in elements.tolist()], composition[0]]
        assert stated.all() if len(composition) > 1 or side == "train" else not stated.any()
        share = where.shares[rules.index(composition)]
        assert abs(len(rows) / 4_000 - share) < 5 * (share * (1 - share) / 4_000) ** 0.5


def test_a_composite_query_is_found_by_its_name():
    level = composition_level(MIXTURE, "r3:x+4")
    assert AXES["composition"](MIXTURE, level).compositions == ((2, RELATIONS + 1),)
    with pytest.raises(ValueError, match="names the composition r3:x-4"):
        composition_level(MIXTURE, "r3:x-4")
    todo = plan(settings("shift.axis=composition", "shift.levels=[r3:x+4,0]"))
    assert todo.shifts[0].levels == (level, 0)


def test_nothing_is_recalled_of_what_was_computed():
    with pytest.raises(ValueError, match=r"x\+4:r3 recalls something of what another of task\.worlds"):
        draw(MIXTURE, Distribution(((RELATIONS + 1, 2),), 4), 1, stream(0, "composite"))


def test_an_operation_leaves_names_as_they_are_and_padding_is_no_atom():
    names = in_mixture(FACTS, FACTS.people[:3])
    assert_array_equal(MIXTURE.apply(RELATIONS + 1, names), names)
    batch = draw(MIXTURE, MIXTURE.train, 500, stream(0, "rows"))
    assert_array_equal(batch.tokens == PAD, batch.role == Role.PAD)


def test_a_mixture_has_room_for_every_world():
    assert MIXTURE.train.length == 3
    assert len(MIXTURE.vocabulary.atoms) == 11 + 64  # digits are those of both
    assert MIXTURE.kinds == ("recall",) * 8 + ("compute",) * 12
    assert set(AXES["task"](MIXTURE, 1).compositions) == set(MIXTURE.train.held_out.compositions)
    assert MIXTURE.size(Distribution(((0,), (RELATIONS, RELATIONS)), 3)) == FACTS.entities + 11**3


@pytest.mark.parametrize(
    ("worlds", "tokens", "words"),
    [
        ((), (), "tokens=[] must give"),
        ((FACTS, SUMS), (1.0,), "tokens=[1.0] must give"),
        ((FACTS, SUMS), (1.0, 0.0), "tokens=[1.0, 0.0] must give"),
        ((FACTS, FACTS), (0.5, 0.5), "worlds has two with a rule [r1]"),
        ((FACTS, WORLDS["cipher"]), (0.5, 0.5), "worlds has Cipher, which answers in one mode alone"),
        ((FACTS, replace(SUMS, split="element")), (0.5, 0.5), "worlds splits Arithmetic by element: a mixture is"),
    ],
    ids=["none", "short", "zero", "twice", "one mode", "another split"],
)
def test_a_mixture_that_makes_no_sense_is_refused_in_a_sentence(worlds, tokens, words):
    with pytest.raises(ValueError, match=r"^[a-z_]+( |=)") as refused:
        Mixture(worlds, tokens, 0, 0.0)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.worlds.facts.entities=0", "task.worlds.facts.entities=0 does not fit: names=64 make"),
        ("task.worlds.facts.entities=many", "task.worlds.facts.entities=many must be a whole number"),
        ("task.worlds.arithmetic.modulus=10", "task.worlds.arithmetic.modulus=10 is no prime"),
        (
            "+task.worlds.arithmetic.primes=1",
            "task.worlds.arithmetic.primes is not a setting",
        ),
        ("~task.worlds.arithmetic.modulus", "task.worlds.arithmetic.modulus is missing"),
        (
            "task.worlds.arithmetic._target_=tasks.arithmetic.Sums",
            "_target_=tasks.arithmetic.Sums cannot be imported",
        ),
        ("task.worlds.arithmetic=3", "task.worlds.arithmetic=3 must be settings with a _target_"),
        ("task.worlds=3", "task.worlds=3 must be settings by name"),
        ("~task.tokens.facts", "task.tokens names arithmetic, and worlds facts, arithmetic"),
        ("task.early_chains=2", "task.early_chains=2"),
    ],
)
def test_a_mistake_in_a_nested_world_is_told_with_its_place(override, words):
    with pytest.raises(ValueError, match="task") as refused:
        plan(settings(override))
    assert words in str(refused.value)


def test_the_code_of_nested_worlds_is_part_of_a_plan_and_of_its_fingerprint(monkeypatch):
    todo = plan(settings("shift.axis=task", "shift.levels=[0]"))
    assert set(todo.worlds) == {"tasks.mixture", "tasks.facts", "tasks.arithmetic"}
    assert todo.worlds[0] == "tasks.mixture"
    nested = {"_target_": "a.B", "worlds": [{"_target_": "c.D", "of": {"_target_": "e.F"}}, 3], "source": None}
    assert list(named(nested)) == ["a.B", "c.D", "e.F"]
    digested = []
    monkeypatch.setattr("alchemy.runs.plan.code_digest", lambda *modules: digested.extend(modules) or "code")
    plan(settings("shift.axis=task", "shift.levels=[0]"))
    assert {Facts.__module__, Arithmetic.__module__} <= set(used_by(*digested))


def test_training_begins_with_more_chains_and_goes_on_as_it_is_said_to():
    """Of problems of several rules, nine tenths have a chain in the first 2,000 rows, and 30 % from then on; of facts a
    fifth and of problems of one rule none, at any time; and each composition is as frequent as ever.
    """
    early = replace(WORLD, early_rows=2_000, early_chains=0.9)
    late = WORLD.train
    first = early.after(1_999)
    assert early.train == early.after(2_000) == early.after(9_999) == WORLD.after(0) == late
    assert early.after(0) == first
    assert replace(first, chains=late.chains) == late
    source = fresh(early, 0, 0, 1_000)
    drawn = [source(1_000) for _ in range(4)]
    assert np.array([chained(batch) for batch in drawn]) == pytest.approx(
        np.array([[0.2, 0.0, 0.9]] * 2 + [[0.2, 0.0, 0.3]] * 2), abs=0.07
    )
    stopped = fresh(early, 0, 2, 1_000)  # goes on behind the early rows, with the rows that would have come
    assert_array_equal(stopped(1_000).tokens, drawn[2].tokens)


def chained(batch):
    """The shares of chains of facts, of problems of one rule, and of those of several."""
    rules = np.where(batch.role == Role.TRANSFORMATION, batch.tokens - WORLD.vocabulary.first_rule, -1)
    number, fact = (rules >= 0).sum(axis=1), (rules.max(axis=1) < 2)
    chain = (batch.role == Role.CHAIN).any(axis=1)
    return [chain[some].mean() for some in (fact, ~fact & (number == 1), ~fact & (number > 1))]
