"""The typed trace: gold is all true, what is corrupted is found and nothing else, and any completion can be read."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.answers import verify
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution, terse
from alchemy.data.vocabulary import ANSWER, PAD
from alchemy.measures.trace import COMPUTE, RECALL, TYPES, trace_steps
from tasks.arithmetic import Arithmetic
from tests.helpers.worlds import WORLDS

MODES = {name: world for name, world in WORLDS.items() if terse(world)}
FIELDS = ("kind", "truth", "ends", "faithful", "answer", "right")
moded = pytest.mark.parametrize("world", MODES.values(), ids=MODES)


def sums():
    return Arithmetic(11, ("x+4", "2x", "x**3"), 4, (1, 2, 3), (0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), 0, (), 0)


def told(world, element, composition, text):
    clean = world.render(world.vocabulary.encode(element)[None], composition)
    return trace_steps(world, clean, world.vocabulary.encode(text)[None])


def plain(world, clean, completion):
    """The same row by row and token by token, from the words of the page alone."""
    vocabulary, rows = world.vocabulary, []
    for prompt, tokens in zip(clean.tokens, completion, strict=True):
        said = [token for token in tokens.tolist() if token != PAD]
        kept = [token for token in prompt.tolist() if token not in (PAD, ANSWER)]
        first = next(i for i, token in enumerate(kept) if is_rule(vocabulary, token))
        element, asked = kept[:first], []
        for token in kept[first:]:
            if not is_rule(vocabulary, token):
                break
            asked.append(token - vocabulary.first_rule)
        asked = asked[: int((clean.role[len(rows)] == 1).sum())]
        rows.append(plain_row(world, element, asked, said))
    K = max(len(row[0]) for row in rows)
    filled = [[row[i] + [(-1, -1, 0, False)[i]] * (K - len(row[i])) for row in rows] for i in range(4)]
    return [np.array(column) for column in filled] + [np.array([row[i] for row in rows]) for i in (4, 5)]


def is_rule(vocabulary, token):
    return vocabulary.first_rule <= token < vocabulary.first_atom


def plain_row(world, element, asked, tokens):
    vocabulary = world.vocabulary
    marks = [i for i, token in enumerate(tokens) if token == ANSWER]
    direct = not marks and bool(tokens) and tokens[0] >= vocabulary.first_atom
    start = marks[-1] + 1 if marks else 0 if direct else len(tokens)
    kind, truth, ends, faithful, state = [], [], [], [], element
    for i in (i for i in range(start) if is_rule(vocabulary, tokens[i])):
        rule, end = tokens[i] - vocabulary.first_rule, i + 1
        while end < start and not is_rule(vocabulary, tokens[end]) and tokens[end] != ANSWER:
            end += 1
        follows = bool(state) and min(state) >= vocabulary.first_atom
        follows = follows and applied(world, rule, state) == tokens[i + 1 : end]
        faithful.append(len(kind) < len(asked) and asked[len(kind)] == rule)
        kind.append(TYPES.index(world.kinds[rule]))
        truth.append(int(follows))
        ends.append(end)
        state = tokens[i + 1 : end]
    number = len(kind)
    for column, fill in ((kind, -1), (truth, -1), (ends, 0), (faithful, False)):
        column.extend([fill] * (len(asked) - number))
    answer, gold = tokens[start:], element
    for rule in asked:
        gold = applied(world, rule, gold)
    agrees = direct or (number > 0 and bool(answer) and answer == state)
    return kind, truth, ends, faithful, agrees, answer == gold


def applied(world, rule, state):
    return world.apply(rule, np.array([state], dtype=np.int16))[0].tolist()


@moded
def test_a_gold_trace_is_all_true(world):
    batch = draw(world, world.train, 500, stream(0, "trace"))
    found = trace_steps(world, batch, batch.completion())
    steps = found.kind >= 0
    assert steps.any()
    assert_array_equal(found.truth, np.where(steps, 1, -1))
    assert_array_equal(found.faithful, steps)
    assert found.answer.all()
    assert found.right.all()


def corrupted(world, batch, chosen):
    """Gold completions whose states at the `chosen` steps (B, K) end in another atom."""
    wrong = batch.completion()
    row, step = np.nonzero(chosen)
    at = trace_steps(world, batch, wrong).ends[row, step] - 1
    last = len(world.vocabulary) - 1
    wrong[row, at] = np.where(wrong[row, at] == last, world.vocabulary.first_atom, wrong[row, at] + 1)
    return wrong


@moded
def test_corrupted_states_are_found(world):
    where = Distribution(world.train.compositions, world.train.length)
    batch = draw(world, where, 400, stream(1, "trace"))
    steps = trace_steps(world, batch, batch.completion()).ends > 0
    for share in (0.2, 1.0):
        chosen = steps & (stream(0, "corrupt").random(steps.shape) < share)
        wrong = corrupted(world, batch, chosen)
        found = trace_steps(world, batch, wrong)
        for name, expected in zip(FIELDS, plain(world, batch, wrong), strict=True):
            assert_array_equal(getattr(found, name), expected, err_msg=name)
        alone = chosen & (chosen.sum(axis=1) == 1)[:, None]
        assert (found.truth[alone] == 0).all()
        assert found.right.all()


def test_n_corrupted_states_make_just_n_steps_false_and_the_next_ones():
    """Operations map no two digits onto one, so what follows a wrong state as gold does never follows from it."""
    world = sums()
    batch = draw(world, Distribution(world.train.compositions, 4), 300, stream(1, "trace"))
    steps = trace_steps(world, batch, batch.completion()).ends > 0
    chosen = steps & (np.arange(3) == stream(0, "corrupt").integers(0, 3, (300, 1)))
    false = chosen | (steps & np.pad(chosen, ((0, 0), (1, 0)))[:, :3])
    found = trace_steps(world, batch, corrupted(world, batch, chosen))
    assert_array_equal(found.truth, np.where(false, 0, np.where(steps, 1, -1)))
    assert chosen.sum() > 100


@moded
def test_any_completion_is_read_as_the_plain_reader_reads_it(world):
    batch = draw(world, world.train, 300, stream(2, "trace"))
    rng, gold = stream(2, "broken"), batch.completion()
    noise = rng.integers(1, len(world.vocabulary), gold.shape).astype(np.int16)
    mixed = np.where(rng.random(gold.shape) < rng.choice([0.05, 0.3, 1.0], (len(gold), 1)), noise, gold)
    cut = np.where(np.arange(gold.shape[1]) < rng.integers(0, gold.shape[1] + 1, (len(gold), 1)), mixed, PAD)
    cut = np.array([np.pad(row[row != PAD], (0, (row == PAD).sum())) for row in cut])  # no padding between symbols
    found = trace_steps(world, batch, cut)
    for name, expected in zip(FIELDS, plain(world, batch, cut), strict=True):
        assert_array_equal(getattr(found, name), expected, err_msg=name)
    assert_array_equal(found.right, verify(world, batch, cut))
    empty = trace_steps(world, batch, cut[:, :0])
    assert (empty.kind == -1).all()
    assert not (empty.right | empty.answer).any()


@pytest.mark.parametrize(
    ("text", "truth", "faithful", "ends", "answer", "right"),
    [
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 <answer> 3 8 0 10", [1, 1], [1, 1], [5, 10], 1, 1),
        ("3 8 0 10", [-1, -1], [0, 0], [0, 0], 1, 1),
        ("3 8 0 9", [-1, -1], [0, 0], [0, 0], 1, 0),
        ("[x+4] 7 4 0 6 [2x] 3 8 0 1 <answer> 3 8 0 10", [0, 1], [1, 1], [5, 10], 0, 1),  # wrong, and then right
        ("[2x] 6 0 3 2 [x+4] 10 4 7 6 <answer> 10 4 7 6", [1, 1], [0, 0], [5, 10], 1, 0),  # the other way round
        ("[x+4] 7 4 0 5 <answer> 7 4 0 5", [1, -1], [1, 0], [5, 0], 1, 0),
        ("[x+4] 7 4 0 5 [2x] 3 8", [1, 0], [1, 1], [5, 8], 0, 0),  # breaks off
        ("[x+4] 7 4 0 5 [2x]", [1, 0], [1, 1], [5, 6], 0, 0),
        ("[x+4] 7 4 0 5 [2x] 3 8 0 10 [2x] 6 5 0 9 <answer> 6 5 0 9", [1, 1, 1], [1, 1, 0], [5, 10, 15], 1, 0),
        ("<answer> 3 8 0 10", [-1, -1], [0, 0], [0, 0], 0, 1),
        ("[x+4] 7 4 0 5 <answer> 9 [2x] 3 8 0 10 <answer> 3 8 0 10", [1, 1], [1, 1], [5, 12], 1, 1),
        ("</s>", [-1, -1], [0, 0], [0, 0], 0, 0),
    ],
)
def test_a_row_by_hand(text, truth, faithful, ends, answer, right):
    found = told(sums(), "3 0 7 1", (0, 1), text)
    assert found.truth[0].tolist() == truth
    assert found.faithful[0].tolist() == [bool(step) for step in faithful]
    assert found.ends[0].tolist() == ends
    assert found.kind[0].tolist() == [COMPUTE if step >= 0 else -1 for step in truth]
    assert (found.answer[0], found.right[0]) == (answer, right)


def test_a_step_that_recalls_is_told_from_one_that_computes():
    world = MODES["mixture"]
    relations = world.firsts[1]
    batch = draw(world, Distribution(((2, relations + 1), (3,)), world.train.length), 50, stream(0, "typed"))
    found = trace_steps(world, batch, batch.completion())
    two = (batch.role == 1).sum(axis=1) == 2
    assert_array_equal(found.kind, np.where(two[:, None], [RECALL, COMPUTE], [RECALL, -1]))
    assert (found.truth == np.where(found.kind >= 0, 1, -1)).all()


def test_a_world_without_kinds_has_no_typed_trace(cipher):
    batch = draw(cipher, cipher.train, 5, stream(0, "trace"))
    with pytest.raises(ValueError, match="use a world with kinds"):
        trace_steps(cipher, batch, batch.completion())
