"""Policy gradient: hand values, a slow loop over tokens, and that it learns what is paid for, and nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from alchemy.data.answers import answers
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.models.decoding import Choice, go_on
from alchemy.models.transformer import Transformer, initialise
from alchemy.training.policy_gradient import (
    Policy,
    advantages,
    log_probabilities,
    policy_gradient_loss,
    reward,
    sampled_logits,
    token_entropy,
    wrong_answer,
)

POLICY = Policy(
    group=8, prompts=4, temperature=1.0, clip=0.2, kl=0.001, entropy=0.001, updates_per_rollout=1, reward="exact"
)
PLAIN = replace(POLICY, kl=0.0, entropy=0.0)
ATOM = 10  # the first atom of these tests
NOBODY = stream(0, "nobody")


def test_advantages_have_the_hand_values():
    found = advantages(torch.tensor([[1.0] * 7 + [0.0], [1.0] * 8, [0.0] * 8]))
    assert [round(x, 2) for x in found[0].tolist()] == [0.35] * 7 + [-2.47]
    assert (found[1:] == 0).all()
    assert torch.allclose(advantages(torch.tensor([[0.0, 2.0]])), torch.tensor([[-1.0, 1.0]]) / 2**0.5)


def test_equal_rewards_give_exactly_no_advantage_also_where_their_mean_is_rounded():
    assert (advantages(torch.full((1, 7), 0.1)) == 0).all()
    assert torch.isfinite(advantages(torch.full((2, 3), 1e30))).all()


def test_each_group_is_normalised_by_itself():
    rewards = torch.from_numpy(stream(0, "rewards").random((3, 5)))
    alone = torch.cat([advantages(group[None]) for group in rewards])
    assert torch.allclose(advantages(rewards), alone)
    assert torch.allclose(alone.mean(dim=1), torch.zeros(3, dtype=torch.float64))
    assert torch.allclose(alone.std(dim=1), torch.ones(3, dtype=torch.float64), atol=1e-4)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("group", 1),
        ("prompts", 0),
        ("temperature", 0.0),
        ("temperature", math.inf),
        ("clip", 0.0),
        ("clip", 1.0),
        ("kl", -0.1),
        ("entropy", math.nan),
        ("updates_per_rollout", 0),
        ("updates_per_rollout", 5),
        ("reward", "fame"),
    ],
)
def test_a_wrong_setting_is_named(setting, value):
    with pytest.raises(ValueError, match=rf"^{setting}="):
        replace(POLICY, **{setting: value})


def some_rows(seed=0, B=5, T=6, V=9):
    """Logits and all that goes with them, in which policy, sampling policy and reference differ a good deal."""
    rng = stream(seed, "rows")
    logits, old, reference = (torch.from_numpy(rng.normal(0, 1.5, (B, T, V))) for _ in range(3))
    tokens = torch.from_numpy(rng.integers(1, V, (B, T)))
    looked_at = torch.from_numpy(rng.random((B, T)) < 0.6)
    picked = (log_probabilities(of, tokens) for of in (old, reference))
    return logits.requires_grad_(), tokens, looked_at, *picked, torch.from_numpy(rng.normal(size=B))


def by_hand(logits, tokens, looked_at, old, reference, advantage, policy):
    """The loss and its facts, one token after another, in plain Python."""
    losses, clips, kls, entropies = [], [], [], []
    for b, row in enumerate(logits.tolist()):
        for t, numbers in enumerate(row):
            if not looked_at[b, t]:
                continue
            total = sum(math.exp(number) for number in numbers)
            shares = [math.exp(number) / total for number in numbers]
            log_share = math.log(shares[tokens[b, t]])
            r, a = math.exp(log_share - old[b, t].item()), advantage[b].item()
            clipped = min(max(r, 1 - policy.clip), 1 + policy.clip)
            x = max(-10.0, min(10.0, reference[b, t].item() - log_share))
            clips.append(clipped * a < r * a)
            kls.append(math.exp(x) - x - 1)
            entropies.append(-sum(share * math.log(share) for share in shares))
            losses.append(-min(r * a, clipped * a) + policy.kl * kls[-1] - policy.entropy * entropies[-1])
    return [sum(found) / len(found) for found in (losses, clips, kls, entropies)]


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_equals_a_slow_loop_over_tokens(seed):
    policy = replace(POLICY, kl=0.3, entropy=0.2)
    rows = some_rows(seed)
    rows[4][0, 0] += 100.0  # farther from the initial model than the KL term tells apart
    loss, facts = policy_gradient_loss(*rows, policy)
    expected = by_hand(*rows, policy)
    assert 0 < expected[1] < 1, "some tokens are clipped, some are not"
    assert [loss.item(), facts.clip_share.item(), facts.kl.item(), facts.entropy.item()] == pytest.approx(expected)
    assert not any(fact.requires_grad for fact in (facts.clip_share, facts.kl, facts.entropy))


def test_tokens_not_looked_at_do_not_matter():
    logits, tokens, looked_at, old, reference, advantage = some_rows()
    loss, _ = policy_gradient_loss(logits, tokens, looked_at, old, reference, advantage, POLICY)
    loss.backward()
    assert (logits.grad[~looked_at] == 0).all()
    nothing = torch.where(looked_at, 0.0, torch.nan)
    rows = (tokens.where(looked_at, torch.zeros_like(tokens)), looked_at, old + nothing, reference + nothing)
    assert policy_gradient_loss(logits, *rows, advantage, POLICY)[0] == loss


def test_the_gradient_is_that_of_reinforce_where_the_policy_is_the_one_that_sampled():
    logits, tokens, looked_at, _, reference, advantage = some_rows()
    old = log_probabilities(logits, tokens)  # its own gradient must not count
    loss, facts = policy_gradient_loss(logits, tokens, looked_at, old, reference, advantage, PLAIN)
    mine = torch.autograd.grad(loss, logits)[0]
    chances = logits.softmax(dim=-1)
    reinforce = (chances - nn.functional.one_hot(tokens, 9)) * advantage[:, None, None]
    assert torch.allclose(mine, reinforce * looked_at[..., None] / looked_at.sum())
    assert facts.clip_share == 0


@pytest.mark.parametrize(
    ("ratio", "advantage", "binds"),
    [
        (1.19, 1.0, False),
        (1.21, 1.0, True),
        (0.5, 1.0, False),  # an improvement still to be made is never stopped
        (0.81, -1.0, False),
        (0.79, -1.0, True),
        (1.5, -1.0, False),
        (1.5, 0.0, False),
    ],
)
def test_the_clip_binds_only_past_its_edge_in_the_direction_of_the_advantage(ratio, advantage, binds):
    logits = torch.zeros(1, 1, 4, requires_grad=True)
    old = torch.tensor([[math.log(0.25 / ratio)]])
    rows = (torch.tensor([[2]]), torch.tensor([[True]]), old, old, torch.tensor([advantage]))
    loss, facts = policy_gradient_loss(logits, *rows, PLAIN)
    loss.backward()
    assert facts.clip_share.item() == binds
    assert bool((logits.grad != 0).any()) == (not binds and advantage != 0)


def test_the_kl_term_is_nowhere_negative_zero_at_equality_and_kl_on_average():
    logits, tokens, looked_at, old, reference, advantage = some_rows()
    kls = []
    for b, t in looked_at.nonzero().tolist():
        alone = torch.zeros_like(looked_at)
        alone[b, t] = True
        kls.append(policy_gradient_loss(logits, tokens, alone, old, reference, advantage, POLICY)[1].kl)
    assert min(kls) > 0
    equal = log_probabilities(logits, tokens)
    assert policy_gradient_loss(logits, tokens, looked_at, old, equal, advantage, POLICY)[1].kl == 0

    ours, theirs = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.3, 0.5])
    mean = 0.0
    for token, chance in enumerate(ours.tolist()):
        drawn, seen = torch.tensor([[token]]), torch.tensor([[True]])
        given = (ours.log()[drawn], theirs.log()[drawn], torch.tensor([1.0]))
        mean += chance * policy_gradient_loss(ours.log()[None, None], drawn, seen, *given, POLICY)[1].kl.item()
    assert mean == pytest.approx((ours * (ours / theirs).log()).sum().item())


def test_logarithms_and_entropy_by_hand():
    logits = torch.tensor([[0.5, 0.25, 0.25], [1.0, 1.0, 1.0]]).log()
    assert log_probabilities(logits, torch.tensor([1, 2])).tolist() == pytest.approx([math.log(1 / 4), math.log(1 / 3)])
    assert token_entropy(logits).tolist() == pytest.approx([1.5 * math.log(2), math.log(3)])


def test_sampled_logits_are_those_of_what_decoding_draws_from():
    """Half as peaked at temperature 2, without padding, and with a gradient that is finite."""
    logits = torch.tensor([[5.0, 0.0, 1.0, 2.0]] * 20_000, requires_grad=True)
    shares = sampled_logits(logits, 2.0).softmax(dim=-1)
    expected = torch.tensor([0.0, 1.0, math.exp(0.5), math.exp(1.0)])
    assert torch.allclose(shares[0], expected / expected.sum())
    drawn = Choice(2.0, stream(0, "draw"))(logits.detach()).bincount(minlength=4) / len(logits)
    assert torch.allclose(drawn, shares[0], atol=0.015)  # four standard errors
    token_entropy(sampled_logits(logits, 2.0)).sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, PAD] == 0).all()


def rows(*lines):
    width = max(map(len, lines))
    return np.array([[*line, *[PAD] * (width - len(line))] for line in lines], dtype=np.int16)


COMPLETIONS = rows(
    [11, 12],  # the answer, at once
    [6, 13, ANSWER, 11, 12],  # after a chain
    [11, 12, ANSWER, 12, 11],  # what stands before the marker does not count
    [11, 12, ANSWER],  # no answer at all
    [ANSWER, 5, ANSWER, 11, 12],  # after the last of two markers
    [11, 12, 12],  # one too many
    [11],  # one too few
    [11, 6],  # one that is no atom
    [11, 11],
    [],
)
GOLD = rows(*[[11, 12]] * len(COMPLETIONS))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("exact", "1100100000"), ("format", "1110100010"), ("wrong", "0000000010")],
)
def test_rewards_by_hand(kind, expected):
    found = reward(kind, COMPLETIONS, GOLD, NOBODY, ATOM)
    assert found.dtype == np.float32
    assert "".join(str(int(one)) for one in found) == expected


def test_answers_may_be_of_different_lengths_and_there_may_be_no_tokens_at_all():
    gold = rows([11, 12, 13, 14], [11, 12], [11, 12])
    given = rows([11, 12], [11, 12], [11, 10, ANSWER, 11, 11])
    assert reward("exact", given, gold, NOBODY, ATOM).tolist() == [0, 1, 0]
    assert reward("format", given, gold, NOBODY, ATOM).tolist() == [0, 1, 1]
    assert reward("wrong", given, gold, NOBODY, ATOM).tolist() == [0, 0, 1]
    assert answers(given).tolist() == [[11, 12], [11, 12], [11, 11]]
    assert reward("exact", np.zeros((3, 0), dtype=np.int16), gold, NOBODY, ATOM).tolist() == [0, 0, 0]


def test_a_wrong_answer_is_fixed_never_gold_and_of_atoms():
    gold = stream(0, "gold").integers(ATOM, ATOM + 2, (50, 3)).astype(np.int16)
    gold[::3, 2] = PAD
    wrong = wrong_answer(gold, ATOM)
    assert ((wrong != gold).sum(axis=1) == 1).all()
    assert ((wrong == PAD) == (gold == PAD)).all()
    assert set(np.unique(wrong[wrong != PAD])) == {ATOM, ATOM + 1}
    assert (wrong_answer(gold, ATOM) == wrong).all()
    assert wrong_answer(rows([10, 10], [10, 13]), ATOM).tolist() == [[10, 11], [10, 12]]


def test_random_rewards_come_from_the_stream_alone_at_their_rate():
    given = np.repeat(COMPLETIONS, 1000, axis=0)
    gold = np.repeat(GOLD, 1000, axis=0)
    for rate in (0.5, 0.1):
        found = reward("random", given, gold, stream(3, "pay"), ATOM, rate)
        assert found.mean() == pytest.approx(rate, abs=0.02)
        assert (found == reward("random", given[::-1], gold, stream(3, "pay"), ATOM, rate)).all()
        right = reward("exact", given, gold, NOBODY, ATOM)
        assert found[right == 1].mean() == pytest.approx(rate, abs=0.04)
    untouched = stream(3, "pay")
    reward("exact", given, gold, untouched, ATOM)
    assert untouched.random() == stream(3, "pay").random()


class Arms(nn.Module):
    """Two arms to pull, whatever the prompt; at first both are as likely."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(2))

    def forward(self, rows):
        return self.table.expand(rows, 1, 2)


def better_arm(kind, seed, steps=40):
    """The chance that the trained policy gives to the arm that is paid."""
    arms, rng = Arms(), stream(seed, "arms")
    policy = replace(POLICY, reward=kind, kl=0.0, entropy=0.0)
    optimizer = torch.optim.SGD(arms.parameters(), lr=0.3)
    count = policy.prompts * policy.group
    for _ in range(steps):
        logits = arms(count)
        pulled = (torch.from_numpy(rng.random((count, 1))) < logits.softmax(dim=-1)[..., 1].detach()).long()
        paid = reward(kind, (pulled.numpy() + ATOM).astype(np.int16), rows(*[[ATOM + 1]] * count), rng, ATOM)
        advantage = advantages(torch.from_numpy(paid).view(policy.prompts, policy.group)).flatten()
        old = log_probabilities(logits, pulled).detach()
        loss, _ = policy_gradient_loss(
            logits, pulled, torch.ones_like(pulled, dtype=torch.bool), old, old, advantage, policy
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return arms.table.softmax(dim=0)[1].item()


def test_the_paid_arm_is_found():
    assert min(better_arm("exact", seed) for seed in range(5)) > 0.95
    assert max(better_arm("wrong", seed) for seed in range(5)) < 0.05


def test_no_arm_is_found_by_random_rewards():
    """The mean over 30 seeds is within three of its standard errors of one half, and those are small."""
    chances = np.array([better_arm("random", seed) for seed in range(30)])
    error = chances.std(ddof=1) / len(chances) ** 0.5
    assert 0 < error < 0.05
    assert abs(chances.mean() - 0.5) < 3 * error


def rollout(model, policy, rng):
    """Completions sampled from fixed prompts: rows, which tokens were drawn, and log-probabilities of all."""
    prompts = torch.arange(ATOM, ATOM + policy.prompts).repeat_interleave(policy.group)[:, None].repeat(1, 2)
    completion = torch.from_numpy(go_on(model, prompts, Choice(policy.temperature, rng)).astype(np.int64))
    length = (completion != PAD).sum(dim=1, keepdim=True)
    ended = completion.clone().scatter(1, length.clamp(max=completion.shape[1] - 1), END)
    ended = torch.where(length < completion.shape[1], ended, completion)[:, : model.context - 2]
    tokens = torch.cat([prompts, ended], dim=1)
    looked_at = torch.zeros_like(tokens, dtype=torch.bool)
    looked_at[:, 2:] = torch.arange(ended.shape[1]) <= length
    return tokens, looked_at[:, 1:], completion.numpy().astype(np.int16)


def of(model, tokens, policy):
    return sampled_logits(model(tokens[:, :-1]), policy.temperature)


@pytest.mark.parametrize(("updates", "clips"), [(1, False), (4, True)])
def test_steps_of_a_transformer_are_finite_and_only_several_updates_a_rollout_clip(updates, clips):
    model = Transformer(16, 10, layers=1, heads=2, width=16, positions="learned")
    initialise(model, stream(0, "weights"))
    policy = replace(POLICY, temperature=0.7, updates_per_rollout=updates, reward="format")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    shares, rng = [], stream(0, "rollout")
    for _ in range(4):
        tokens, looked_at, completion = rollout(model, policy, rng)
        old = log_probabilities(of(model, tokens, policy), tokens[:, 1:]).detach()
        paid = reward("format", completion, rows(*[[ATOM] * 2] * len(tokens)), rng, ATOM)
        advantage = advantages(torch.from_numpy(paid).view(policy.prompts, policy.group)).flatten()
        for part in torch.arange(len(tokens)).chunk(updates):
            some = (tokens[part, 1:], looked_at[part], old[part], old[part], advantage[part])
            loss, facts = policy_gradient_loss(of(model, tokens[part], policy), *some, policy)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            shares.append(facts.clip_share.item())
            assert torch.isfinite(torch.stack([loss.detach(), facts.kl, facts.entropy])).all()
        assert all(torch.isfinite(weights).all() for weights in model.parameters())
    assert len(shares) == 4 * updates
    assert (max(shares) > 0) == clips
    assert shares[::updates] == [0.0] * 4, "the first update of a rollout is never clipped"


def test_the_first_atom_is_an_atom_and_the_symbol_before_it_none():
    given, gold = rows([ATOM, 12], [ATOM - 1, 12], [12, ATOM]), rows(*[[11, 12]] * 3)
    assert reward("format", given, gold, NOBODY, ATOM).tolist() == [1, 0, 1]


def test_settings_at_their_edges_are_taken():
    for settings in ({"group": 2}, {"prompts": 1}, {"kl": 0.0, "entropy": 0.0}, {"updates_per_rollout": 32}):
        assert replace(POLICY, **settings)
    for setting in ("kl", "entropy"):
        with pytest.raises(ValueError, match=rf"^{setting}=inf must be 0 or more"):
            replace(POLICY, **{setting: math.inf})


def test_what_is_stopped_by_the_clip_by_hand():
    """A chance that grew from 1/4 to 1/2 has a ratio of 2, clipped to 1.2: a gain of 1 counts as 1.2, one of -1 as 2.
    The initial model has 1/8, so x is log(1/4), and k3 = 1/4 + log 4 - 1. The entropy of a half and three sixths is
    log(2) / 2 + log(6) / 2.
    """
    logits = torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6], dtype=torch.float64).log()[None, None].expand(2, 1, 4)
    tokens, seen = torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.bool)
    old, first = (torch.full((2, 1), math.log(share), dtype=torch.float64) for share in (1 / 4, 1 / 8))
    policy = replace(POLICY, kl=0.5, entropy=0.25)
    loss, facts = policy_gradient_loss(logits, tokens, seen, old, first, torch.tensor([1.0, -1.0]), policy)
    k3, entropy = 1 / 4 + math.log(4) - 1, (math.log(2) + math.log(6)) / 2
    assert (facts.clip_share.item(), facts.kl.item(), facts.entropy.item()) == pytest.approx((0.5, k3, entropy))
    assert loss.item() == pytest.approx(0.5 * k3 - (1.2 - 2) / 2 - 0.25 * entropy)
