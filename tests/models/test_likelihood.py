"""Likelihoods: slow loops over rows and symbols, hand values, and the share of chains that training showed."""

from math import log, log2

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binomtest

from alchemy.data.batch import Role
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import END, PAD
from alchemy.measures.knowledge import questions
from alchemy.models.decoding import complete
from alchemy.models.likelihood import (
    answered,
    bits,
    completed,
    divergence,
    log_likelihood,
    opening,
    threshold,
    token_divergence,
)
from tests.helpers.knowing import FIRST, RULE, STEPS, WORLD, certain_of, rows, trained, untrained

SHARP = untrained(scale=20.0)
OTHER = untrained(1, scale=20.0)


def distribution(model, text):
    """The probability of each symbol after a text, padding left out: one row at a time, in double precision."""
    logits = model(torch.tensor([text]))[0, -1].detach().double().numpy()
    logits[PAD] = -np.inf
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def prompt_of(batch, row):
    return batch.tokens[row, : batch.prompt_length[row]].tolist()


def slow(batch, value):
    """(B, T - 1) `value` of the text before each token of a completion and that token, 0 elsewhere."""
    found = np.zeros((len(batch), batch.tokens.shape[1] - 1))
    for row, (tokens, role) in enumerate(zip(batch.tokens.tolist(), batch.role.tolist(), strict=True)):
        for place in range(1, len(tokens)):
            if role[place] in (Role.CHAIN, Role.ANSWER):
                found[row, place - 1] = value(tokens[:place], tokens[place])
    return found


def test_log_likelihood_equals_a_loop_over_rows_and_tokens(monkeypatch):
    batch = rows(24)
    assert len(set((batch.role != Role.PAD).sum(axis=1).tolist())) > 2  # rows of several lengths
    expected = slow(batch, lambda text, token: log(distribution(SHARP, text)[token]))
    assert_allclose(log_likelihood(SHARP, batch), expected, atol=1e-4)
    monkeypatch.setattr("alchemy.models.likelihood.ROWS", 5)
    assert_allclose(log_likelihood(SHARP, batch), expected, atol=1e-4)


def test_every_symbol_of_a_completion_counts_its_end_too():
    batch = rows(50)
    assert_array_equal(completed(batch).sum(axis=1), (batch.completion() != PAD).sum(axis=1) + 1)


def test_padding_has_no_probability():
    model = untrained()
    with torch.no_grad():
        model.output.weight[PAD] = 50 * model.output.weight[PAD].sign()  # it would be likely or most unlikely
    batch = rows(60)
    for row in range(3):
        expected = distribution(model, prompt_of(batch, row))[:FIRST].sum()
        assert opening(model, batch, FIRST)[row, 0] == pytest.approx(expected, abs=1e-6)
    direct = rows(60, chains=0.0)
    assert_allclose(answered(model, direct, FIRST)[:3], [given(model, direct, row) for row in range(3)], atol=1e-4)
    assert np.isfinite(divergence(model, untrained(1), batch)).all()


def test_openings_equal_a_loop_over_rows_and_add_up(monkeypatch):
    batch = rows(40)
    expected = []
    for row in range(len(batch)):
        shares = distribution(SHARP, prompt_of(batch, row))
        expected.append([shares[:FIRST].sum(), shares[FIRST:].max() / shares[FIRST:].sum()])
    found = opening(SHARP, batch, FIRST)
    assert_allclose(found, expected, atol=1e-5)
    monkeypatch.setattr("alchemy.models.likelihood.ROWS", 7)
    assert_allclose(opening(SHARP, batch, FIRST), found, atol=1e-6)


def given(model, batch, row):
    """The log-probability of the answer's atoms of one row, the first of them among atoms alone, symbol by symbol."""
    end = int((batch.role[row] != Role.PAD).sum()) - (END in batch.tokens[row])
    text, likely = prompt_of(batch, row), 0.0
    for place in range(len(text), end):
        shares = distribution(model, batch.tokens[row, :place].tolist())
        shares /= shares[FIRST:].sum() if place == len(text) else 1.0
        likely += log(shares[batch.tokens[row, place]])
    return likely


def test_answers_given_equal_a_loop_over_rows_and_tokens(monkeypatch):
    batch = rows(40, chains=0.0)
    assert len(set(batch.prompt_length.tolist())) > 1
    expected = [given(SHARP, batch, row) for row in range(40)]
    assert_allclose(answered(SHARP, batch, FIRST), expected, atol=1e-4)
    monkeypatch.setattr("alchemy.models.likelihood.ROWS", 7)
    assert_allclose(answered(SHARP, batch, FIRST), expected, atol=1e-4)
    assert answered(SHARP, batch[:0], FIRST).shape == (0,)


def test_openings_stay_exact_where_a_chain_is_all_but_certain():
    """In single precision one less the rate is 0 here, and its logarithm anything."""
    model = certain_of(RULE, 60.0)
    batch = rows(20)
    shares = [distribution(model, prompt_of(batch, row)) for row in range(20)]
    assert all(0 < share[FIRST:].sum() < 1e-9 for share in shares)
    direct = rows(20, chains=0.0)
    assert_allclose(answered(model, direct, FIRST), [given(model, direct, row) for row in range(20)], atol=1e-4)
    found = opening(model, batch, FIRST)
    assert_allclose(found[:, 1], [share[FIRST:].max() / share[FIRST:].sum() for share in shares], rtol=1e-4)
    assert (found[:, 0] <= 1).all()


def test_divergence_equals_a_sum_over_the_vocabulary(monkeypatch):
    batch = rows(12)

    def forward(text, _):
        before, after = distribution(SHARP, text), distribution(OTHER, text)
        return sum(p * log(p / q) for p, q in zip(before, after, strict=True) if p > 0)

    expected = slow(batch, forward)
    with torch.no_grad():
        assert_allclose(token_divergence(SHARP, OTHER, batch).numpy(), expected, atol=1e-4)
    assert_allclose(divergence(SHARP, OTHER, batch), expected.sum(axis=1), atol=1e-3)
    assert (divergence(SHARP, OTHER, batch) > 0.1).all()
    monkeypatch.setattr("alchemy.models.likelihood.ROWS", 5)
    assert_allclose(divergence(SHARP, OTHER, batch), expected.sum(axis=1), atol=1e-3)


def test_equal_models_do_not_differ_and_no_divergence_is_negative():
    batch = rows(64)
    assert (divergence(SHARP, SHARP, batch) == 0).all()
    near = untrained(scale=20.0)
    with torch.no_grad():
        near.output.weight += 1e-4
    assert (divergence(SHARP, near, batch) > -1e-5).all()


class Reporting(torch.nn.Module):
    """A model that holds symbols likely at given rates, whatever it reads."""

    def __init__(self, rates):
        super().__init__()
        self.tokens = torch.nn.Embedding(1, 1)
        self.rates = torch.nn.Parameter(torch.tensor([1.0, *rates]).log())  # padding first: it is left out

    def forward(self, tokens):
        return self.rates.expand(*tokens.shape, -1)


def test_the_divergence_is_the_forward_one_by_hand():
    batch = rows(4, chains=0.0)
    base, model = Reporting([0.5, 0.5]), Reporting([0.9, 0.1])
    forward = 0.5 * log(0.5 / 0.9) + 0.5 * log(0.5 / 0.1)
    backward = 0.9 * log(0.9 / 0.5) + 0.1 * log(0.1 / 0.5)
    tokens = completed(batch).sum(axis=1)
    assert_allclose(divergence(base, model, batch), forward * tokens, rtol=1e-5)
    assert_allclose(divergence(model, base, batch), backward * tokens, rtol=1e-5)
    assert forward == pytest.approx(0.5108, abs=1e-4)
    assert backward == pytest.approx(0.3681, abs=1e-4)


def test_what_the_base_never_says_is_no_divergence():
    batch = rows(4, chains=0.0)
    found = divergence(Reporting([1.0, 0.0]), Reporting([0.25, 0.75]), batch)
    assert_allclose(found, log(4) * completed(batch).sum(axis=1), rtol=1e-5)


def test_the_divergence_has_a_gradient_by_the_model_alone():
    base, model = untrained(scale=5.0), untrained(1, scale=5.0)
    token_divergence(base, model, rows(16)).sum().backward()
    gradients = [weights.grad for weights in model.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0
    assert all(weights.grad is None for weights in base.parameters())


def test_the_threshold_by_hand():
    effective, rate = threshold(np.array([[0.1, 0.2], [0.7, 0.05]]))
    assert effective == pytest.approx(8)  # one over the mean of a fifth and a twentieth
    assert rate == pytest.approx(1 / 9)
    assert threshold(np.array([[0.0, 0.5]]))[1] == pytest.approx(1 / 3)  # parity, the published value


def test_bits_by_hand():
    found = bits(np.log([1.0, 1 / 2, 1 / 100, 1 / 1000]), 100)
    assert_allclose(found, [log2(100), log2(50), 0, 0], atol=1e-12)


def test_the_rate_of_opening_chains_is_that_of_training_and_of_samples():
    """p_cot is recovered: 30 % of the rows of several steps that the model was trained on have a chain."""
    model = trained()
    asked = questions(WORLD, STEPS, 1500, stream(0, "opening"), "train", 1.0)
    rate = float(opening(model, asked, FIRST)[:, 0].mean())
    assert 0.1 < rate < 0.5  # ten seeds, three instruction sets: 0.229 to 0.324
    sampled = complete(model, asked, 1.0, stream(0, "samples"))
    chains = int((sampled[:, 0] < FIRST).sum())
    low, high = binomtest(chains, len(asked)).proportion_ci(0.99999)
    assert low < rate < high
    assert ((sampled[:, 0] >= RULE) | (sampled[:, 0] == END)).mean() > 0.97  # what is no answer is a chain
