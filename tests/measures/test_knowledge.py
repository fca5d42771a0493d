"""Three modes of asking, against decoding a row at a time; rates, bits and the split of a loss, by hand and by law."""

from dataclasses import replace
from math import isnan, log2
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from alchemy.data.batch import Batch, Role, concatenate
from alchemy.data.sampling import in_side
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.measures.knowledge import (
    Answers,
    ask,
    asked,
    by_exposure,
    even,
    halves,
    questions,
    rates,
    split,
    stored_bits,
    values_of,
)
from alchemy.models.decoding import Opening, complete, first_rule
from alchemy.models.likelihood import opening
from alchemy.training.fit import next_token
from alchemy.training.sources import copies
from tests.helpers.knowing import (
    CONTEXT,
    FIRST,
    RECALLED,
    RECIPE,
    RULE,
    STEPS,
    WORLD,
    certain_of,
    rows,
    trained,
    untrained,
)
from tests.helpers.worlds import WORLDS

FAST, SLOW = Opening("fast", FIRST), Opening("slow", FIRST)
NAMES = ("fast", "slow", "free", "chained", "invalid")


def slowly(model, prompt, mode):
    """One row, no cache: the whole row is read again for every token."""
    text = list(prompt)
    if mode == SLOW:
        text.append(next(token for token in prompt if RULE <= token < FIRST))
    while len(text) < model.context:
        logits = model(torch.tensor([text]))[0, -1].detach()
        logits[PAD] = -torch.inf
        if mode == FAST and len(text) == len(prompt):
            logits[:FIRST] = -torch.inf
        if (best := int(logits.argmax())) == END:
            break
        text.append(best)
    return text[len(prompt) :]


@pytest.fixture(scope="module")
def mixed():
    """Prompts of two lengths, some of which end by themselves and some do not, for models of both kinds."""
    batch = rows(36)
    assert len(set(batch.prompt_length.tolist())) > 1
    return batch


@pytest.mark.parametrize("mode", [None, FAST, SLOW], ids=["free", "fast", "slow"])
@pytest.mark.parametrize("model", [trained, lambda: untrained(scale=20.0)], ids=["trained", "untrained"])
def test_each_mode_equals_decoding_a_row_at_a_time(mixed, model, mode, monkeypatch):
    model = model()
    monkeypatch.setattr("alchemy.models.decoding.ROWS", 11)
    written = complete(model, mixed, opening=mode)
    prompts = [tokens[:length].tolist() for tokens, length in zip(mixed.tokens, mixed.prompt_length, strict=True)]
    for prompt, mine in zip(prompts, written, strict=True):
        assert mine[mine != PAD].tolist() == slowly(model, prompt, mode)
        assert len(prompt) + (mine != PAD).sum() <= CONTEXT


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_completions_open_as_they_are_asked_to(mixed, temperature):
    model = certain_of(RULE, 6.0)  # would open with a rule
    fast, slow, free = (complete(model, mixed, temperature, stream(0, "samples"), mode) for mode in (FAST, SLOW, None))
    assert (fast[:, 0] >= FIRST).all()
    assert_array_equal(slow[:, 0], first_rule(mixed))
    asked = [next(t for t in tokens.tolist() if RULE <= t < FIRST) for tokens in mixed.prompt()]
    assert_array_equal(slow[:, 0], asked)
    assert (free[:, 0] < FIRST).mean() > 0.5


def test_a_prompt_without_a_rule_cannot_be_asked_slowly():
    with pytest.raises(ValueError, match="names no rule"):
        complete(untrained(), copies(rows(10)[:1]), opening=SLOW)


def fonder_of_chains(model):
    """The model, but that rules have a logit greater by 1: it would open a chain for about half of what it is asked."""
    logits, more = model.logits, torch.zeros(len(WORLD.vocabulary))
    more[RULE:FIRST] = 1.0
    model.logits = lambda stream: logits(stream) + more
    return model


def test_answers_are_judged_by_mode():
    model = fonder_of_chains(trained())
    batch = questions(WORLD, STEPS, 200, stream(0, "asked"), "train", 1.0)
    found = ask(WORLD, model, batch)
    gold = batch.tokens[:, -4:-1]  # three digits and the end
    for name, mode in (("fast", FAST), ("slow", SLOW), ("free", None)):
        for row in range(0, 200, 20):
            text = slowly(model, batch.tokens[row, : batch.prompt_length[row]].tolist(), mode)
            answer = text[len(text) - text[::-1].index(ANSWER) :] if ANSWER in text else text
            assert getattr(found, name)[row] == (answer == gold[row].tolist())
            if name == "free":
                assert found.chained[row] == (RULE <= text[0] < FIRST)
    assert 0 < found.chained.sum() < 200  # ten seeds, three instruction sets: 59 to 147
    assert not found.invalid.any()
    assert_array_equal(found.fast[~found.chained], found.free[~found.chained])  # a greedy answer is the fast one


@pytest.mark.parametrize("symbol", [END, ANSWER])
def test_an_opening_that_is_neither_rule_nor_atom_is_invalid(symbol):
    found = ask(WORLD, certain_of(symbol, 40.0), rows(20))
    assert found.invalid.all()
    assert not found.chained.any()


def random_answers(rng, count):
    """Chained and invalid exclude each other, as in any answers."""
    bits = rng.random((5, count)) < rng.random((5, 1))
    return Answers(*bits[:4], bits[4] & ~bits[3])


def test_rates_by_hand():
    bits = {
        "fast": [1, 1, 1, 0, 0, 0, 0, 0],
        "slow": [1, 0, 0, 1, 0, 0, 0, 0],
        "free": [1, 1, 0, 0, 0, 0, 0, 0],
        "chained": [0, 0, 1, 1, 1, 0, 0, 0],
        "invalid": [0, 0, 0, 0, 0, 0, 0, 1],
    }
    found = rates(Answers(**{name: np.array(value, dtype=bool) for name, value in bits.items()}))
    expected = {
        "fast": 3 / 8,
        "slow": 2 / 8,
        "free": 2 / 8,
        "gain": -1 / 8,
        "gain_c": 1 / 8,
        "gain_o": 2 / 8,
        "correction": 1 / 5,
        "overthinking": 2 / 3,
        "opens": 3 / 8,
        "invalid": 1 / 8,
    }
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(expected)
    errors = {name: error for name, (_, error) in found.items()}
    assert errors["fast"] == pytest.approx((3 / 8 * 5 / 8 / 8) ** 0.5)
    assert errors["correction"] == pytest.approx((1 / 5 * 4 / 5 / 5) ** 0.5)  # of the five that were wrong
    assert errors["overthinking"] == pytest.approx((2 / 3 * 1 / 3 / 3) ** 0.5)  # of the three that were right
    assert errors["gain"] == pytest.approx(((3 - 1 / 8) / 8 / 8) ** 0.5)  # below 0 as well as above


def test_the_gain_is_what_chains_correct_less_what_they_spoil():
    rng = stream(0, "gain")
    for count in (1, 7, 100) * 20:
        answers = random_answers(rng, count)
        found = {name: value for name, (value, _) in rates(answers).items()}
        assert found["gain"] == found["gain_c"] - found["gain_o"]
        assert found["gain"] == pytest.approx(found["slow"] - found["fast"], abs=1e-12)
        assert isnan(found["correction"]) == answers.fast.all()
        assert isnan(found["overthinking"]) == (not answers.fast.any())


def test_the_parts_of_a_loss_add_up():
    rng = stream(0, "split")
    for count in (1, 7, 100) * 20:
        found = split(*(random_answers(rng, count) for _ in range(4)))
        assert found["storage"] + found["latent"] == pytest.approx(found["f_loss"], abs=1e-12)
        widening = found["overthinking"] + found["format"]
        assert found["f_loss"] + widening == pytest.approx(found["o_loss"], abs=1e-12)


def answers(**bits):
    return Answers(*(np.array(bits.get(name, [0] * 4), dtype=bool) for name in NAMES))


KNEW = answers(fast=[1, 1, 1, 1], free=[1, 1, 1, 1])
FORGOT = answers(fast=[1, 1, 0, 0], free=[1, 1, 0, 0])
CASES = {
    "overthinking": (answers(fast=[1, 1, 1, 1], free=[0, 0, 1, 1], chained=[1, 1, 1, 0]), KNEW, 0.5),
    "format": (answers(fast=[1, 1, 1, 1], free=[0, 1, 1, 1], invalid=[1, 0, 0, 0]), KNEW, 0.25),
    "storage": (FORGOT, FORGOT, 0.5),
    "latent": (FORGOT, KNEW, 0.5),
}


@pytest.mark.parametrize("part", CASES)
def test_a_loss_of_one_part_alone(part):
    after, again, lost = CASES[part]
    found = split(KNEW, after, again, KNEW)
    fast = lost if part in ("storage", "latent") else 0
    expected = {"storage": 0, "latent": 0, "overthinking": 0, "format": 0, part: lost, "o_loss": lost, "f_loss": fast}
    assert found == expected


def test_overthinking_is_net_of_what_chains_correct_and_of_the_base():
    base = answers(fast=[1, 1, 0, 0], free=[0, 1, 0, 0], chained=[1, 0, 0, 0])
    after = answers(fast=[1, 1, 0, 0], free=[0, 0, 1, 0], chained=[1, 1, 1, 0])
    assert split(base, after, after, base)["overthinking"] == 0  # two spoilt and one corrected, as one spoilt before
    assert split(base, base, base, base)["o_loss"] == 0


def test_halves_are_by_entity_and_for_good():
    facts = questions(WORLD, RECALLED, 600, stream(0, "facts"), "train", 0.0)
    chains = questions(WORLD, RECALLED, 600, stream(1, "facts"), "train", 1.0)
    first = halves(WORLD, facts)
    sides = {}
    for batch, side in ((facts, first), (chains, halves(WORLD, chains))):
        for names, its in zip(batch.tokens[:, :2].tolist(), side, strict=True):
            assert sides.setdefault(tuple(names), its) == its
    assert len(sides) == 31  # of 32 entities, those with a fact that training states
    shuffled = stream(0, "order").permutation(600)
    assert_array_equal(halves(WORLD, facts[shuffled]), first[shuffled])
    longer = concatenate([facts, questions(WORLD, STEPS, 4, stream(0, "long"), "train", 1.0)])
    assert_array_equal(halves(WORLD, longer)[:600], first)  # padding is no name
    known = [WORLD.vocabulary.decode(names) for names, its in sorted(sides.items()) if its]
    assert known[:3] == ["ba be", "ba bu", "be bi"]


def test_halves_of_many_entities_are_about_equal():
    pairs = np.array(np.meshgrid(range(FIRST + 5, FIRST + 13), range(FIRST + 5, FIRST + 13))).reshape(2, -1).T
    more = np.array(np.meshgrid(*[range(FIRST, FIRST + 13)] * 3)).reshape(3, -1).T
    for names in (pairs, more):
        tokens = names.astype(np.int16)
        batch = Batch(tokens, np.full(tokens.shape, Role.ELEMENT, np.int8), np.full(tokens.shape, -1, np.int8))
        half = halves(WORLD, batch).mean()
        assert abs(half - 0.5) < 4 * 0.5 / len(names) ** 0.5


def by_heart():
    """A model that has read 24 facts until it knows them, and them."""
    facts = questions(WORLD, RECALLED, 200, stream(0, "facts"), "train", 0.0)
    some = facts[np.unique(facts.tokens, axis=0, return_index=True)[1][:24]]
    model = untrained(scale=5.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for loss in next_token(model, RECIPE, lambda count: some[np.arange(24 * 80) % 24], 80):
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, some


def test_bits_of_facts_known_by_heart_and_of_none():
    model, facts = by_heart()
    most = log2(values_of(facts, FIRST))
    assert most == pytest.approx(log2(25))
    known = stored_bits(WORLD, model, facts)
    assert (known <= most + 1e-6).all()
    assert known.mean() > 0.97 * most  # ten seeds, three instruction sets: 0.996 to 1.000
    assert stored_bits(WORLD, untrained(), facts).mean() < 0.05 * most


def test_bits_are_those_of_an_answer_that_is_given_fast(mixed):
    """An attribute's probability, given that the completion opens with an atom, one token and row at a time."""
    model = untrained(scale=20.0)
    facts = questions(WORLD, RECALLED, 30, stream(0, "facts"), "train", 0.0)
    for row, found in enumerate(stored_bits(WORLD, model, facts)):
        logits = model(torch.from_numpy(facts.tokens[row : row + 1].astype(np.int64)))[0].detach().double()
        one, two = facts.tokens[row, 3:5].tolist()
        likely = logits[2, FIRST:].log_softmax(0)[one - FIRST] + logits[3, PAD + 1 :].log_softmax(0)[two - PAD - 1]
        assert found == pytest.approx(max(0, float(likely) / np.log(2) + log2(25)), abs=1e-4)


def opening_with_a_rule(model):
    """The model, but that after a fact's prompt of three tokens a rule has a logit greater by 60."""
    hidden, logits = model.hidden, model.logits

    def marked(tokens, cache=None):
        stream = hidden(tokens, cache)
        end = cache.length if cache else tokens.shape[1]
        there = torch.arange(end - tokens.shape[1], end) == 2
        return torch.cat([stream, there[None, :, None].expand(*stream.shape[:2], 1)], dim=-1)

    def raised(stream):
        more = torch.zeros(len(WORLD.vocabulary))
        more[RULE] = 60.0
        return logits(stream[..., :-1]) + stream[..., -1:] * more

    model.hidden, model.logits = marked, raised
    return model


def test_bits_stay_what_they_are_where_a_chain_is_certain_to_open():
    """The chance of an answer, exp(-50), is none in single precision; bits are of an answer that is given."""
    model, facts = by_heart()
    before = stored_bits(WORLD, model, facts)
    model = opening_with_a_rule(model)
    assert ask(WORLD, model, facts).chained.all()
    assert (opening(model, facts, FIRST)[:, 0] > 1 - 1e-15).all()
    assert_allclose(stored_bits(WORLD, model, facts), before, atol=1e-3)


def every(composition):
    """All elements that a composition can be asked of, padded."""
    if composition in RECALLED:
        return np.pad(WORLD.ours[0][WORLD.worlds[0].people], ((0, 0), (0, 1)))
    return np.array(np.meshgrid(*[range(FIRST, FIRST + 5)] * 3)).reshape(3, -1).T.astype(np.int16)


def side_of(composition, elements, side):
    where = Distribution((composition,), WORLD.train.length)
    return in_side(WORLD.vocabulary, where, elements, np.zeros(len(elements), dtype=np.intp), side)


@pytest.mark.parametrize("side", ["train", "test"])
@pytest.mark.parametrize(("compositions", "chains"), [(RECALLED, 0.0), (STEPS, 1.0)], ids=["facts", "problems"])
def test_questions_are_what_they_say(side, compositions, chains):
    batch = questions(WORLD, compositions, 1500, stream(0, side), side, chains)
    assert ((batch.role == Role.CHAIN).any(axis=1) == bool(chains)).all()
    rules = np.where(batch.role == Role.TRANSFORMATION, batch.tokens, 0)
    asked = [tuple(token - RULE for token in row if token) for row in rules.tolist()]
    element = np.where(batch.role == Role.ELEMENT, batch.tokens, PAD)[:, :3]
    wanted = {c: side_of(c, every(c), side).mean() for c in compositions}  # all alike, but for what is on that side
    for composition, weight in wanted.items():
        some = np.array([its == composition for its in asked])
        assert side_of(composition, element[some], side).all()
        expected = weight / sum(wanted.values())
        assert abs(some.mean() - expected) < 4 * (expected * (1 - expected) / 1500) ** 0.5


def test_questions_with_some_chains():
    batch = questions(WORLD, STEPS, 1000, stream(0, "some"), "train", 0.25)
    assert abs((batch.role == Role.CHAIN).any(axis=1).mean() - 0.25) < 0.06
    assert_allclose((batch.tokens == ANSWER).any(axis=1), (batch.role == Role.CHAIN).any(axis=1))


def test_facts_are_all_alike_however_often_they_are_asked_about():
    """Of 32 entities by Zipf's law, drawn 6,000 times: thinned, each stated fact is about as frequent as any other."""
    task = replace(WORLD, worlds=(replace(WORLD.worlds[0], zipf=1.0), WORLD.worlds[1]))
    drawn = questions(task, RECALLED, 6000, stream(0, "facts"), "train", 0.0)
    left = even(task, drawn, stream(0, "even"))
    before, after = (np.unique(rows.tokens, axis=0, return_counts=True)[1] for rows in (drawn, left))
    assert len(before) == len(after)
    assert before.max() > 8 * before.min()
    assert after.max() < 3 * after.min()
    assert len(even(WORLD, drawn, stream(0, "even"))) == len(drawn)  # where all are asked about alike


def test_bits_of_facts_seen_often_and_seldom_by_hand():
    task = replace(WORLD, worlds=(replace(WORLD.worlds[0], zipf=1.0), WORLD.worlds[1]))
    people = WORLD.ours[0][task.worlds[0].people]
    facts = Batch(
        *(
            np.repeat(part, 3, axis=0)
            for part in vars(questions(WORLD, RECALLED, 1, stream(0, "one"), "train", 0.0)).values()
        )
    )
    tokens = facts.tokens.copy()
    tokens[:, :2] = people[[0, 6, 7]]  # of a sum of 4.06, 1/7 is just above the mean of 1/32, and 1/8 just below
    found = by_exposure(task, Batch(tokens, facts.role, facts.step), np.array([6.0, 4.0, 3.0]))
    assert {name: value for name, (value, _) in found.items()} == {"bits_head": 5.0, "bits_tail": 3.0}
    assert by_exposure(WORLD, facts, np.array([6.0, 4.0, 3.0])) == {}


def world(kinds, *compositions):
    return SimpleNamespace(kinds=kinds, train=Distribution(tuple(compositions), 2))


def test_what_training_recalls_and_computes_by_hand():
    """What recalls and then computes is neither."""
    found = asked(world(("recall", "compute", "recall"), (0,), (1,), (0, 2), (0, 1), (1, 1)))
    assert found == (((0,), (0, 2)), ((1,), (1, 1)))
    assert asked(WORLD) == (RECALLED, tuple(c for c in WORLD.train.compositions if c[0] > 1))
    with pytest.raises(ValueError, match="needs a world that recalls and computes: use task=mixture"):
        asked(WORLDS["cipher"])


def test_some_answers_are_those_of_some_rows():
    whole = random_answers(stream(1, "some"), 50)
    some = stream(2, "some").random(50) < 0.3
    for name in NAMES:
        assert_array_equal(getattr(whole[some], name), getattr(whole, name)[some])


def test_a_value_of_so_many_digits_by_hand():
    """Two digits of four that appear make 16 attributes; an end symbol is no digit, nor is what the prompt asks."""
    tokens = [[FIRST + 9, RULE, FIRST, FIRST + 2, END], [FIRST + 8, RULE, FIRST + 2, FIRST + 4, END]]
    tokens += [[FIRST + 7, RULE, FIRST, FIRST + 3, END]]
    role = [[Role.ELEMENT, Role.TRANSFORMATION, *[Role.ANSWER] * 3]] * 3
    parts = np.array(tokens, np.int16), np.array(role, np.int8), np.full((3, 5), -1, np.int8)
    assert values_of(Batch(*parts), FIRST) == 16


def test_facts_are_thinned_by_how_often_they_are_asked_about():
    """Of an entity that is asked about four times as often as the other a quarter is left, and all of the other's."""

    class Known:
        def exposure(self, elements):
            return np.where(elements[:, 0] == 7, 1.6, 0.4)

    tokens = np.array([[7, RULE]] * 4000 + [[8, RULE]] * 1000, np.int16)
    role = np.array([[Role.ELEMENT, Role.TRANSFORMATION]] * 5000, np.int8)
    facts = Batch(tokens, role, np.full((5000, 2), -1, np.int8))
    left = even(Known(), facts, stream(0, "even")).tokens[:, 0]
    assert (left == 8).sum() == 1000
    assert (left == 7).sum() == pytest.approx(1000, abs=120)
    bits = by_exposure(Known(), facts, np.where(tokens[:, 0] == 7, 3.0, 1.0))
    assert bits == {"bits_head": (3.0, 0.0), "bits_tail": (1.0, 0.0)}
    for alike in (facts[:1], facts[:9], facts[-9:]):  # asked about more often than the mean, or less often
        assert by_exposure(Known(), alike, np.ones(len(alike))) == {}
