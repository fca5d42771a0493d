"""Populations: a member's bits are its own, whoever else is trained and wherever it sits; and AdamW is AdamW."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.models.decoding import follows_gold
from alchemy.models.stack import Stack
from alchemy.training.fit import Recipe, Unusable, begin, fit_model
from alchemy.training.population import (
    Form,
    Member,
    Seat,
    Stacked,
    adamw,
    fit_among,
    fit_population,
    form,
    losses,
    memory,
)
from tests.helpers.checkpoints import Checkpointer
from tests.helpers.models import half_trained
from tests.helpers.recipes import QUICK
from tests.helpers.worlds import WORLDS, tiny_model

SHORT = {**QUICK, "steps": 12, "check_every": 4, "check_problems": 64, "mark": None, "warmup": 2}


def member(seed=0, task=None, positions="learned", checkpointer=None, **changed):
    task = task or WORLDS["cipher"]
    model = tiny_model(task, 99, positions)
    return Member(task, model, Recipe(**{**SHORT, **changed}), seed, checkpointer=checkpointer)


def bits(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def told(checks):
    return [(check.step, check.rows, check.loss, check.exact_match) for check in checks]


@pytest.mark.parametrize("positions", ["learned", "rotary", "llama"])
def test_one_member_has_the_same_bits_alone_and_in_any_slot_of_a_full_stack(positions):
    alone = member(5, positions=positions)
    ((_, checks),) = fit_population([alone], 3)
    for before in range(5):  # in every slot, also in those that others have left
        crowd = [member(10 + n, positions=positions, steps=4 if n < 3 else 12) for n in range(before)]
        mine = member(5, positions=positions)
        crowd += [mine, member(20, positions=positions, learning_rate=0.1)]
        found = {id(its): seen for its, seen in fit_population(crowd, 3)}
        assert len(found) == len(crowd)
        assert told(found[id(mine)]) == told(checks)
        assert torch.equal(bits(mine.model), bits(alone.model))


def test_a_short_training_runs_no_further_than_its_steps(monkeypatch):
    """However far away the next check would be, and a training that had ended runs none."""
    ran, original = [], Stacked.advance
    monkeypatch.setattr(
        Stacked, "advance", lambda self, rows, rates: ran.append(len(rates)) or original(self, rows, rates)
    )
    kept = Checkpointer()
    list(fit_population([member(0, steps=5, check_every=10**9, checkpointer=kept)], 2))
    assert ran == [5]
    list(fit_population([member(0, steps=5, check_every=10**9, checkpointer=kept)], 2))
    assert ran == [5]


def test_members_are_asked_for_when_a_slot_is_free():
    asked = []

    def members():
        for seed in range(4):
            asked.append(seed)
            yield member(seed)

    found = fit_population(members(), 2)
    next(found)
    assert asked == [0, 1]
    assert len(list(found)) == 3


def test_members_of_different_worlds_share_a_stack():
    mine, other = member(1), member(1, WORLDS["diverse"])
    assert len(mine.task.vocabulary) != len(other.task.vocabulary)
    wide = [Member(its.task, tiny_model(its.task, 0, size=60), its.recipe, 1) for its in (mine, other)]
    assert len({form(its.task, its.model, its.recipe) for its in wide}) == 1
    alone = Member(mine.task, tiny_model(mine.task, 0, size=60), mine.recipe, 1)
    list(fit_population([alone], 2))
    list(fit_population(wide[::-1], 2))
    assert torch.equal(bits(wide[0].model), bits(alone.model))


@pytest.mark.parametrize("loss", ["completion", "all"])
def test_a_member_learns_what_it_would_learn_by_itself(cipher, loss):
    """Not bit for bit: products of stacked matrices round otherwise, and rows are padded to one length."""
    mine, other = member(3, loss=loss, clip=0.5), tiny_model(cipher)
    checks = fit_among(mine, 4)
    begin(other, 3)
    alone = fit_model(cipher, other, mine.recipe, 3, lambda _: None)
    for one, two in zip(checks, alone, strict=True):
        assert (one.step, one.rows) == (two.step, two.rows)
        assert one.loss == pytest.approx(two.loss, abs=1e-3)
    moved = tiny_model(cipher)
    begin(moved, 3)
    away = (bits(other) - bits(moved)).norm()
    assert (bits(mine.model) - bits(other)).norm() < 0.02 * away


def test_adamw_is_that_of_pytorch_for_each_slot_by_its_own_rates():
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(3, 50))).float()
    recipes = [(0.01, 0.1, 1.0), (0.1, 0.0, 0.3), (0.003, 0.5, 100.0)]  # rate, decay, clip
    betas = (0.9, 0.95)
    alone = [start[n].clone().requires_grad_() for n in range(3)]
    theirs = [
        torch.optim.AdamW([weight], lr=rate, betas=betas, weight_decay=decay)
        for weight, (rate, decay, _) in zip(alone, recipes, strict=True)
    ]
    mine, mean, square = start.clone(), torch.zeros(3, 50), torch.zeros(3, 50)
    for step in range(1, 6):
        gradients = torch.from_numpy(rng.normal(size=(3, 50))).float()
        for n, (_, _, clip) in enumerate(recipes):
            alone[n].grad = gradients[n].clone()
            torch.nn.utils.clip_grad_norm_([alone[n]], clip)
            theirs[n].step()
        found = [
            (rate / (1 - betas[0] ** step), (1 - betas[1] ** step) ** 0.5, 1 - rate * decay, clip)
            for rate, decay, clip in recipes
        ]
        adamw(mine, gradients, mean, square, torch.tensor(found).T[..., None], betas)
    for n in range(3):
        assert torch.allclose(mine[n], alone[n], atol=1e-6)


def test_a_stopped_member_goes_on_to_the_same_bits():
    straight = member(2)
    ((_, checks),) = fit_population([straight], 3)
    stopped = Checkpointer(until=2)
    with pytest.raises(KeyboardInterrupt):
        list(fit_population([member(1), member(2, checkpointer=stopped)], 3))
    stopped.until, again = None, member(2, checkpointer=stopped)
    found = {its.seed: seen for its, seen in fit_population([member(7), member(8), again], 3)}
    assert told(found[2]) == told(checks)
    assert torch.equal(bits(again.model), bits(straight.model))


def test_a_member_that_had_ended_is_yielded_as_it_is():
    kept = Checkpointer()
    first = member(2, checkpointer=kept)
    ((_, checks),) = fit_population([first], 2)
    again = member(2, checkpointer=kept)
    ((_, found),) = fit_population([again], 2)
    assert told(found) == told(checks)
    assert torch.equal(bits(again.model), bits(first.model))


def test_a_saved_state_of_another_training_costs_its_own_member_alone():
    strange = Checkpointer()
    list(fit_population([member(2, positions="none", checkpointer=strange)], 1))
    good = member(1)
    found = {its.seed: seen for its, seen in fit_population([member(2, checkpointer=strange), good], 2)}
    assert isinstance(found[2], Unusable)
    assert found[1][-1].step == 12


def test_a_loss_that_is_no_number_costs_its_own_member_alone():
    alone = member(1)
    list(fit_population([alone], 2))
    good, bad = member(1), member(2, learning_rate=1e30)
    found = {its.seed: seen for its, seen in fit_population([bad, good, member(3)], 2)}
    assert isinstance(found[2], ValueError)
    assert str(found[2]).startswith("learning_rate=1e+30 makes the loss")
    assert found[3][-1].step == found[1][-1].step == 12
    assert torch.equal(bits(good.model), bits(alone.model))


def test_a_member_stops_at_its_mark_and_others_go_on(monkeypatch):
    monkeypatch.setattr("alchemy.training.population.Stacked.right", lambda self: np.full(self.stack.slots, 0.5))
    members = [member(0, mark=0.4), member(1, mark=0.6), member(2, mark=None, steps=10)]
    found = {its.seed: [check.step for check in seen] for its, seen in fit_population(members, 3)}
    assert found == {0: [4], 1: [4, 8, 12], 2: [4, 8, 10]}


def test_checks_are_those_of_greedy_decoding(cipher, monkeypatch):
    """Of a model that has some of these rows right."""
    model, rows = half_trained("learned"), draw(cipher, cipher.train, 200, stream(0, "test"))
    monkeypatch.setattr("alchemy.training.population.watched", lambda *_: rows)
    its = Member(cipher, deepcopy(model), Recipe(**{**SHORT, "check_problems": 200}), 0)
    shape = form(cipher, model, its.recipe)
    stacked = Stacked(model, shape, 2)
    stacked.admit(1, Seat(its, shape))
    stacked.stack.put(1, model)
    right = follows_gold(model, rows).mean()
    assert 0 < right < 1
    assert stacked.right()[1] == pytest.approx(right, abs=1e-12)


def test_snapshots_are_kept_as_by_itself():
    kept, mine = Checkpointer(), None
    mine = member(2, snapshots=3, checkpointer=kept)
    list(fit_population([mine], 2))
    assert list(kept.taken) == [rows * mine.recipe.batch for rows in (4, 8, 12)]
    last = kept.taken[12 * mine.recipe.batch]
    assert all(torch.equal(last[name], weight) for name, weight in mine.model.named_parameters())


def test_rows_of_any_length_are_told_from_those_of_one(cipher):
    shape = form(cipher, tiny_model(cipher), Recipe(**SHORT))
    assert (shape.longest, shape.first) == (18, 7)
    assert form(cipher, tiny_model(cipher), Recipe(**{**SHORT, "loss": "all"})).first == 1
    for name, longest in (("arithmetic", None), ("mixture", 64), ("shown", 64)):
        world = WORLDS[name]
        found = form(world, tiny_model(world), Recipe(**SHORT))
        assert found.first == 1
        assert longest in (None, found.longest)


def test_what_cannot_share_a_stack_is_told_apart(cipher):
    assert form(cipher, tiny_model(cipher), Recipe(**{**SHORT, "padding": "group"})) is None
    frozen = tiny_model(cipher)
    frozen.tokens.weight.requires_grad_(False)
    assert form(cipher, frozen, Recipe(**SHORT)) is None
    with pytest.raises(ValueError, match="cannot share a stack"):
        list(fit_population([member(0), member(1, batch=8)], 2))
    assert list(fit_population([], 2)) == []


def test_a_stack_needs_at_least_its_weights_four_times_and_grows_with_its_slots(cipher):
    model, recipe = tiny_model(cipher), Recipe(**SHORT)
    shape = form(cipher, model, recipe)
    assert isinstance(shape, Form)
    one, four = memory(model, shape, 1), memory(model, shape, 4)
    assert four == 4 * one
    assert one > 4 * Stack(model, 1).weights.numel() * 4
    more = form(cipher, model, Recipe(**{**SHORT, "batch": 2 * recipe.batch}))
    assert memory(model, more, 1) > one


def test_half_the_bits_train_in_a_stack_as_well(cipher):
    """Products in bfloat16 have eight bits of mantissa: losses agree to a hundredth."""
    models = [tiny_model(cipher) for _ in range(2)]
    models[1].precision = "bfloat16"
    found = [fit_among(Member(cipher, model, Recipe(**SHORT), 3), 2)[-1].loss for model in models]
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert models[1].tokens.weight.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("positions", ["learned", "rotary", "llama"])
def test_a_compiler_sees_all_of_a_step_at_once(cipher, positions):
    """Without a break, so that a GPU can be given a step as one graph; and its plain attention is the kernel's."""
    stack = Stack(tiny_model(cipher, 0, positions), 3)
    for slot in range(3):
        stack.put(slot, tiny_model(cipher, slot, positions))
    tokens, wanted = (torch.randint(1, 30, (3, 8, n), generator=torch.Generator().manual_seed(n)) for n in (12, 7))
    traced = torch.compile(losses, fullgraph=True, backend="eager")
    assert torch.allclose(traced(stack.model, tokens, wanted), losses(stack.model, tokens, wanted), atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_the_same_population(cipher):
    """One CUDA graph of a compiled step: the same bits in any company, and losses near those of the CPU."""
    found = {}
    for where, seeds in (("cpu", (5,)), ("cuda", (5,)), ("cuda", (1, 2, 5, 3))):
        members = [Member(cipher, tiny_model(cipher).to(where), Recipe(**SHORT), seed) for seed in seeds]
        for its, checks in fit_population(members, 3):
            if its.seed == 5:
                found[where, len(seeds)] = checks, bits(its.model).cpu()
    assert told(found["cuda", 1][0]) == told(found["cuda", 4][0])
    assert torch.equal(found["cuda", 1][1], found["cuda", 4][1])
    assert found["cuda", 1][0][-1].loss == pytest.approx(found["cpu", 1][0][-1].loss, abs=1e-3)
