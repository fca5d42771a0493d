"""Diagnosis and replay: broken models are named for what is broken, and the oracle has the paper's scores."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.answers import verify
from alchemy.data.batch import Batch, Role, concatenate
from alchemy.data.compositions import follow, group, names_of
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES
from alchemy.data.task import Distribution, terse
from alchemy.data.vocabulary import PAD
from alchemy.measures.cell import steps
from alchemy.measures.diagnosis import KINDS, MALFORMED, REPLAYED, RIGHT, WRONG_ANSWER, WRONG_STEP, Diagnosis, diagnose
from alchemy.measures.replay import nearest, replay_oracle
from alchemy.measures.scores import score
from tasks.arithmetic import Arithmetic
from tasks.cipher import Cipher
from tests.helpers.ciphers import REPLAYED as SCENARIOS
from tests.helpers.ciphers import make as published
from tests.helpers.knowing import WORLD, rows
from tests.helpers.worlds import WORLDS, conformance

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
    done = set()  # level 0 is the same on every axis
    for axis in AXES:
        for level in range(-1, 3):
            try:
                where = AXES[axis](task, level)
                batch = draw(task, where, 50, stream(0, "diagnosis"))
            except ValueError:
                continue
            if where.noise is None and where not in done:
                done.add(where)
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
    assert_array_equal(replay_oracle(task, batch), batch.completion())


def test_replay_keeps_training_s_length():
    cipher = make("F1F2")
    longer = cipher.render(written(cipher, "A B C D E"), cipher.parse("F1F2"))
    shorter = cipher.render(written(cipher, "A B C"), cipher.parse("F1F2"))
    decode = cipher.vocabulary.decode
    assert decode(replay_oracle(cipher, longer)[0]) == "N O P Q [F2] <answer> O P Q N"
    assert decode(replay_oracle(cipher, shorter)[0]) == "N O P N [F2] <answer> O P N N"
    assert (replay_oracle(cipher, longer) != PAD).all()


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


def kinds_of_element():
    """One element of four letters of each kind, and how many of all 26**4 are of it. Of one kind are those that a
    renaming leads to which keeps letters 13 apart 13 apart, and F, a letter of [F1], as it is: scores tell no more.
    """
    numbers = np.arange(26**4)[:, None] // 26 ** np.arange(3, -1, -1) % 26
    pair, side = numbers % 13, numbers // 13
    first = (pair[:, :, None] == pair[:, None, :]).argmax(axis=2)  # the place at which each letter's pair comes first
    named = 2 * first + (side ^ np.take_along_axis(side, first, axis=1))
    named = np.where(pair == ord("F") - ord("A"), 8 + side, named)
    _, some, times = np.unique(named @ 10 ** np.arange(4), return_index=True, return_counts=True)
    return numbers[some], times


@pytest.mark.parametrize("name", conformance("replay_oracle")["cases"])
def test_the_oracle_has_the_published_scores_over_all_elements(name):
    """As test_conformance has it row by row, slowly; here each kind of element counts as often as there are such."""
    numbers, times = kinds_of_element()
    assert times.sum() == 26**4
    assert len(times) < 1000
    case = conformance("replay_oracle")["cases"][name]
    trained, _, tested = SCENARIOS.get(name.partition(":")[0], name.split()[-1].upper()).partition("->")
    cipher = published(training=tuple(trained.split()))
    elements = (cipher.vocabulary.first_atom + numbers).astype(np.int16)
    batch = cipher.render(elements, cipher.parse(tested.strip()))
    scores = score(cipher.vocabulary, replay_oracle(cipher, batch), batch.completion())
    for ours, theirs in (("full", "full"), ("chain", "reasoning"), ("answer", "answer")):
        mine, expected = scores[ours], case[theirs]
        assert (mine.exact_match * times).sum() == expected["em_count"]
        assert np.average(mine.edit_distance, weights=times) == pytest.approx(expected["ed"], abs=5e-7)
        assert np.average(mine.bleu_sentence, weights=times) == pytest.approx(expected["bleu_released_mean"], abs=5e-7)
    if case["bleu_corpus_13a_full"] is not None:
        sums = (scores["full"].statistics * times[:, None]).sum(axis=0)
        assert scores["full"].bleu(sums) == pytest.approx(case["bleu_corpus_13a_full"], abs=5e-5)


def test_replay_of_answers_alone_is_gold_where_they_differ_in_length():
    """Facts have two digits, problems three: one more than what was written before."""
    batch = rows(200, chains=0.0)
    assert_array_equal(replay_oracle(WORLD, batch), batch.completion())
    assert (replay_oracle(WORLD, batch[batch.prompt_length == 3]) != PAD).sum(axis=1).tolist() == [2] * int(
        (batch.prompt_length == 3).sum()
    )
    assert replay_oracle(WORLD, batch[:0]).shape == (0, 0)  # no row
    mixed = concatenate([rows(100, chains=0.0), rows(100, "more", chains=1.0)])
    assert_array_equal(replay_oracle(WORLD, mixed), mixed.completion())


def told(**columns):
    return replace(Diagnosis.blank(6, 2, 2), **{name: np.array(column) for name, column in columns.items()})


def test_nothing_is_said_of_rows_that_are_laid_out_as_nothing():
    blank = Diagnosis.blank(3, 2, 4)
    assert (blank.kind.tolist(), blank.lines.tolist(), blank.missing.tolist()) == ([MALFORMED] * 3, [0] * 3, [0] * 3)
    assert (blank.valid.tolist(), blank.ends.tolist()) == ([[-1, -1]] * 3, [[0, 0]] * 3)
    assert (blank.rules.shape, blank.rules.any(), blank.follows.any()) == ((3, 2, 4), False, False)
    assert (blank.compositions.tolist(), blank.executes.tolist(), blank.maps) == ([0] * 3, [-1] * 3, ())
    assert blank.shares() == dict.fromkeys([*KINDS, "fluent", "inconsistent"], 0.0) | {"malformed": 1.0}


def test_what_is_executed_by_hand():
    """By one composition alone: twice the third, and the first and the second once each; one row ties, one has none."""
    found = told(executes=[2, 2, 0, 1, 1, -1], compositions=[1, 1, 1, 1, 3, 0])
    found = replace(found, maps=((0,), (1,), (0, 1), (1, 1))).executed()
    assert list(found) == [None, (0, 1), (0,), (1,)]
    assert [np.flatnonzero(rows).tolist() for rows in found.values()] == [[4], [0, 1], [2], [3]]


def test_flags_by_hand():
    kinds = [RIGHT, REPLAYED, WRONG_ANSWER, WRONG_STEP, MALFORMED, RIGHT]
    found = told(kind=kinds, lines=[3, 2, 2, 1, 0, 1], follows=[True, True, False, False, False, True])
    flags = {name: np.flatnonzero(rows).tolist() for name, rows in found.flags().items()}
    by_kind = {"right": [0, 5], "replayed": [1], "wrong_answer": [2], "wrong_step": [3], "malformed": [4]}
    assert flags == by_kind | {"fluent": [0, 1, 2], "inconsistent": [2]}
    assert found.shares()["fluent"] == 0.5
    assert found.shares()["right"] == pytest.approx(1 / 3)


THREE = "N O P Q [F2] [F1] <think> O P Q N [F1] <answer> B C D A"  # F1F2F1


@pytest.mark.parametrize(
    ("text", "kind", "missing", "valid", "ends", "executes"),
    [
        ("N O P Q [F2] <answer> O P Q N", RIGHT, 0, [1, 1], [5, 10], (0, 1)),
        ("N O P Q [F2] <answer> A B C D", WRONG_ANSWER, 0, [1, 0], [5, 10], ()),
        ("N O P Q [F3] <answer> Q P O N", REPLAYED, 0, [1, 1], [5, 10], (0, 2)),
        ("D C B A [F2] <answer> C B A D", REPLAYED, 0, [0, 1], [5, 10], (2, 1)),  # F3F2
        ("N O P Q [F2] <answer> X Y Z W", WRONG_ANSWER, 0, [1, 0], [5, 10], None),
        (THREE, REPLAYED, -1, [1, 1, 1], [6, 12, 17], (1,)),
        (THREE.replace("[F2] [F1]", "[F2] [F3]"), WRONG_STEP, -1, [1, 1, 1], [6, 12, 17], (1,)),  # [F3], and then [F1]
        (THREE.replace("B C D A", "A B C D"), WRONG_STEP, -1, [1, 1, 0], [6, 12, 17], ()),
        (THREE.replace("> O P", "> Z P"), WRONG_STEP, -1, [1, 0, 0], [6, 12, 17], (1,)),
        (THREE.replace("N O P Q", "Z O P Q"), WRONG_STEP, -1, [0, 0, 1], [6, 12, 17], (1,)),
        ("N O P Q", REPLAYED, 1, [1], [4], (0,)),
        ("N O P Q R S [F2] <answer> O P Q R S N", WRONG_STEP, 0, [0, 1], [7, 14], None),  # two letters more
        ("N O P [F2] <answer> O P N", WRONG_STEP, 0, [0, 1], [4, 8], None),
        ("N O P Q R S T [F2] <answer> O P Q R S T N", MALFORMED, 0, [], [], None),  # three more
    ],
)
def test_all_that_is_said_of_a_row_by_hand(text, kind, missing, valid, ends, executes):
    cipher = make("F1F2")
    found = one(cipher, "A B C D", "F1F2", text)
    lines = len(valid)
    assert (KINDS[found.kind[0]], found.lines[0], found.missing[0]) == (KINDS[kind], lines, missing)
    assert found.valid[0].tolist() == valid + [-1] * (4 - lines)
    assert found.ends[0].tolist() == ends + [0] * (4 - lines)
    assert found.follows[0] == (valid[-1:] == [1])
    assert found.compositions[0] == (executes is not None)
    if executes is None:
        assert found.executes[0] == -1
    else:
        its = found.maps[found.executes[0]]
        letters = written(cipher, "A B C D")
        assert follow(cipher, letters, its).tolist() == follow(cipher, letters, executes).tolist()
        assert len(its) == len(executes)


@pytest.mark.parametrize(("more", "kind", "lines"), [(1, REPLAYED, 3), (2, REPLAYED, 4), (3, MALFORMED, 0)])
def test_two_lines_more_than_asked_for_are_still_read(more, kind, lines):
    cipher = make("F1F2")
    text = cipher.render(written(cipher, "A B C D"), (0, 1, 2, 1, 0)[: 2 + more]).completion()
    batch = cipher.render(written(cipher, "A B C D"), (0, 1))
    found = diagnose(cipher, batch, text)
    assert (KINDS[found.kind[0]], found.lines[0], found.missing[0]) == (KINDS[kind], lines, -more if lines else 0)
    assert (found.valid[0] == 1).sum() == lines


@pytest.mark.parametrize(
    ("text", "kind", "valid", "rules", "executes"),
    [
        ("O P Q N", RIGHT, 1, [], (0, 1)),
        ("N O P Q", WRONG_ANSWER, 0, [0], (0,)),  # F1 alone: no two rules make it
        ("A B C D", REPLAYED, 0, [], ()),  # F1F1
        ("C B A D", REPLAYED, 0, [], (2, 1)),
        ("D C B A", WRONG_ANSWER, 0, [2], (2,)),
        ("X Y Z A", WRONG_ANSWER, 0, [], None),
        ("A B C X", WRONG_ANSWER, 0, [], None),  # but for a letter that of F1F1
        ("O P", WRONG_STEP, 0, [], None),
        ("", MALFORMED, -1, [], None),
        ("O P Q N <answer>", MALFORMED, -1, [], None),
    ],
)
def test_all_that_is_said_of_an_answer_alone(text, kind, valid, rules, executes):
    cipher = make("F1F2", cot=False)
    found = one(cipher, "A B C D", "F1F2", text)
    assert KINDS[found.kind[0]] == KINDS[kind]
    assert found.lines[0] == (kind != MALFORMED)
    assert (found.valid[0, 0], found.follows[0], found.missing[0]) == (valid, valid == 1, 0)
    assert np.flatnonzero(found.rules[0, 0]).tolist() == rules
    assert found.ends[0].tolist() == [len(text.split()) * (kind != MALFORMED), 0, 0, 0]
    assert found.executes[0] >= 0 or executes is None
    if executes is not None:
        letters = written(cipher, "A B C D")
        assert_array_equal(follow(cipher, letters, found.maps[found.executes[0]]), follow(cipher, letters, executes))


def test_a_replay_among_too_many_compositions_is_not_looked_for():
    """Of five rules 243 compositions are looked through, and one makes B C D A; of six 729 would have to be. And where
    there are two rules, 512 of nine, and not 1,024 of ten.
    """
    for name, kind in (("F1F2F1F2F1", REPLAYED), ("F1F2F1F2F1F2", WRONG_ANSWER)):
        assert one(make(name, cot=False), "A B C D", name, "B C D A").kind[0] == kind
    for name, text, kind in (("F1" * 9, "B C D A", REPLAYED), ("F1" * 10, "C D A B", WRONG_ANSWER)):
        assert one(make(name, cot=False, rules=RULES[:2]), "A B C D", name, text).kind[0] == kind


def test_rows_of_several_sizes_are_diagnosed_each_by_itself():
    """Of three and of four letters, of one rule and of two, right and wrong, in one batch."""
    cipher = make("F1F2", "F1")
    problems = [("A B C", "F1F2"), ("A B C D", "F1"), ("A B C D", "F1F2"), ("B C D", "F1"), ("A B C D", "F2")]
    texts = ["N O P [F2] <answer> O P N", "N O P Q", "N O P Q [F2] <answer> O P Q O", "O P Q", "A B C D"]
    kinds = [RIGHT, RIGHT, WRONG_ANSWER, RIGHT, WRONG_ANSWER]
    clean = concatenate([cipher.render(written(cipher, a), cipher.parse(name)) for a, name in problems])
    text = np.array([np.pad(ids, (0, 10 - len(ids))) for ids in map(cipher.vocabulary.encode, texts)])
    found = diagnose(cipher, clean, text)
    assert [KINDS[kind] for kind in found.kind] == [KINDS[kind] for kind in kinds]
    assert verify(cipher, clean, text).tolist() == [True, True, False, True, False]
    assert found.lines.tolist() == [2, 1, 2, 1, 1]
    for row, ((element, name), its) in enumerate(zip(problems, texts, strict=True)):
        alone = one(cipher, element, name, its)
        for column in ("kind", "lines", "missing", "follows", "compositions"):
            assert getattr(found, column)[row] == getattr(alone, column)[0], column
        width = alone.valid.shape[1]
        for column in ("valid", "ends", "rules"):
            assert_array_equal(getattr(found, column)[row][:width], getattr(alone, column)[0])


def test_an_answer_is_what_follows_the_last_marker_whole():
    cipher = make("F1F2")
    batch = cipher.render(written(cipher, "A B C D"), (0, 1))
    for text, right in (
        ("O P Q N", True),
        ("O P Q N O", False),
        ("O P Q", False),
        ("", False),
        ("<answer>", False),
        ("O P Q N <answer>", False),
        ("X <answer> O P Q N", True),
        ("<answer> O P Q N <answer> O P Q X", False),
    ):
        ids = cipher.vocabulary.encode(text)[None]
        assert verify(cipher, batch, ids)[0] == right, text
        assert verify(cipher, batch, np.pad(ids, ((0, 0), (0, 3))))[0] == right, text


# ---- the open layout


def open_one(world, element, rules, text, write=Arithmetic.render):
    return diagnose(world, write(world, written(world, element), rules), written(world, text))


@pytest.mark.parametrize(
    ("text", "kind", "missing", "valid", "ends"),
    [
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10", RIGHT, 0, [1, 1, 1], [5, 10, 15]),
        ("3 8 0 10", RIGHT, 0, [1], [4]),
        ("3 8 0 9", WRONG_ANSWER, 0, [0], [4]),
        ("[x+4] 7 4 0 5 <answer> 7 4 0 5", REPLAYED, 1, [1, 1], [5, 10]),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 [2x] 6 5 0 9 <answer> 6 5 0 9", REPLAYED, -1, [1, 1, 1, 1], [5, 10, 15, 20]),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 [2x] 6 5 0 9 <answer> 6 5 0 8", WRONG_STEP, -1, [1, 1, 1, 0], [5, 10, 15, 20]),
        ("[x+4] 7 4 0 [2x] 3 8 0 <answer> 3 8 0", WRONG_STEP, 0, [0, 1, 1], [4, 8, 12]),  # an atom is left out
        ("3 8 0 10 1 1", WRONG_STEP, 0, [0], [6]),  # two digits more
        ("3 8 0 10 1 1 1", MALFORMED, 0, [], []),
        ("[2x] 3 8 0 10 <answer> 3 8 0 10", WRONG_STEP, 1, [0, 1], [5, 10]),
    ],
)
def test_all_that_is_said_of_an_open_row_by_hand(text, kind, missing, valid, ends):
    found = open_one(sums(), "3 0 7 1", (0, 1), text)
    lines = len(valid)
    assert (KINDS[found.kind[0]], found.lines[0], found.missing[0]) == (KINDS[kind], lines, missing)
    assert found.valid[0].tolist() == valid + [-1] * (5 - lines)
    assert found.ends[0].tolist() == ends + [0] * (5 - lines)
    assert found.follows[0] == (valid[-1:] == [1])


def test_rules_that_lead_to_an_open_line_by_hand():
    """0 0 0 0 doubled is itself, and so is its cube; x + 4 makes 4 4 4 4, and doubled 8 8 8 8, which 4 + 4 is too."""
    text = "[2x] 0 0 0 0 [x+4] 4 4 4 4 [2x] 8 8 8 8 <answer> 8 8 8 8"
    found = open_one(sums(), "0 0 0 0", (1, 0, 1), text)
    assert found.kind[0] == RIGHT
    led = [np.flatnonzero(rules).tolist() for rules in found.rules[0]]
    assert led == [[1, 2], [0], [0, 1], [], [], []]
    assert found.compositions[0] > 1


def test_two_open_lines_more_than_asked_for_are_still_read():
    world = sums()
    for more, kind in ((1, REPLAYED), (2, REPLAYED), (3, MALFORMED)):
        text = world.render(written(world, "3 0 7 1"), (0, 1, 0, 1, 0)[: 2 + more]).completion()
        found = diagnose(world, world.render(written(world, "3 0 7 1"), (0, 1)), text)
        assert (KINDS[found.kind[0]], found.lines[0]) == (KINDS[kind], (3 + more) * (kind != MALFORMED))
        assert found.missing[0] == -more * (kind != MALFORMED)


def test_a_right_answer_too_deep_to_be_looked_for_is_its_own_composition(monkeypatch):
    """Of so few maps as are looked through here, none leads there."""
    world, rules = sums(), (2, 0, 2, 0, 2)
    gold = world.direct(written(world, "3 0 7 1"), rules).completion()
    monkeypatch.setattr("alchemy.data.compositions.GROUP", 3)
    found = diagnose(world, world.direct(written(world, "3 0 7 1"), rules), gold)
    assert (found.kind[0], found.compositions[0], found.maps[found.executes[0]]) == (RIGHT, 1, rules)
    wrong = gold.copy()
    wrong[0, 0] = world.vocabulary.first_atom + (wrong[0, 0] - world.vocabulary.first_atom + 1) % 11
    found = diagnose(world, world.direct(written(world, "3 0 7 1"), rules), wrong)
    assert (found.compositions[0], found.executes[0]) == (0, -1)


def test_open_rows_of_several_sizes_are_diagnosed_each_by_itself(monkeypatch):
    monkeypatch.setattr("alchemy.data.compositions.GROUP", 24)  # few maps are quickly looked through
    batch = concatenate([rows(60, chains=0.5), rows(60, "more", chains=1.0)])
    text, rng = batch.completion(), stream(2, "open")
    noise = rng.integers(1, len(WORLD.vocabulary), text.shape).astype(np.int16)
    broken = np.where((rng.random(text.shape) < 0.05) & (text != PAD), noise, text)
    found = diagnose(WORLD, batch, broken)
    for row in range(0, 120, 3):
        size = int((batch.role[row] != Role.PAD).sum())
        alone = batch[row : row + 1]
        alone = diagnose(WORLD, Batch(*(part[:, :size] for part in arrays(alone))), broken[row : row + 1])
        for column in ("kind", "lines", "missing", "follows", "compositions"):
            assert getattr(found, column)[row] == getattr(alone, column)[0], column
        width = alone.valid.shape[1]
        for column in ("valid", "ends", "rules"):
            assert_array_equal(getattr(found, column)[row][:width], getattr(alone, column)[0])
        if alone.executes[0] >= 0:
            assert found.maps[found.executes[row]] == alone.maps[alone.executes[0]]


def arrays(batch):
    return batch.tokens, batch.role, batch.step
