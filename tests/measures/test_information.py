"""What a chain tells: rows by hand, a loop over them, the sum of the parts, and shares of true steps by corruption."""

from math import exp, isnan, log

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from alchemy.data.batch import Batch, Role, concatenate
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import ANSWER, PAD
from alchemy.measures.information import after, audible, chain, gains, information, knowledge_index, told, unaided
from alchemy.measures.knowledge import questions
from alchemy.measures.trace import COMPUTE, RECALL, trace_steps
from alchemy.models.decoding import Opening, complete
from alchemy.models.likelihood import log_likelihood
from tests.helpers.knowing import CONTEXT, FIRST, RECALLED, RULE, STEPS, WORLD, rows, trained, untrained

SHARP = untrained(scale=20.0)
NAMES = {"infogain", "infogain_bounded", "nats", "nats_step", "steps", "ki"}


def encoded(*texts):
    """(B, C) ids of texts, padded on the right."""
    ids = [WORLD.vocabulary.encode(text).tolist() for text in texts]
    return np.array([row + [PAD] * (max(map(len, ids)) - len(row)) for row in ids], dtype=np.int16)


def problem(element="2 0 2", composition=(4, 3)):
    """The problem 2 0 2 [x**3] [2x], whose chain is [x**3] 3 0 3 [2x] 1 0 1."""
    return WORLD.render(WORLD.vocabulary.encode(element)[None], composition)


def twice(batch):
    return concatenate([batch, batch])


def mixed(count=30):
    """Problems, whose chains a model that is no good writes, of one step and of two, and facts."""
    batch = concatenate(
        [rows(count, "mixed", chains=1.0), questions(WORLD, STEPS, count, stream(0, "m"), "train", 1.0)]
    )
    return batch, complete(untrained(3, scale=20.0), batch, opening=Opening("slow", FIRST))


# ---- rows


def test_the_rows_that_are_asked_by_hand():
    clean, written = twice(twice(problem())), encoded(*["[x**3] 3 0 3 [2x] 1 0 4 <answer> 1 0 4"] * 4)
    batch = told(clean, written, np.array([0, 4, 8, 1], dtype=np.int16), FIRST)
    bare = "2 0 2 [x**3] [2x]"
    assert [WORLD.vocabulary.decode(row) for row in batch.tokens] == [
        f"{bare} 1 0 1",
        f"{bare} [x**3] 3 0 3 <answer> 1 0 1",
        f"{bare} [x**3] 3 0 3 [2x] 1 0 4 <answer> 1 0 1",
        f"{bare} [x**3] <answer> 1 0 1",
    ]
    assert batch.prompt_length.tolist() == [5, 10, 14, 7]
    assert ((batch.role == Role.ANSWER).sum(axis=1) == 3).all()
    assert_array_equal(batch.role == Role.PAD, batch.tokens == PAD)


def test_both_ends_are_in_the_form_that_training_shows():
    for chains, steps in ((0.0, 0), (1.0, 12)):
        clean = questions(WORLD, STEPS, 20, stream(0, "form"), "train", chains)
        written = questions(WORLD, STEPS, 20, stream(0, "form"), "train", 1.0).completion()
        ends = np.full(20, min(steps, 8), dtype=np.int16)
        shown = clean.tokens[:, : int((clean.role[0] != Role.PAD).sum()) - 1]  # all but the end symbol
        assert_array_equal(told(clean, written, ends, FIRST).tokens, shown)


# ---- against a loop


def plainly(model, clean, row, steps):
    """Log-probability of a gold answer after a text of whole symbols, an atom given, token by token."""
    gold = [token for token, role in zip(clean.tokens[row], clean.role[row], strict=True) if role == Role.ANSWER]
    gold = [int(token) for token in gold if token >= FIRST]
    text = clean.tokens[row, : clean.prompt_length[row]].tolist() + steps + [ANSWER] * bool(steps)
    role = [Role.INSTRUCTION] * len(text) + [Role.ANSWER] * len(gold)
    one = Batch(*(np.array([line]) for line in (text + gold, role, role)))
    likely = float(log_likelihood(model, one).sum())
    logits = model(torch.tensor([text]))[0, -1].detach().double()
    logits[PAD] = -torch.inf
    return likely - float(logits.log_softmax(0)[FIRST:].logsumexp(0))


@pytest.mark.parametrize("model", [SHARP, trained()], ids=["untrained", "trained"])
def test_information_equals_a_loop_over_rows_and_steps(model):
    clean, written = mixed(12)
    ends = trace_steps(WORLD, clean, written).ends
    found = information(model, clean, written, ends, FIRST)
    assert found.shape == (len(clean), ends.shape[1] + 1)
    seen = 0
    for row in range(len(clean)):
        room = CONTEXT - int(clean.prompt_length[row]) - int((clean.tokens[row][clean.role[row] == 4] >= FIRST).sum())
        for step, end in enumerate([0, *ends[row].tolist()]):
            if step and (end == 0 or end + 1 > room):
                assert isnan(found[row, step])
                continue
            seen += step > 0
            expected = plainly(model, clean, row, written[row, :end].tolist())
            assert found[row, step] == pytest.approx(expected, abs=2e-4)
    assert seen > 20


def test_a_chain_that_fills_the_context_is_heard_as_far_as_there_is_room():
    """23 symbols: a prompt of 5 and an answer of 3 leave 15 to the marker, and so 14 or three steps of four."""
    clean, written = problem(), encoded(" ".join(["[2x] 1 0 1"] * 4) + " [2x] 1 0")
    ends = trace_steps(WORLD, clean, written).ends
    assert ends.tolist() == [[4, 8, 12, 16, 19]]
    assert audible(SHARP, clean, ends, FIRST).tolist() == [[True, True, True, False, False]]  # context 24: up to 15
    found = information(SHARP, clean, written, ends, FIRST)[0]
    assert np.isfinite(found).tolist() == [True, True, True, True, False, False]
    known = chain(WORLD, SHARP, twice(clean), np.repeat(written, 2, axis=0), unaided(SHARP, twice(clean), FIRST))
    assert known["steps"].tolist() == [3, 3]
    assert_allclose(known["nats"], found[3] - found[0], atol=1e-5)


# ---- gains


def test_gains_by_hand():
    """Two atoms of probability 1/9 together: a perplexity of 3 each; after two steps 1, after none as before."""
    before, behind = np.log([1 / 9, 1 / 9, 1 / 9]), np.log([1.0, 1 / 81, 1 / 9])
    found = gains(before, behind, np.array([2, 1, 0]), np.array([2, 2, 2]))
    assert_allclose(found["infogain"], [(3 - 1) / 2, 3 - 9, np.nan])
    assert_allclose(found["nats"], [log(9), -log(9), np.nan])
    assert_allclose(found["nats_step"], [log(9) / 2, -log(9), np.nan])
    assert_allclose(found["steps"], [2, 1, np.nan])


def test_published_infogain_is_the_mean_of_what_single_steps_tell():
    """It telescopes: the falls of perplexity from step to step add up to that from the first to the last."""
    clean, written = mixed()
    steps = trace_steps(WORLD, clean, written)
    found = information(trained(), clean, written, steps.ends, FIRST)
    atoms = ((clean.role == Role.ANSWER) & (clean.tokens >= FIRST)).sum(axis=1)
    perplexity = np.exp(-found / atoms[:, None])
    known = chain(WORLD, trained(), clean, written, unaided(trained(), clean, FIRST))
    assert known["steps"].max() > 2
    assert_allclose(known["infogain"], np.nanmean(perplexity[:, :-1] - perplexity[:, 1:], axis=1), rtol=1e-4)
    assert_allclose(known["nats"], np.nansum(np.diff(found, axis=1), axis=1), atol=1e-4)
    assert_allclose(known["nats_step"] * known["steps"], known["nats"])


def test_a_longer_way_to_the_same_answer_tells_less_a_step_and_as_much_in_all():
    known = [gains(np.array([-6.0]), np.array([-0.3]), np.array([t]), np.array([3])) for t in (2, 4)]
    assert known[1]["infogain"] == pytest.approx(known[0]["infogain"] / 2)
    assert known[1]["nats"] == known[0]["nats"]


def test_gold_chains_tell_and_wrong_ones_mislead_to_no_less_than_a_guess():
    """The evaluator goes by the states: where all are wrong, the gold answer becomes unlikely."""
    model, clean = trained(), questions(WORLD, STEPS, 60, stream(0, "gold"), "train", 1.0)
    before, gold = unaided(model, clean, FIRST), clean.completion()
    before[0] -= 6.0  # this answer is less likely than a guess from the start, whatever was learnt
    right = chain(WORLD, model, clean, gold, before)
    wrong = gold.copy()
    for state in (slice(1, 4), slice(5, 8)):
        wrong[:, state] = FIRST + (gold[:, state] - FIRST + 1) % 5
    wrong = chain(WORLD, model, clean, wrong, before)
    # ten seeds, three instruction sets: 1.6 to 3.4; five seeds: -24 to -20
    assert right["nats"].mean() > 0 > -5 > wrong["nats"].mean()
    perplexity = np.minimum(np.exp(-before / 3), 5)  # of a guess among five
    assert_allclose(right["infogain_bounded"], (perplexity - np.exp(-(before + right["nats"]) / 3)) / 2, atol=1e-6)
    assert (wrong["infogain_bounded"] >= (1 - 5) / 2).all()
    assert wrong["infogain"].mean() < wrong["infogain_bounded"].mean()
    assert exp(-before.max() / 3) < 5 < exp(-before.min() / 3)


def test_where_no_chain_is_written_nothing_is_known():
    clean = twice(problem())
    before = unaided(SHARP, clean, FIRST)
    assert chain(WORLD, SHARP, clean, encoded("1 0 1", "1 0 1"), before) == {}
    assert chain(WORLD, SHARP, clean, np.zeros((2, 0), dtype=np.int16), before) == {}
    one = chain(WORLD, SHARP, clean, encoded("1 0 1", "[x**3] 3 0 3 [2x] 1 0 1 <answer> 1 0 1"), before)
    assert set(one) == NAMES
    assert {name: len(numbers) for name, numbers in one.items()} == dict.fromkeys(NAMES, 1)
    assert one["nats"][0] == pytest.approx(float(after(SHARP, *told_twice(clean))[1] - before[1]), abs=1e-4)


def told_twice(clean):
    return clean, encoded(*["[x**3] 3 0 3 [2x] 1 0 1"] * 2), np.array([8, 8], dtype=np.int16), FIRST


# ---- the knowledge index


@pytest.mark.parametrize(("compositions", "kind"), [(STEPS, COMPUTE), (RECALLED, RECALL)])
def test_gold_chains_are_all_true(compositions, kind):
    clean = questions(WORLD, compositions, 50, stream(0, "ki"), "train", 1.0)
    steps = trace_steps(WORLD, clean, clean.completion())
    assert (knowledge_index(steps) == 1).all()
    assert (knowledge_index(steps, kind) == 1).all()
    assert np.isnan(knowledge_index(steps, 1 - kind)).all()


@pytest.mark.parametrize("corrupted", [0, 7, 25, 50])
def test_the_index_falls_by_exactly_the_share_of_corrupted_steps(corrupted):
    """The last of two states, in some of 50 chains: a corrupted one before would be what the next is judged from."""
    clean = questions(WORLD, STEPS, 50, stream(0, "ki"), "train", 1.0)
    written = clean.completion().copy()
    written[:corrupted, 7] = FIRST + (written[:corrupted, 7] - FIRST + 2) % 5
    found = knowledge_index(trace_steps(WORLD, clean, written))
    assert set(found[:corrupted]) <= {0.5}
    assert 1 - found.mean() == pytest.approx(corrupted / (2 * 50), abs=1e-12)


def test_an_index_by_hand():
    """One step that is false, one that is true of it, and one that nobody asked for; and half a chain."""
    clean = twice(problem())
    steps = trace_steps(WORLD, clean, encoded("[x**3] 3 0 4 [2x] 1 0 3 [x+1] 0 0 0 <answer> 0 0 0", "[x**3] 3 0 3"))
    assert_allclose(knowledge_index(steps), [1 / 3, 1])
    assert WORLD.vocabulary.encode("[x**3]")[0] == RULE + 4


def test_no_token_of_a_row_that_is_asked_is_of_a_step():
    """It is all prompt or answer, whatever a chain it was cut from."""
    batch = told(*told_twice(twice(problem())))
    assert (batch.step == -1).all()
    assert set(np.unique(batch.role)) == {Role.INSTRUCTION, Role.ANSWER}
