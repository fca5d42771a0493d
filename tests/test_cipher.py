"""The cipher world by hand."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import islice, product

import numpy as np
import pytest

from alchemy.diagnose import verify
from alchemy.seeds import stream
from alchemy.shift import AXES, corrupt, describe, recompose
from alchemy.task import draw, render
from alchemy.vocabulary import ANSWER
from tasks.cipher import Cipher


def word(cipher, letters):
    return np.array([cipher.vocabulary.ids[letter] for letter in letters], dtype=np.int16)


def test_apple(cipher):
    turned = cipher.apply(0, word(cipher, "APPLE"))
    assert cipher.vocabulary.decode(turned) == "N C C Y R"
    assert cipher.vocabulary.decode(cipher.apply(1, turned)) == "C C Y R N"
    assert cipher.vocabulary.decode(cipher.apply(2, turned)) == "R Y C C N"


def test_a_chain_writes_each_step_and_the_rules_still_to_do(cipher):
    row = cipher.render(word(cipher, "ABCD")[None], cipher.parse("F1F2F1"))
    assert cipher.vocabulary.decode(row.tokens[0]) == (
        "A B C D [F1] [F2] [F1] <think> N O P Q [F2] [F1] <think> O P Q N [F1] <answer> B C D A </s>"
    )
    assert row.step[0].tolist() == [-1] * 8 + [0] * 6 + [1] * 6 + [-1] * 6


def test_levels_of_the_default_world(cipher):
    spelled = {
        (axis, level): [cipher.spell(c) for c in AXES[axis](cipher, level).compositions]
        for axis, level in (("task", 1), ("task", 2), ("task", 3), ("steps", -1), ("steps", 1))
    }
    assert spelled["task", 1] == ["F2F2"]
    assert spelled["task", 2] == ["F1F3", "F2F3", "F3F1", "F3F2"]
    assert spelled["task", 3] == ["F3F3"]
    assert spelled["steps", -1] == ["F1", "F2"]
    assert spelled["steps", 1] == ["F1F1F1", "F1F2F1", "F2F1F2"]
    assert AXES["length"](cipher, -3).length == 1
    assert corrupt(cipher, 3).noise.rate == 0.15


def test_labels_say_what_a_level_is(cipher):
    def label(axis, level):
        return describe(cipher, AXES[axis](cipher, level))

    assert label("task", 0) == ""
    assert label("task", 1) == "F2F2"
    assert label("length", 1) == "l = 5"
    assert label("steps", -1) == "k = 1"
    assert label("element", 2) == "unseen atom"
    assert label("format", 3) == "15%"


def test_no_letter_kept_out_is_ever_read_or_written_in_training(cipher):
    tokens = draw(cipher, cipher.train, 30_000, stream(0, "train"), "train").tokens
    assert not np.isin(tokens, word(cipher, "MZ")).any()


def test_an_unseen_input_can_be_a_seen_output():
    cipher = Cipher(("rotate 13",), ("F1",), 4, "N", 0, 0, (), True)
    batch = draw(cipher, cipher.train, 2_000, stream(0, "train"), "train")
    n = word(cipher, "N")
    assert not (batch.tokens[:, :4] == n).any()
    assert (batch.completion() == n).any()


def test_element_levels_hold_exactly_one_letter_of_their_kind(cipher):
    def numbers(level):
        where = AXES["element"](cipher, level)
        return draw(cipher, where, 3_000, stream(0, "test")).tokens[:, :4] - cipher.vocabulary.first_atom

    unseen = [np.isin(numbers(level), (12, 25)).sum(axis=1) for level in range(3)]
    assert [set(counts.tolist()) for counts in unseen] == [{0}, {0}, {1}]
    places = np.arange(4)
    novel = [
        ((numbers(level) % 4 == places % 4) & ~np.isin(numbers(level), (12, 25))).sum(axis=1) for level in range(3)
    ]
    assert [set(counts.tolist()) for counts in novel] == [{0}, {1}, {0}]


def test_elements_are_uniform_over_their_support():
    """Every one of the elements with one letter at a new place is as likely as any other."""
    cipher = Cipher(
        ("reverse",), ("F1",), 2, "ACDEFGHIJKLMNOPQRSTUVWX", 2, 0, (), True
    )  # letters B (1), Y (24), Z (25)
    where = replace(cipher.train, novel_places=1)
    drawn = cipher.elements(where, 40_000, stream(0, "uniform"))
    counts = Counter("".join(cipher.vocabulary.decode(row).split()) for row in drawn)
    # at even places training lacks Y, at odd ones B and Z: first new (Y) then Y; or first B or Z then new B or Z
    assert set(counts) == {"YY", "BB", "BZ", "ZB", "ZZ"}
    assert all(count == pytest.approx(8_000, rel=0.05) for count in counts.values())


def test_without_a_chain_the_prompt_asks_for_the_answer(cipher):
    plain = replace(cipher, cot=False)
    row = plain.render(word(plain, "ABCD")[None], (0, 1))
    assert plain.vocabulary.decode(row.tokens[0]) == "A B C D [F1] [F2] <answer> O P Q N </s>"


def test_the_oracle_reads_what_follows_the_last_marker(cipher):
    batch = cipher.render(word(cipher, "ABCD")[None], (0, 1))
    right = cipher.vocabulary.encode("X <answer> Y <answer> O P Q N")[None]
    longer = cipher.vocabulary.encode("<answer> O P Q N N")[None]
    none = cipher.vocabulary.encode("O P Q")[None]
    assert [bool(verify(cipher, batch, c)[0]) for c in (right, longer, none)] == [True, False, False]
    assert (right == ANSWER).sum() == 2


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"rules": ("turn 3",)}, "task.rules"),
        ({"training": ()}, "task.training"),
        ({"training": ("F1F9",)}, "F9"),
        ({"training": ("F1F1", "F1F1")}, "task.training"),
        ({"length": 0}, "task.length"),
        ({"unseen_atoms": "é"}, "task.unseen_atoms"),
        ({"unseen_places": -1}, "task.unseen_places"),
        ({"unseen_places": 1}, "task.unseen_places"),
    ],
)
def test_bad_settings_are_named(cipher, settings, names):
    with pytest.raises(ValueError, match=names):
        replace(cipher, **settings)


def test_a_level_without_problems_says_what_to_change(cipher):
    with pytest.raises(ValueError, match=r"task\.training"):
        recompose(replace(cipher, training=("F1F1", "F1F2", "F2F1", "F2F2"), rules=cipher.rules[:2]), 1)
    with pytest.raises(ValueError, match=r"task\.rules"):
        recompose(replace(cipher, rules=cipher.rules[:2]), 3)


def test_the_rows_of_this_format_never_change(cipher):
    """If this fails, one seed no longer gives the rows it gave: say so in the release, then mend this."""
    rows = draw(cipher, corrupt(cipher, 4), 1_000, stream(0, "test")).tokens
    assert sha256(rows.tobytes()).hexdigest()[:16] == "371070ecf7781ae6"


@pytest.mark.parametrize("count", [40_000, 70_000])
def test_each_of_very_many_compositions_gets_its_own_rows(cipher, count):
    """More than a signed, and than an unsigned number of two bytes can tell apart."""
    plain = replace(cipher, cot=False)
    compositions = tuple(islice(product(range(3), repeat=11), count))
    where = replace(plain.train, compositions=compositions)
    elements, which = plain.problems(where, 50, stream(0, "rows"))
    for row, element, place in zip(render(plain, where, elements, which).tokens, elements, which, strict=True):
        assert row.tolist() == plain.render(element[None], compositions[place]).tokens[0].tolist()
