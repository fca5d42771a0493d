"""The cipher world by hand."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import islice, product

import numpy as np
import pytest

from alchemy.data.answers import verify
from alchemy.data.sampling import draw, render
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, Shift, asking, corrupt, deepen, describe, number_of, recompose
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import ANSWER
from tasks.cipher import Cipher
from tests.helpers.worlds import WORLDS


def word(cipher, letters):
    return np.array([cipher.vocabulary.ids[letter] for letter in letters], dtype=np.int16)


def test_apple(cipher):
    turned = cipher.apply(0, word(cipher, "APPLE"))
    assert cipher.vocabulary.decode(turned) == "N C C Y R"
    assert cipher.vocabulary.decode(cipher.apply(1, turned)) == "C C Y R N"
    assert cipher.vocabulary.decode(cipher.apply(2, turned)) == "R Y C C N"


def test_places_are_permuted_and_letters_substituted_by_hand():
    rules = ("permute 2 0 1", "substitute BADCFEHGJILKNMPORQTSVUXWZY")
    world = Cipher(rules, ("F1F2",), 4, "", 0, 0, (), cot=True)
    assert world.vocabulary.decode(world.apply(0, word(world, "ABCD"))) == "C A B D"
    assert world.vocabulary.decode(world.apply(0, word(world, "ABCDE"))) == "C A B D E"
    assert world.vocabulary.decode(world.apply(0, word(world, "AB"))) == "A B"
    assert world.vocabulary.decode(world.apply(1, word(world, "ABYZ"))) == "B A Z Y"
    row = world.render(word(world, "ABCD")[None], (0, 1))
    assert world.vocabulary.decode(row.tokens[0]) == "A B C D [F1] [F2] <think> C A B D [F2] <answer> D B A C </s>"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("permute 0 0 1 2", "write each place once"),
        ("permute 1 2 3 4", "write each place once"),
        ("permute 1 0 2 3 4", "for more places than length=4"),
        ("permute", "write 'rotate 13'"),
        ("substitute ABC", "write 'rotate 13'"),
        ("substitute AACDEFGHIJKLMNOPQRSTUVWXYZ", "write each letter of the alphabet once"),
    ],
)
def test_a_rule_that_is_no_permutation_is_refused(rule, said):
    with pytest.raises(ValueError, match=said):
        Cipher((rule,), ("F1F1",), 4, "", 0, 0, (), cot=True)


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
        ({"rules": ("turn 3",)}, "rules"),
        ({"training": ()}, "training"),
        ({"training": ("F1F9",)}, "F9"),
        ({"training": ("F1F1", "F1F1")}, "training"),
        ({"length": 0}, "length"),
        ({"unseen_atoms": "é"}, "unseen_atoms"),
        ({"unseen_places": -1}, "unseen_places"),
        ({"unseen_places": 1}, "unseen_places"),
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


# ---- shifts, level by level


def plain(*training, rules=("rotate 13", "roll 1", "reverse"), length=4, shares=(), **kept):
    kept = {"unseen_atoms": "", "unseen_places": 0, "seen_places": 0} | kept
    return Cipher(rules, training, length, shares=shares, cot=True, **kept)


def test_an_axis_ends_where_it_says(cipher):
    """The lowest and the highest level of each axis are there, and the next ones refused with both named."""
    ends = {"task": (0, 3), "element": (0, 2), "places": (0, 4), "atoms": (0, 4), "format": (0, 20)}
    for axis, (lowest, highest) in ends.items():
        assert AXES[axis](cipher, lowest) == cipher.train
        assert AXES[axis](cipher, highest) != cipher.train
        for level in (lowest - 1, highest + 1):
            words = f"shift.axis={axis} has no level {level}: use {lowest} to {highest} in"
            with pytest.raises(ValueError, match=words):
                AXES[axis](cipher, level)
    assert AXES["length"](cipher, -3).length == 1
    with pytest.raises(ValueError, match=r"shift\.axis=length level -4 leaves 0 atoms: use -3 or more"):
        AXES["length"](cipher, -4)
    with pytest.raises(ValueError, match=r"shift\.axis=steps level -2 leaves 0 rules: use -1 or more"):
        AXES["steps"](cipher, -2)
    with pytest.raises(ValueError, match=r"shift\.axis=composition has no level -1"):
        AXES["composition"](cipher, -1)
    assert (corrupt(cipher, 7).noise.rate, corrupt(cipher, 20).noise.rate) == (0.35, 1.0)
    assert (corrupt(cipher, 1).noise.kind, corrupt(cipher, 1).noise.domain) == ("hybrid", "all")
    noise = Shift("format", (2,), "insert", "element").at(cipher, 2).noise
    assert (noise.kind, noise.domain, noise.rate) == ("insert", "element", 0.1)
    assert Shift("length", (0, 1)).at(cipher, 1) == AXES["length"](cipher, 1)


def test_an_axis_that_training_leaves_nothing_for_is_refused_past_level_zero():
    for axis, level, words in (
        ("places", 1, "shift.axis=places level 1 needs atoms kept from some places"),
        ("element", 1, "shift.axis=element level 1 needs atoms kept from some places"),
        ("atoms", 1, "shift.axis=atoms level 1 needs atoms kept out"),
        ("element", 2, "shift.axis=element level 2 needs atoms kept out"),
    ):
        assert AXES[axis](plain("F1F2"), 0) == plain("F1F2").train
        with pytest.raises(ValueError, match=words):
            AXES[axis](plain("F1F2"), level)
    either = [plain("F1F2", unseen_places=4), plain("F1F2", seen_places=4)]
    assert [AXES["places"](task, 2).novel_places for task in either] == [2, 2]
    assert [AXES["element"](task, 1).novel_places for task in either] == [1, 1]
    task = plain("F1F2", unseen_atoms="Z")
    assert (AXES["atoms"](task, 3).novel_atoms, AXES["element"](task, 2).novel_atoms) == (3, 1)
    for axis in ("places", "atoms"):
        words = f"shift.axis={axis} has no level 5: use 0 to 4"
        with pytest.raises(ValueError, match=words):
            AXES[axis](task, 5)


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (1, "F1"),
        (3, "F3"),
        (4, "F1F1"),
        (5, "F1F2"),
        (7, "F2F1"),
        (12, "F3F3"),
        (13, "F1F1F1"),
        (39, "F3F3F3"),
        (40, "F1F1F1F1"),
    ],
)
def test_compositions_are_counted_from_the_short_ones(level, name):
    task = plain("F2F2")
    composition = task.parse(name)
    assert AXES["composition"](task, level).compositions == (composition,)
    assert number_of(composition, 3) == level


def test_training_itself_is_no_level_of_compositions_but_one_of_several_is():
    with pytest.raises(ValueError, match=r"shift\.axis=composition level F1F2 is training itself: use level 0"):
        AXES["composition"](plain("F1F2"), 5)
    assert AXES["composition"](plain("F1F2", "F2F1"), 5).compositions == ((0, 1),)


def test_new_compositions_by_hand():
    """Training has chains of two rules and of one; F3 and F4 are unseen."""
    task = plain("F1F2", "F2", rules=("rotate 13", "roll 1", "reverse", "roll 2"))
    spelled = [{task.spell(c) for c in recompose(task, level).compositions} for level in (1, 2, 3)]
    assert spelled[0] == {"F1", "F1F1", "F2F1", "F2F2"}
    assert spelled[1] == {f"F{a}F{b}" for a, b in ("13", "14", "23", "24", "31", "32", "41", "42")}
    assert spelled[2] == {"F3", "F4", "F3F3", "F3F4", "F4F3", "F4F4"}


def test_compositions_that_are_held_out_stand_for_all_new_ones_of_known_rules():
    task = WORLDS["diverse"]
    assert recompose(task, 1).compositions == task.train.held_out.compositions != ()
    assert not set(recompose(task, 2).compositions) & set(task.train.held_out.compositions)


def where(compositions, shares=(), chains=()):
    return Distribution(tuple(compositions), 4, shares=shares, chains=chains)


def test_how_many_of_other_compositions_have_chains_by_hand():
    """F1 .2 and F2 .8, of which half and a quarter of the rows are, so .4 of those of one rule; F1F2 always."""
    train = where([(0,), (1,), (0, 1)], (0.5, 0.25, 0.25), (0.2, 0.8, 1.0))
    found = asking(train, ((0,), (2,), (1, 1), (0, 1, 0)))
    assert found.chains == pytest.approx((0.2, 0.4, 1.0, 0.5 * 0.2 + 0.25 * 0.8 + 0.25))
    assert (found.shares, found.length, found.compositions) == ((), 4, ((0,), (2,), (1, 1), (0, 1, 0)))
    alike = asking(replace(train, shares=()), ((2,), (0, 1, 0)))
    assert alike.chains == pytest.approx((0.5, 2 / 3))
    never = asking(where([(0,), (0, 1)], (1.0, 0.0), (0.3, 0.9)), ((1, 1), (0, 1)))
    assert never.chains == pytest.approx((0.3, 0.9))  # of those that training never asks, as of all
    assert asking(where([(0,)], (1.0,)), ((0, 1),)) == where([(0, 1)])


def deeper(level, *training, shares=(), chains=()):
    task = plain(*training)
    object.__setattr__(task, "train", replace(task.train, shares=shares, chains=chains))
    found = deepen(task, level)
    return [task.spell(c) for c in found.compositions], found.shares, found.chains


def test_deeper_compositions_by_hand():
    assert deeper(3, "F1F2", "F2F1") == (["F1F2F1F2F1", "F2F1F2F1F2"], (), ())
    assert deeper(1, "F1F2", "F2F1", shares=(0.7, 0.3), chains=(0.2, 0.9)) == (
        ["F1F2F1", "F2F1F2"],
        (0.7, 0.3),
        (0.2, 0.9),
    )
    names, shares, chains = deeper(-1, "F1F2", "F1F3", "F2F1", shares=(0.5, 0.3, 0.2), chains=(0.1, 0.2, 0.3))
    assert names == ["F1", "F2"]  # two of them become one, which has the rows of both
    assert shares == pytest.approx((0.8, 0.2))
    assert chains == pytest.approx(((0.5 * 0.1 + 0.3 * 0.2) / 0.8, 0.3))
    assert deeper(-1, "F1F2", "F1F3", "F2F1") == (["F1", "F2"], (), ())
    assert deeper(2, "F1", "F2F1") == (["F1F1F1", "F2F1F2F1"], (), ())
    with pytest.raises(ValueError, match=r"shift\.axis=steps level 1 leads back into training, which mixes 1 and more"):
        deeper(1, "F1", "F1F1")
    assert deeper(0, "F1", "F1F1") == (["F1", "F1F1"], (), ())


def test_labels_by_hand(cipher):
    train = cipher.train  # F1F1, F1F2 and F2F1, four letters

    def label(**changes):
        return describe(cipher, replace(train, **changes))

    assert label(compositions=((0, 1), (1, 0)), shares=()) == "F1F2 F2F1"
    assert label(compositions=((0, 1), (1, 0), (1, 1)), shares=()) == "F1F2 … F2F2"
    assert label(compositions=((0,), (1,), (0, 1)), shares=()) == "k = 1, 2"
    assert label(compositions=((0,),), shares=()) == "F1"  # a single one by its name, whatever its length
    assert label(novel_places=1) == "atom at new place"
    assert label(novel_places=3) == "3 atoms at new places"
    assert label(novel_atoms=1) == "unseen atom"
    assert label(novel_atoms=2) == "2 unseen atoms"
    assert label(length=3, novel_places=2, noise=corrupt(cipher, 5).noise) == "2 atoms at new places, l = 3, 25%"


def test_a_shift_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"shift\.axis=mood is not an axis: use one of task, composition, element"):
        Shift("mood", (0,))
    with pytest.raises(ValueError, match=r"shift\.levels=\[0, 'F1'\] must be whole numbers"):
        Shift("task", (0, "F1"))
