"""A stack: each slot computes what its model does alone, and nothing of one slot reaches another."""

import numpy as np
import pytest
import torch

from alchemy.models.decoding import GREEDY
from alchemy.models.stack import ALIGNED, Stack, form_of
from alchemy.models.transformer import Cache
from tests.helpers.worlds import tiny_model

FORMS = ("learned", "rotary", "both", "none", "llama")


def stacked(cipher, positions, seeds=(3, 1, 2)):
    models = [tiny_model(cipher, seed, positions) for seed in seeds]
    for model in models:  # biases and norms that are not zero and one
        rng = np.random.default_rng(0)
        for weight in model.parameters():
            weight.data += torch.from_numpy(rng.normal(0, 0.05, tuple(weight.shape))).float()
    stack = Stack(models[0], len(models))
    for slot, model in enumerate(models):
        stack.put(slot, model)
    return models, stack


def some_tokens(*shape):
    return torch.randint(1, 30, shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("positions", FORMS)
def test_every_slot_has_the_logits_of_its_model_alone(cipher, positions):
    models, stack = stacked(cipher, positions)
    tokens = some_tokens(3, 40, 12)
    together = stack.model(tokens)
    for slot, model in enumerate(models):
        assert torch.allclose(together[slot], model(tokens[slot]), atol=1e-5)
    assert not torch.allclose(together[0], models[1](tokens[0]), atol=1e-2)


@pytest.mark.parametrize("positions", FORMS)
def test_every_slot_has_the_gradient_of_its_model_alone(cipher, positions):
    models, stack = stacked(cipher, positions)
    tokens = some_tokens(3, 40, 12)
    found = stack.gradients(stack.model(tokens).square().mean(dim=(1, 2, 3)).sum())
    assert found.shape == stack.weights.shape
    for slot, model in enumerate(models):
        alone = torch.autograd.grad(model(tokens[slot]).square().mean(), list(model.parameters()))
        for (name, mine), theirs in zip(stack.named(found[slot]), alone, strict=True):
            assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("positions", ["learned", "llama"])
def test_a_stack_decodes_with_a_cache_as_each_model_alone(cipher, positions):
    models, stack = stacked(cipher, positions)
    tokens = some_tokens(3, 5, 6)
    cache, written, new = Cache(stack.model, 15), [], tokens
    for _ in range(8):
        new = GREEDY(stack.model(new, cache)[..., -1:, :])
        written.append(new)
    together = torch.cat(written, dim=-1)
    for slot, model in enumerate(models):
        rows = torch.cat([tokens[slot], together[slot]], dim=1)
        best = model(rows)[:, 5:-1, 1:]
        chosen = best.gather(2, together[slot][..., None] - 1)[..., 0]
        assert (chosen >= best.max(dim=-1).values - 1e-4).all()


@pytest.mark.parametrize("positions", FORMS)
def test_what_is_put_into_a_slot_is_taken_out_again(cipher, positions):
    models, stack = stacked(cipher, positions)
    other = tiny_model(cipher, 9, positions)
    stack.take(1, other)
    for (name, mine), theirs in zip(other.named_parameters(), models[1].parameters(), strict=True):
        assert torch.equal(mine, theirs), name
    stack.clear(1)
    assert not stack.weights[1].any()
    assert torch.equal(dict(stack.named(stack.weights[2]))["tokens.weight"], models[2].tokens.weight)


def test_every_matrix_begins_where_a_cache_line_does(cipher):
    _, stack = stacked(cipher, "learned")
    assert stack.weights.data_ptr() % 64 == 0
    assert all(place.start % ALIGNED == 0 for place in stack.places.values())
    assert stack.weights.shape[1] % ALIGNED == 0


def test_models_of_another_form_cannot_share_a_stack(cipher):
    forms = {form_of(tiny_model(cipher, 0, positions)) for positions in FORMS}
    assert len(forms) == len(FORMS)
    assert form_of(tiny_model(cipher, 0)) == form_of(tiny_model(cipher, 1))
    assert form_of(tiny_model(cipher, 0)) != form_of(tiny_model(cipher, 0, context=32))
    half = tiny_model(cipher, 0)
    half.precision = "bfloat16"
    assert form_of(half) != form_of(tiny_model(cipher, 0))
