"""Diagnosis and replay: broken models are named for what is broken, and the oracle has the paper's scores."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.diagnose import diagnose, verify
from alchemy.diagnosis import KINDS, MALFORMED, REPLAYED, RIGHT, WRONG_ANSWER, WRONG_STEP
from alchemy.maps import group, names_of
from alchemy.measure import steps
from alchemy.replay import nearest, replay
from alchemy.seeds import stream
from alchemy.shift import AXES
from alchemy.task import Distribution, draw, terse
from alchemy.vocabulary import PAD
from tasks.arithmetic import Arithmetic
from tasks.cipher import Cipher
from tests.conftest import WORLDS

RULES = ("rotate 13", "roll 1", "reverse")


def make(*training, cot=True, rules=RULES, length=4):
    return Cipher(rules, training, length, "", 0, 0, (), cot)


def rows_of(cipher, name, count=200):
    return draw(cipher, Distribution((cipher.parse(name),), cipher.length), count, stream(0, "diagnosis"))


def written(cipher, text):
    return cipher.vocabulary.encode(text)[None]


def one(cipher, element, name, text):
    """The diagnosis of one completion, written out."""
    batch = cipher.render(written(cipher, element), cipher.parse(name))
    return diagnose(cipher, batch, written(cipher, text))


def test_gold_is_right_in_every_world(task):
    for axis in AXES:
        for level in range(-1, 3):
            try:
                where = AXES[axis](task, level)
                batch = draw(task, where, 50, stream(0, "diagnosis"))
            except ValueError:
                continue
            if where.noise is None:
                found = diagnose(task, batch, batch.completion())
                assert (found.kind == RIGHT).all(), (axis, level)
                assert found.follows.all()
                assert not found.missing.any()
                assert (found.compositions >= 1).all()


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("N O P Q [F2] <answer> O P Q N", RIGHT, "5 right, 10 right"),
        ("N O P Q [F2] <answer> A B C D", WRONG_ANSWER, "5 right, 10 [F1]"),
        ("B C D A [F1] <answer> O P Q N", REPLAYED, "5 [F2], 10 right"),  # F2F1, word for word
        ("N O P Q [F1] <answer> A B C D", REPLAYED, "5 right, 10 right"),  # F1F1
        ("N O P Q [F1] <answer> O P Q N", WRONG_STEP, "5 right, 10 [F2]"),  # the wrong rule is named
        ("N O P X [F2] <answer> O P X N", WRONG_STEP, "5 wrong, 10 right"),
        ("N O P Q [F2] <answer> O P Q", MALFORMED, ""),
        ("N O P Q O P Q N", MALFORMED, ""),
        ("<answer>", MALFORMED, ""),
        ("N O P Q", REPLAYED, "4 right, missing"),  # F1 alone
        ("X X X X", WRONG_STEP, "4 wrong, missing"),
        ("N O P Q [F2] [F1] <answer> O P Q N [F1] <answer> B C D A", MALFORMED, ""),
    ],
)
def test_a_row_by_hand(text, kind, said):
    cipher = make("F1F1", "F1F2", "F2F1")
    found = one(cipher, "A B C D", "F1F2", text)
    assert KINDS[found.kind[0]] == KINDS[kind]
    assert steps(cipher.vocabulary.rules, found).tolist() == [said]


def test_which_rules_lead_to_a_line_and_what_ties():
    cipher = make("F1F2")
    found = one(cipher, "A B C D", "F1F2", "N O P Q [F2] <answer> Q P O N")
    assert found.rules[0, :2].tolist() == [[True, False, False], [False, False, True]]
    assert found.compositions[0] == 1
    assert one(cipher, "A A A A", "F1F2", "N N N N [F2] <answer> N N N N").compositions[0] == 8  # F1 and any order
    assert len(group(cipher, 4)) == 16


def broken(cipher, batch, apply):
    """Completions of a model whose rules are `apply` (the world's, but for what is broken)."""
    atoms = batch.tokens[:, : cipher.length]
    rules = batch.tokens[0, cipher.length : cipher.length + (batch.role[0] == 1).sum()] - cipher.vocabulary.first_rule
    elements, text = atoms, []
    for place, rule in enumerate(rules):
        elements = apply(int(rule), elements)
        text.append((elements, rules[place + 1 :] + cipher.vocabulary.first_rule))
    return text


def test_one_wrong_rule_is_found_as_that_rule():
    """A model that takes F2 for a shift by two to the left."""
    cipher, wrong = make("F1F2"), make("F1F2", rules=("rotate 13", "roll 2", "reverse"))
    for name, places in (("F1F2", [1, 0]), ("F2F1", [0, 1]), ("F1F1", [1, 1]), ("F2F2", [0, 0])):
        batch = rows_of(cipher, name)
        batch = batch[np.array([len(set(row[:4])) == 4 for row in batch.tokens])]
        found = diagnose(cipher, batch, wrong.render(batch.tokens[:, :4], cipher.parse(name)).completion())
        assert_array_equal(found.valid[:, :2], [places] * len(batch))
        kinds = {"F1F2": WRONG_ANSWER, "F2F1": WRONG_STEP, "F1F1": RIGHT, "F2F2": WRONG_STEP}
        assert (found.kind == kinds[name]).all()


def test_a_skipped_step_is_found_missing():
    """A model that leaves the first line out and answers right."""
    cipher = make("F1F2F1")
    batch = rows_of(cipher, "F1F2F1")
    batch = batch[np.array([len(set(row[:4])) == 4 for row in batch.tokens])]
    gold = batch.completion()  # 4 atoms [F2] [F1] <think> 4 atoms [F1] <answer> 4 atoms
    found = diagnose(cipher, batch, gold[:, 7:])
    assert (found.kind == WRONG_STEP).all()
    assert (found.missing == 1).all()
    assert (found.lines == 2).all()
    assert_array_equal(found.valid[:, :3], [[0, 1, -1]] * len(batch))


def test_a_swapped_answer_is_a_wrong_answer():
    """A model that writes each row's chain and another row's answer."""
    cipher = make("F1F2")
    batch = rows_of(cipher, "F1F2")
    gold = batch.completion()
    swapped = gold.copy()
    swapped[:, -4:] = np.roll(gold[:, -4:], 1, axis=0)
    differs = (swapped != gold).any(axis=1)
    found = diagnose(cipher, batch, swapped)
    assert_array_equal(found.kind, np.where(differs, WRONG_ANSWER, RIGHT))
    assert_array_equal(found.follows, ~differs)
    assert found.shares()["inconsistent"] == pytest.approx(differs.mean())


def test_shares_add_up():
    cipher = make("F1F2")
    batch = rows_of(cipher, "F1F2")
    noise = stream(1, "noise").integers(0, len(cipher.vocabulary), batch.completion().shape).astype(np.int16)
    shares = diagnose(cipher, batch, np.concatenate([batch.completion()[:100], noise[100:]])).shares()
    assert sum(shares[kind] for kind in KINDS) == pytest.approx(1)
    assert 0.5 <= shares["right"] < shares["right"] + shares["malformed"] <= 1


def test_the_executed_composition_is_named_and_ties_are_told_apart():
    """Answers by F2F1 to 150 rows, by F3 to the last 50; on elements such as A A A A every order of rules ties."""
    cipher = make("F1F2")
    batch = rows_of(cipher, "F1F2")
    written = np.concatenate(
        [
            cipher.render(batch.tokens[:150, :4], cipher.parse("F1F2"), cipher.parse("F2F1")).completion(),
            cipher.render(batch.tokens[150:, :4], cipher.parse("F1F2"), (2, 2)).completion(),
        ]
    )
    found = diagnose(cipher, batch, written)
    executed = {composition: rows for composition, rows in found.executed().items() if composition is not None}
    assert list(executed) == [(0, 1), ()]  # F1F2 is F2F1, and F3F3 is no change at all
    tie = found.executed()[None]
    assert_array_equal(executed[0, 1] | tie, (np.arange(200) < 150) | tie)
    assert_array_equal(executed[()] | tie, (np.arange(200) >= 150) | tie)
    assert tie.sum() < 40


def test_answers_without_a_chain():
    cipher = make("F1F2", cot=False)
    for text, kind in (("O P Q N", RIGHT), ("A B C D", REPLAYED), ("X Y Z A", WRONG_ANSWER), ("O P", WRONG_STEP)):
        assert KINDS[one(cipher, "A B C D", "F1F2", text).kind[0]] == KINDS[kind], text


@pytest.mark.parametrize(
    ("trained", "asked", "named", "executed"),
    [
        (["F2F2", "F1F2", "F2F1"], "F1F1", "F1F1", "F1F2"),
        (["F1F1", "F1F2", "F2F1"], "F2F2", "F2F2", "F2F1"),
        (["F1F2"], "F1F1", "F1F2", "F1F2"),
        (["F2F2"], "F1F1", "F2F2", "F2F2"),
        (["F1F1", "F1F2"], "F1F2", "F1F2", "F1F2"),
        (["F1F1", "F1F2"], "F1F2F1", "F1F2", "F1F2"),
        (["F1F1", "F1F2"], "F1", "F1F1", "F1F1"),
    ],
)
def test_the_nearest_training_composition(trained, asked, named, executed):
    cipher = make("F1F1")
    parse = cipher.parse
    assert nearest([parse(name) for name in trained], parse(asked)) == (parse(named), parse(executed))


def test_replay_is_gold_in_training_in_every_world(task):
    batch = draw(task, task.train, 100, stream(0, "replay"))
    assert_array_equal(replay(task, batch), batch.completion())


def test_replay_keeps_training_s_length():
    cipher = make("F1F2")
    longer = cipher.render(written(cipher, "A B C D E"), cipher.parse("F1F2"))
    shorter = cipher.render(written(cipher, "A B C"), cipher.parse("F1F2"))
    decode = cipher.vocabulary.decode
    assert decode(replay(cipher, longer)[0]) == "N O P Q [F2] <answer> O P Q N"
    assert decode(replay(cipher, shorter)[0]) == "N O P N [F2] <answer> O P N N"
    assert (replay(cipher, longer) != PAD).all()


def test_a_map_is_named_by_all_compositions_that_make_it():
    cipher = make("F2F1", "F1F1")
    assert names_of(cipher, [(0, 1), (), (0,), (2, 2)], 4, 2) == ["F2F1=F1F2", "F1F1=F3F3", "F1", "F1F1=F3F3"]
    assert names_of(make("F1F2", length=2), [(1,)], 2, 3)[0].startswith("F1F1F2=")  # a roll of two is a reversal
    assert names_of(make("F1F2", length=2), [(1,)], 2, 3)[0].count("=") == 4
    assert names_of(cipher, [(0, 1)], 4, 6) == ["F1F2"]  # 729 compositions are too many to look through


def test_steps_of_many_rows_are_those_of_each():
    cipher = make("F1F1", "F1F2", "F2F1")
    texts = ["N O P Q [F2] <answer> O P Q N", "B C D A [F1] <answer> O P Q N", "N O P Q", "<answer>", "X X X X"] * 3
    width = max(len(text.split()) for text in texts)
    rows = np.array([np.pad(ids, (0, width - len(ids))) for ids in map(cipher.vocabulary.encode, texts)])
    clean = cipher.render(np.repeat(written(cipher, "A B C D"), len(texts), axis=0), cipher.parse("F1F2"))
    each = [steps(cipher.vocabulary.rules, one(cipher, "A B C D", "F1F2", text))[0] for text in texts]
    assert steps(cipher.vocabulary.rules, diagnose(cipher, clean, rows)).tolist() == each
    assert len(set(each)) == 5


def sums():
    return Arithmetic(11, ("x+4", "2x", "x**3"), 4, (1, 2), (0, 0), (0.5, 0.5), (0.5, 0.5), 0, (), 0)


@pytest.mark.parametrize("write", [Arithmetic.render, Arithmetic.direct], ids=["chain", "direct"])
@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10", RIGHT, "5 right, 10 right, 15 right"),
        ("3 8 0 10", RIGHT, "4 right"),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 9", WRONG_ANSWER, "5 right, 10 right, 15 wrong"),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 7 1 4 3", WRONG_ANSWER, "5 right, 10 right, 15 [x+4]"),
        ("3 8 0 9", WRONG_ANSWER, "4 wrong"),
        ("[2x] 6 0 3 2 [x+4] 10 4 7 6 <answer> 10 4 7 6", REPLAYED, "5 right, 10 right, 15 right"),  # 2x:x+4
        ("[x+4] 7 4 0 5 <answer> 7 4 0 5", REPLAYED, "5 right, 10 right, missing"),  # x+4 alone
        ("10 4 7 6", REPLAYED, "4 wrong"),  # 2x:x+4
        ("[x+4] 7 4 0 6 [2x] 3 8 0 1 <answer> 3 8 0 1", WRONG_STEP, "5 wrong, 10 right, 15 right"),
        ("[2x] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10", WRONG_STEP, "5 [x+4], 10 right, 15 right"),
        ("[2x] 6 0 3 2 [x+4] 10 4 7 6 <answer> 10 4 7 7", WRONG_STEP, "5 right, 10 right, 15 wrong"),
        ("3 8 0", WRONG_STEP, "3 wrong"),
        ("[x+4] 7 4 0 5 [2x] 3 8 <answer> 3 8 0 10", MALFORMED, ""),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10", MALFORMED, ""),
        ("[x+4] 7 4 0 5 <answer> 7 4 0 5 <answer> 7 4 0 5", MALFORMED, ""),
        ("<answer> 3 8 0 10", MALFORMED, ""),
        ("[x+4] [2x] 3 8 0 10 <answer> 3 8 0 10", MALFORMED, ""),
        ("3 8 0 10 [2x]", MALFORMED, ""),
        ("[x+4] 7 4 0 </s> <answer> 3 8 0 10", MALFORMED, ""),
        ("<think>", MALFORMED, ""),
    ],
)
def test_an_open_row_by_hand_is_held_against_gold_of_its_own_form(write, text, kind, said):
    """3 0 7 1 under x+4 is 7 4 0 5, and that under 2x is 3 8 0 10, modulo 11; whichever form the row's gold has."""
    world = sums()
    batch = write(world, written(world, "3 0 7 1"), (0, 1))
    found = diagnose(world, batch, written(world, text))
    assert KINDS[found.kind[0]] == KINDS[kind]
    assert steps(world.vocabulary.rules, found).tolist() == [said]
    assert found.flags()["fluent"][0] == (kind != MALFORMED and "<answer>" in text)
    assert found.follows[0] == (kind != MALFORMED and said.removesuffix(", missing").endswith("right"))


def test_an_open_row_s_answer_names_the_composition_that_leads_to_it():
    world = sums()
    batch = world.render(np.repeat(written(world, "3 0 7 1"), 3, axis=0), (0, 1))
    texts = ["3 8 0 10", "[2x] 6 0 3 2 [x+4] 10 4 7 6 <answer> 10 4 7 6", "[x+4] 7 4 0 5 <answer> 9 9 9 9"]
    rows = [np.pad(ids, (0, 16 - len(ids))) for ids in (world.vocabulary.encode(text) for text in texts)]
    found = diagnose(world, batch, np.array(rows))
    assert [found.maps[place] for place in found.executes[:2]] == [(0, 1), (1, 0)]
    assert found.executes[2] == -1 or found.compositions[2] > 0


@pytest.mark.parametrize(
    "task", [world for world in WORLDS.values() if terse(world)], ids=lambda task: type(task).__name__
)
def test_every_open_row_that_is_right_ends_in_the_world_s_answer(task):
    """Of completions broken at random: right ones verify; right and wrong answers of true chains do, or do not."""
    batch = draw(task, task.train, 400, stream(0, "open"))
    gold, rng = batch.completion(), stream(1, "open")
    noise = rng.integers(1, len(task.vocabulary), gold.shape).astype(np.int16)
    broken = np.where((rng.random(gold.shape) < 0.04) & (gold != PAD), noise, gold)
    found, right = diagnose(task, batch, broken), verify(task, batch, broken)
    assert_array_equal(found.kind == RIGHT, (broken == gold).all(axis=1))
    assert right[found.kind == RIGHT].all()
    assert not right[found.kind == WRONG_ANSWER].any()
    assert set(found.kind.tolist()) >= {RIGHT, WRONG_ANSWER, MALFORMED}
    assert_array_equal(found.lines > 0, found.kind != MALFORMED)
    lines = found.valid >= 0
    assert_array_equal(lines.sum(axis=1), found.lines)
    assert (np.diff(found.ends, axis=1)[lines[:, 1:]] > 0).all()
    laid = found.lines > 0
    assert_array_equal(
        found.ends[laid, found.lines[laid] - 1], (broken[laid] != PAD).sum(axis=1), "the last line ends the completion"
    )
