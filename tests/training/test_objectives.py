"""What is fine-tuned on: rows give back what was written, rewards are followed, what is added changes nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.nn import functional

from alchemy.data.answers import verify
from alchemy.data.batch import Role
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.measures.knowledge import questions
from alchemy.models.decoding import Opening, complete, to_tensor
from alchemy.models.likelihood import divergence
from alchemy.training.fit import fit_model
from alchemy.training.objectives import anchored, in_turn, reinforced, replayed, supervised
from alchemy.training.packing import IGNORED, counted, lay_out, loss_of, targets
from alchemy.training.policy_gradient import Policy
from alchemy.training.sources import CANDIDATES, TRIES, copies, foreign, one_problem, own_right, rows_answered, sampled
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

QUICK = replace(RECIPE, steps=10, batch=16, check_every=5, learning_rate=1e-3, warmup=0)
POLICY = Policy(
    group=4, prompts=4, temperature=1.0, clip=0.2, kl=0.0, entropy=0.0, updates_per_rollout=1, reward="exact"
)


def source(chains=1.0, compositions=STEPS, purpose="source"):
    rng = stream(0, purpose)
    return lambda count: questions(WORLD, compositions, count, rng, "train", chains)


def facts():
    return source(0.0, RECALLED, "facts")


def weights_of(model):
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def taught(objective, recipe=QUICK, model=None):
    model = model or trained()
    fit_model(WORLD, model, recipe, 0, lambda at: None, objective=objective, held_out=rows(1))
    return model


# ---- rows in pieces of alike length


def padded_loss(model, batch):
    """The mean over the targets of one padded batch, as it is without pieces."""
    wanted = to_tensor(targets(batch.tokens, counted(batch, "completion")), model)
    logits = model(to_tensor(batch.tokens[:, :-1], model))
    return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)


def gradient_of(model):
    return torch.cat([weights.grad.flatten() for weights in model.parameters()])


def test_rows_in_pieces_have_the_loss_and_gradient_of_one_padded_batch():
    batch = rows(64)
    one, other = untrained(scale=5.0), untrained(scale=5.0)
    (pieces,) = lay_out(batch, "completion", "none", 1, one)
    assert len(pieces) > 1
    assert sum(len(tokens) for tokens, _ in pieces) == 64
    assert sum(tokens.numel() for tokens, _ in pieces) < 64 * (batch.tokens.shape[1] - 1)
    losses = loss_of(one, pieces), padded_loss(other, batch)
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-6)
    assert torch.allclose(gradient_of(one), gradient_of(other), atol=1e-6)


def test_rows_of_one_length_are_one_piece_with_the_same_bits():
    batch = source()(40)
    one, other = untrained(scale=5.0), untrained(scale=5.0)
    (pieces,) = lay_out(batch, "completion", "none", 1, one)
    ((tokens, wanted),) = pieces
    assert_array_equal(tokens, batch.tokens[:, :-1])
    loss = loss_of(one, pieces)
    logits = other.logits(other.hidden(to_tensor(batch.tokens[:, :-1], other))[:, -wanted.shape[1] :])
    expected = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())
    assert loss.item() == expected.item()
    loss.backward()
    expected.backward()
    assert torch.equal(gradient_of(one), gradient_of(other))


# ---- rows


def test_answered_gives_back_what_was_written():
    """Of a model whose completions end early, late, and not at all."""
    prompts = rows(200)
    some = complete(untrained(scale=20.0), prompts, 1.0, stream(0, "samples"))
    some[::3] = PAD  # empty ones
    right = complete(trained(), prompts, 1.0, stream(0, "samples"))
    for completion in (some, right, some[:, :1]):
        batch = rows_answered(prompts, completion, CONTEXT)
        ends = set()
        for row, (tokens, length) in enumerate(zip(batch.tokens, prompts.prompt_length, strict=True)):
            written = completion[row][completion[row] != PAD].tolist()
            text = prompts.tokens[row, :length].tolist() + written
            ended = len(text) < CONTEXT
            ends.add(ended)
            assert tokens[tokens != PAD].tolist() == text + [END] * ended
            assert (tokens[len(text) + ended :] == PAD).all()
        assert batch.tokens.shape[1] <= CONTEXT
        assert completion is not some or ends == {True, False}
        wide = np.zeros((200, CONTEXT), dtype=np.int16)
        wide[:, : batch.completion().shape[1]] = batch.completion()
        assert_array_equal(wide[:, : completion.shape[1]], completion)
        assert not wide[:, completion.shape[1] :].any()
        assert_array_equal(batch.prompt_length, prompts.prompt_length)
        assert (np.diff(batch.role.astype(int), axis=1) >= 0).all()  # roles in order
        assert_array_equal(batch.role == Role.PAD, batch.tokens == PAD)


def test_answered_gold_is_gold():
    for prompts in (rows(100), facts()(10), source()(10)):
        gold = rows_answered(prompts, prompts.completion(), CONTEXT)
        assert_array_equal(gold.tokens, prompts.tokens)
        assert_array_equal(gold.role, prompts.role)
        assert_array_equal(gold.step >= 0, prompts.step >= 0)


def test_a_model_samples_by_its_stream_alone():
    one, again, other = (sampled(untrained(scale=5.0), rows(20), stream(seed, "samples")).tokens for seed in (0, 0, 1))
    assert_array_equal(one, again)
    assert one.shape != other.shape or (one != other).any()


def test_own_chains_are_right_and_the_bases_own():
    base = trained()
    asked = []

    def noted(count):
        asked.append(gold(count))
        return asked[-1]

    gold = source()
    batch = own_right(WORLD, base, noted, stream(0, "own"))(50)
    assert len(batch) == 50
    assert verify(WORLD, batch, batch.completion()).all()
    assert (batch.tokens == ANSWER).any(axis=1).all()
    opening = np.take_along_axis(batch.tokens, batch.prompt_length[:, None], axis=1)[:, 0]
    assert_array_equal(opening, batch.tokens[:, 3])  # the first rule of the prompt
    rng, slow, written = stream(0, "own"), Opening("slow", FIRST), set()
    for prompts in asked:
        its = rows_answered(prompts, complete(base, prompts, 1.0, rng, slow), CONTEXT)
        written |= {row[row != PAD].tobytes() for row in its.tokens}
    assert {row[row != PAD].tobytes() for row in batch.tokens} <= written


def test_a_base_that_is_never_right_has_no_chains_of_its_own():
    with pytest.raises(ValueError, match="arm=self has no rows"):
        own_right(WORLD, certain_of(RULE, 40.0), source(), stream(0, "own"))(5)


def test_one_problem_is_one_of_the_source_that_the_base_gets_right_about_half_the_time():
    """The shares of right chains again, of other samples and more of them, in another order."""
    base, given = trained(), []

    def noted(count):
        given.append(gold(count))
        return given[-1]

    gold = source()
    batch = one_problem(WORLD, base, noted, stream(0, "one"))
    (problems,) = given  # it draws once
    assert len(problems) == CANDIDATES
    rows = batch(7)
    assert (len(rows), len(batch(1))) == (7, 1)
    assert_array_equal(rows.tokens, batch(9)[2:].tokens)
    assert (rows.tokens == rows.tokens[0]).all()
    at = np.flatnonzero((problems.tokens == rows.tokens[0]).all(axis=1))[:1]
    assert_array_equal(problems.role[at], rows.role[:1])
    assert_array_equal(problems.step[at], rows.step[:1])
    asked = problems[np.tile(np.arange(CANDIDATES), 200)]
    written = complete(base, asked, 1.0, stream(0, "other"), Opening("slow", FIRST))
    shares = verify(WORLD, asked, written).reshape(200, CANDIDATES).mean(axis=0)
    missed = np.abs(shares - 0.5)
    assert missed.max() > 0.4, "a problem drawn at random may be right always, or never"
    assert missed[at] < 0.25  # ten seeds, three instruction sets: 0 to 0.1
    assert (missed < missed[at]).sum() < CANDIDATES / 3  # 0 to 10 of 64


def test_one_problem_is_chosen_by_its_stream_and_its_source(monkeypatch):
    monkeypatch.setattr("alchemy.training.sources.TRIES", 8)
    one, again = (one_problem(WORLD, trained(), source(), stream(0, "one"))(1).tokens for _ in range(2))
    assert_array_equal(one, again)
    others = {
        one_problem(WORLD, trained(), source(purpose=name), stream(0, "one"))(1).tokens.tobytes() for name in "abc"
    }
    assert len(others) == 3


def test_a_base_that_is_never_right_has_no_problem_to_be_paid_for():
    with pytest.raises(ValueError, match="arm=one_shot has no rewards"):
        one_problem(WORLD, certain_of(RULE, 40.0), source(), stream(0, "one"))


def test_a_problem_that_is_always_right_is_chosen_before_one_that_never_is(monkeypatch):
    shares = np.zeros((CANDIDATES, TRIES), dtype=bool)
    monkeypatch.setattr("alchemy.training.sources.verify", lambda *_: shares.flatten())
    monkeypatch.setattr("alchemy.training.sources.complete", lambda *_: None)
    shares[5] = True
    assert_array_equal(one_problem(WORLD, untrained(), source(), stream(0, "one"))(1).tokens, source()(64)[5:6].tokens)
    shares[9, : TRIES // 2] = shares[12, : TRIES // 2] = shares[3, : TRIES // 2 - 1] = True
    assert_array_equal(one_problem(WORLD, untrained(), source(), stream(0, "one"))(1).tokens, source()(64)[9:10].tokens)


def test_foreign_chains_by_hand():
    encode = WORLD.vocabulary.encode
    element = encode("0 1 2")[None]
    chain = WORLD.render(element, (2, 3))  # [x+1] [2x]
    assert WORLD.vocabulary.decode(chain.tokens[0]) == ("0 1 2 [x+1] [2x] [x+1] 1 2 3 [2x] 2 4 1 <answer> 2 4 1 </s>")
    assert WORLD.vocabulary.decode(foreign(chain).tokens[0]) == (
        "0 1 2 [x+1] [2x] [x+1] 3 2 1 [2x] 1 4 2 <answer> 2 4 1 </s>"
    )


def test_foreign_chains_keep_opening_length_and_answer_and_turn_back():
    batch = rows(200)  # chains of several lengths, and none
    before = batch.tokens.copy()
    turned = foreign(batch)
    assert_array_equal(batch.tokens, before)
    assert (turned.tokens != batch.tokens).any()
    assert_array_equal(foreign(turned).tokens, batch.tokens)
    kept = (batch.role != Role.CHAIN) | (batch.tokens < FIRST)
    assert_array_equal(turned.tokens[kept], batch.tokens[kept])
    assert verify(WORLD, turned, turned.completion()).all()


def test_copies_ask_nothing_and_answer_with_what_they_are_given():
    batch = copies(source()(30))
    assert_array_equal(batch.tokens[:, :3], batch.tokens[:, 3:6])
    assert (batch.tokens[:, :6] >= FIRST).all()
    assert (batch.tokens[:, 6] == END).all()
    assert batch.tokens.shape == (30, 7)
    assert_array_equal(batch.prompt_length, np.full(30, 3))
    assert_array_equal(batch.completion(), batch.tokens[:, 3:6])


# ---- objectives


@pytest.mark.parametrize("updates", [1, 4])
def test_a_rollout_has_so_many_losses(updates):
    told, model = [], untrained(scale=5.0)
    policy = replace(POLICY, updates_per_rollout=updates)
    objective = reinforced(WORLD, untrained(scale=5.0), policy, source(), stream(0, "rollouts"), told.append)
    for done in range(1, 10):
        (loss,) = objective(model, 1)
        assert torch.isfinite(loss)
        assert len(told) == -(-done // updates)


def test_the_first_update_follows_the_advantage_of_every_token_written():
    """A loop over samples and tokens, end symbols included: ratios are 1, so the gradient is that of A log p."""
    model = untrained(scale=10.0)
    policy = replace(POLICY, reward="random")
    (loss,) = reinforced(WORLD, model, policy, source(), stream(0, "rollouts"), lambda _: None)(model, 1)
    loss.backward()
    found = gradient_of(model)
    sampling, paying = stream(0, "rollouts").spawn(2)
    prompts = source()(4)
    asked = prompts[np.repeat(np.arange(4), 4)]
    written = complete(model, asked, 1.0, sampling)
    paid = (paying.random(16) < 0.5).astype(float).reshape(4, 4)
    assert 0 < paid.sum() < 16
    deviation = paid.std(axis=1, ddof=1, keepdims=True)
    advantage = np.where(deviation > 0, (paid - paid.mean(axis=1, keepdims=True)) / (deviation + 1e-6), 0).flatten()
    model.zero_grad()
    gained, number, mean = 0.0, 0, 0.0
    for prompt, its, gain in zip(asked.prompt(), written, advantage.tolist(), strict=True):
        text = prompt[prompt != PAD].tolist()
        tokens = [*its[its != PAD].tolist(), END]
        for token in tokens[: CONTEXT - len(text)]:
            logits = model(torch.tensor([text]))[0, -1, PAD + 1 :]
            gained = gained + gain * logits.log_softmax(0)[token - PAD - 1]
            mean, number = mean + gain, number + 1
            text.append(token)
    (-gained / number).backward()
    assert loss.item() == pytest.approx(-mean / number, abs=1e-5)
    assert torch.allclose(found, gradient_of(model), atol=1e-4 * float(found.abs().max()))


def right(model):
    """Share of answers, sampled at temperature 1, that are right."""
    asked = source(purpose="asked")(400)
    return verify(WORLD, asked, complete(model, asked, 1.0, stream(0, "right"))).mean()


def beginner():
    """A model that opens most chains, and makes mistakes in them."""
    recipe = replace(QUICK, steps=20, check_every=20)
    return taught(supervised(recipe, source()), recipe)


def paid(kind, steps):
    """The mean rewards of a training, and how often the model is right after it."""
    told, recipe = [], replace(QUICK, steps=steps, check_every=steps, learning_rate=2e-3)
    policy = replace(POLICY, group=8, prompts=16, reward=kind)
    objective = reinforced(WORLD, beginner(), policy, source(), stream(0, "rollouts"), told.append)
    return told, right(taught(objective, recipe, beginner()))


@pytest.mark.slow
def test_right_answers_grow_where_they_are_paid_for_and_not_by_chance():
    before = right(beginner())
    told, after = paid("exact", 60)
    drawn, by_chance = paid("random", 30)
    # this seed, three instruction sets; and ten seeds
    assert np.mean(told[-10:]) > np.mean(told[:10]) + 0.05  # greater by 0.31 to 0.40; 0.09 to 0.70
    assert after > before + 0.1  # by 0.44 to 0.51; 0.13, from 0.85 on, to 0.77
    assert after > by_chance + 0.2  # by 0.86 to 0.95; 0.50 to 0.95
    assert by_chance < before + 0.1  # by -0.47 to -0.40; -0.57 to -0.14
    for some in (drawn[:10], drawn[-10:]):
        assert 0.4 < np.mean(some) < 0.6  # of 1,280 rewards at one half, whose deviation is 0.014


def test_objectives_take_turns_at_the_step_that_is_said():
    used = []

    def noted(name):
        def objective(model, steps):
            for _ in range(steps):
                used.append(name)
                yield torch.zeros(())

        return objective

    objective = in_turn(noted("first"), 3, noted("then"))
    for steps in (1, 1, 3, 2):
        assert len(list(objective(untrained(), steps))) == steps
    assert used == ["first"] * 3 + ["then"] * 4
    used.clear()
    list(in_turn(noted("first"), 0, noted("then"))(untrained(), 2))
    assert used == ["then"] * 2


def gold():
    return supervised(QUICK, source())


def one_shot():
    asked = one_problem(WORLD, trained(), source(), stream(0, "one"))
    return reinforced(WORLD, trained(), POLICY, asked, stream(0, "rollouts"), lambda _: None)


def rlvr(updates=4):
    policy = replace(POLICY, updates_per_rollout=updates, kl=0.01)
    return reinforced(WORLD, trained(), policy, source(), stream(0, "rollouts"), lambda _: None)


OBJECTIVES = {
    "gold": gold,
    "self": lambda: supervised(QUICK, own_right(WORLD, trained(), source(), stream(0, "own"))),
    "rlvr": rlvr,
    "one_shot": one_shot,
    "in_turn": lambda: in_turn(gold(), 3, rlvr(2)),
    "anchored": lambda: anchored(gold(), trained(), facts(), 4, 1.0, stream(0, "anchor")),
    "replayed": lambda: replayed(gold(), QUICK, facts(), 0.1),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives_go_on_from_one_call_to_the_next(name, monkeypatch):
    monkeypatch.setattr("alchemy.training.sources.TRIES", 8)
    every, some, all_at_once = (
        weights_of(taught(OBJECTIVES[name](), replace(QUICK, check_every=check_every))) for check_every in (1, 5, 10)
    )
    assert not torch.equal(every, weights_of(trained()))
    assert torch.equal(every, some)
    assert torch.equal(every, all_at_once)


def test_nothing_added_is_the_objective_alone():
    alone = weights_of(taught(gold()))
    assert torch.equal(weights_of(taught(replayed(gold(), QUICK, facts(), 0.0))), alone)
    assert torch.equal(weights_of(taught(anchored(gold(), trained(), facts(), 4, 0.0, stream(0, "anchor")))), alone)


def test_a_replayed_loss_is_shared():
    model = untrained(scale=5.0)
    (alone,) = gold()(model, 1)
    (both,) = replayed(gold(), QUICK, facts(), 0.25)(model, 1)
    again = facts()(4)  # a quarter of 16 rows
    (pieces,) = lay_out(again, "completion", "none", 1, model)
    assert both.item() == pytest.approx(0.75 * alone.item() + 0.25 * loss_of(model, pieces).item(), rel=1e-6)


def test_an_anchored_loss_has_the_divergence_of_what_the_base_writes():
    base, model = untrained(scale=5.0), untrained(1, scale=5.0)
    (alone,) = gold()(model, 1)
    (both,) = anchored(gold(), base, facts(), 6, 0.5, stream(0, "anchor"))(model, 1)
    written = sampled(base, facts()(6), stream(0, "anchor"))
    expected = alone.item() + 0.5 * divergence(base, model, written).mean()
    assert both.item() == pytest.approx(expected, rel=1e-5)


def test_a_heavy_anchor_keeps_a_model_near_its_base():
    base = trained()
    recipe = replace(QUICK, steps=40, check_every=40)
    asked = source(1.0, STEPS, "asked")(100)
    written = sampled(base, asked, stream(0, "written"))
    free = taught(supervised(recipe, source()), recipe)
    held = taught(
        anchored(supervised(recipe, source()), base, source(1.0, STEPS, "own"), 16, 100.0, stream(0, "anchor")), recipe
    )
    far, near = (divergence(base, model, written).mean() for model in (free, held))
    assert near < far / 5  # ten seeds, three instruction sets: a 26th of far to a 228th
