"""The world of operations modulo a prime: steps by hand, what training has, and what is refused."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.batch import Role
from alchemy.data.sampling import draw, in_side, problems_of
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES
from tests.helpers.worlds import WORLDS

ARITHMETIC = WORLDS["arithmetic"]
OPERATIONS = ARITHMETIC.operations
POWERS = {  # modulo 11, worked out by hand
    "x**3": "0 1 8 5 9 4 7 2 6 3 10",
    "x**7": "0 1 7 9 5 3 8 6 2 4 10",
    "2x**3+1": "1 3 6 0 8 9 4 5 2 7 10",
}


def ids(text):
    return ARITHMETIC.vocabulary.encode(text)[None]


def said(batch):
    return ARITHMETIC.vocabulary.decode(batch.tokens[0])


def numbers(*names):
    return tuple(OPERATIONS.index(name) for name in names)


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("x+4", "3 0 7 10", "7 4 0 3"),
        ("2x", "3 0 7 10", "6 0 3 9"),
        ("3x+5", "3 0 7 10", "3 5 4 2"),
        ("10x", "3 0 7 10", "8 0 4 1"),  # 10 is -1
        *((name, "0 1 2 3 4 5 6 7 8 9 10", after) for name, after in POWERS.items()),
    ],
)
def test_an_operation_by_hand(operation, before, after):
    assert_array_equal(ARITHMETIC.apply(OPERATIONS.index(operation), ids(before)), ids(after))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_what_python_makes_of_its_text(operation):
    text = operation.replace("x", "*x").lstrip("*") if operation[0] != "x" else operation
    for x in range(11):
        expected = eval(text, {"x": x}) % 11
        assert_array_equal(ARITHMETIC.apply(OPERATIONS.index(operation), ids(str(x))), ids(str(expected)))


def test_what_is_no_digit_stays_what_it_is():
    specials = np.arange(ARITHMETIC.vocabulary.first_atom, dtype=np.int16)[None]
    assert_array_equal(ARITHMETIC.apply(0, specials), specials)


def test_rows_of_both_modes_by_hand():
    asked = ids("3 0 7 1"), numbers("x+4", "2x")
    chain = "3 0 7 1 [x+4] [2x] [x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10 </s>"
    assert said(ARITHMETIC.render(*asked)) == chain
    assert said(ARITHMETIC.direct(*asked)) == "3 0 7 1 [x+4] [2x] 3 8 0 10 </s>"
    assert ARITHMETIC.spell(asked[1]) == "x+4:2x"
    replayed = ARITHMETIC.render(*asked, executed=numbers("2x", "2x"))
    assert said(replayed) == "3 0 7 1 [x+4] [2x] [x+4] 6 0 3 2 [2x] 1 0 6 4 <answer> 1 0 6 4 </s>"


def test_training_has_all_compositions_but_those_held_out():
    every = {c for k in (1, 2, 3) for c in product(range(12), repeat=k)}
    train = ARITHMETIC.train
    held_out = set(train.held_out.compositions)
    assert len(held_out) == 200
    assert {len(c) for c in held_out} == {3}
    assert set(train.compositions) == every - held_out
    assert sum(train.shares) == pytest.approx(1)
    assert set(AXES["task"](ARITHMETIC, 1).compositions) == held_out
    other = replace(ARITHMETIC, draw=1).train
    assert set(other.held_out.compositions) != held_out
    few = replace(ARITHMETIC, compositions=(0, 10, 20)).train
    assert [sum(len(c) == k for c in few.compositions) for k in (1, 2, 3)] == [12, 10, 20]
    assert few.held_out == train.held_out


def test_depths_are_drawn_by_their_shares_and_digits_uniformly():
    batch = draw(ARITHMETIC, ARITHMETIC.train, 30_000, stream(0, "shares"), "train")
    depth = (batch.role == Role.TRANSFORMATION).sum(axis=1)
    for k, share in ((1, 0.2), (2, 0.4), (3, 0.4)):
        assert abs((depth == k).mean() - share) < 5 * (share * (1 - share) / len(batch)) ** 0.5
    counts = np.bincount(batch.tokens[:, :4].ravel() - ARITHMETIC.vocabulary.first_atom)
    expected = 4 * 30_000 / 11
    assert ((counts - expected) ** 2 / expected).sum() < 29.6  # chi-square, 10 degrees of freedom, p = 0.001


def test_operations_are_asked_for_as_often_as_they_are_said_to_be():
    """Within each depth, in proportion to the product over operations."""
    world = replace(ARITHMETIC, often=(4.0, 2.0, *(1.0,) * 10), held_out=0)
    share = dict(zip(world.train.compositions, world.train.shares, strict=True))
    for k, whole in ((1, 0.2), (2, 0.4), (3, 0.4)):
        assert sum(value for c, value in share.items() if len(c) == k) == pytest.approx(whole)
        assert share[(2,) * k] == pytest.approx(whole / 16**k)
        assert share[(0, 1, 2)[:k]] / share[(2,) * k] == pytest.approx((4, 8, 8)[k - 1])


def test_no_held_out_composition_is_ever_in_training():
    rows = draw(ARITHMETIC, ARITHMETIC.train, 50_000, stream(0, "train"), "train")
    asked = {composition for _, _, composition in problems_of(rows, ARITHMETIC.vocabulary)}
    assert not asked & set(ARITHMETIC.train.held_out.compositions)


@pytest.mark.parametrize("side", ["valid", "test"])
def test_a_split_by_element_leaves_none_of_another_side_in_training(side):
    """Of 121 elements. By problem, nearly all of them are in training, with other operations."""
    for split, shared in (("problem", 121), ("element", 0)):
        world = replace(ARITHMETIC, length=2, split=split)
        sides = [draw(world, world.train, 20_000, stream(2, one), one).tokens[:, :2] for one in ("train", side)]
        there, other = ({tuple(element) for element in its.tolist()} for its in sides)
        assert len(there & other) == shared
        assert len(other) == 121 if shared else 2 < len(other) < 40


def test_an_element_of_a_split_by_element_is_on_one_side_with_any_operations():
    world = replace(ARITHMETIC, length=2, split="element")
    every = np.array([*product(range(11), repeat=2)], dtype=np.int16) + world.vocabulary.first_atom
    number = len(world.train.compositions)
    sides = [
        in_side(world.vocabulary, world.train, every, np.full(121, which), "train") for which in range(0, number, 40)
    ]
    assert (np.array(sides) == sides[0]).all()
    assert 121 * 0.6 < sides[0].sum() < 121 * 0.9


def test_every_shift_keeps_the_split():
    world = replace(ARITHMETIC, split="element")
    for axis, level in (("task", 1), ("composition", 3), ("length", 1), ("steps", 3), ("format", 2)):
        assert AXES[axis](world, level).split == "element", axis


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"split": "row"}, "split=row is unknown: use one of problem, element"),
        ({"modulus": 10}, "modulus=10 is no prime"),
        ({"modulus": 1}, "modulus=1 is no prime"),
        ({"operations": ()}, "operations is empty"),
        ({"operations": ("x-4",)}, "operations names 'x-4'"),
        ({"operations": ("x+1", "x+1")}, "names one twice"),
        ({"operations": ("x**2",)}, "maps two digits modulo 11 onto one"),
        ({"operations": ("11x",)}, "maps two digits modulo 11 onto one"),
        ({"length": 0}, "length=0 leaves no digits"),
        ({"depths": ()}, "depths="),
        ({"depths": (0, 1, 2)}, "depths="),
        ({"depths": (1, 1, 2)}, "depths="),
        ({"depths": (1, 2, 9)}, "depths="),
        ({"shares": (0.5, 0.5)}, "shares="),
        ({"shares": (0, 0, 0)}, "shares="),
        ({"shares": (-1, 1, 1)}, "shares="),
        ({"chains": (0.5,)}, "chains="),
        ({"chains": (0.5, 0.5, 2)}, "chains="),
        ({"compositions": (0, 0)}, "compositions="),
        ({"compositions": (0, 0, 1600)}, "held_out=200 do not fit"),
        ({"compositions": (0, -1, 0)}, "compositions="),
        ({"held_out": 1728}, "held_out=1728 do not fit"),
        ({"held_out": -1}, "held_out=-1 is negative"),
        ({"draw": -1}, "draw=-1 is negative"),
        ({"often": (1, 2)}, "often=[1, 2] must have"),
        ({"often": (0,) * 12}, "often="),
    ],
    ids=str,
)
def test_a_setting_that_makes_no_sense_is_refused_in_a_sentence(settings, words):
    with pytest.raises(ValueError, match=r"^[a-z_]+( |=)") as refused:
        replace(ARITHMETIC, **settings)
    assert words in str(refused.value)
