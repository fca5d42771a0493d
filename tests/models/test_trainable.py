"""Which weights learn: those named move, all others keep their bits, and adapters start as nothing and fold in."""

from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import nn

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import corrupt
from alchemy.data.vocabulary import PAD
from alchemy.internals.weights import parts
from alchemy.models.decoding import complete
from alchemy.models.trainable import LowRank, choose_trainable, merge
from alchemy.models.transformer import Llama, Transformer, initialise
from alchemy.training.fit import Recipe, fit_model
from tests.helpers.models import greedy, half_trained
from tests.helpers.recipes import QUICK
from tests.helpers.worlds import WORLDS, tiny_model

SWITCHES = ("all", "lower", "upper", "random", "low_rank", "vectors")
ADAPTERS = ("low_rank", "vectors")
FORMS = ("gpt", "llama")
GPT_MATRICES = ("attention_in", "attention_out", "feed_in", "feed_out")
TOKENS = torch.randint(1, 30, (4, 12), generator=torch.Generator().manual_seed(0))


def fresh(form, layers=4):
    if form == "llama":
        model = Llama(30, 16, layers, heads=2, width=16, ffn=40)
    else:
        model = Transformer(30, 16, layers, heads=2, width=16, positions="learned")
    initialise(model, stream(0, "weights"))
    return model


def rng(seed=0):
    return stream(seed, "trainable")


def state(model):
    return {name: weights.clone() for name, weights in model.state_dict().items()}


def take_steps(model, steps=3):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(steps):
        nn.functional.cross_entropy(model(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()


def names(model, chosen):
    numbers = {id(weights) for weights in chosen}
    return {name for name, weights in model.named_parameters() if id(weights) in numbers}


def grown(model, which):
    """The model with adapters that are no longer zero."""
    for i, weights in enumerate(choose_trainable(model, which, rng(), rank=3)):
        noise = torch.from_numpy(stream(i, "noise").normal(0, 0.3, tuple(weights.shape))).float()
        weights.data += noise
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", SWITCHES)
def test_what_is_chosen_moves_and_all_else_keeps_its_bits(form, which):
    model = fresh(form)
    chosen = names(model, choose_trainable(model, which, rng()))
    before = state(model)
    take_steps(model)
    moved = {name for name, weights in state(model).items() if not torch.equal(weights, before[name])}
    assert moved == chosen
    assert (chosen == set(before)) == (which == "all")
    assert all(weights.requires_grad == (name in chosen) for name, weights in model.named_parameters())


def test_a_training_of_the_lab_leaves_frozen_weights_alone(cipher):
    model = tiny_model(cipher)
    chosen = names(model, choose_trainable(model, "low_rank", rng(), rank=2))
    before = state(model)
    fit_model(cipher, model, Recipe(**QUICK), 0, lambda at: None)
    assert {name for name, weights in state(model).items() if not torch.equal(weights, before[name])} == chosen


def test_a_second_choice_forgets_the_first_and_its_gradients():
    model = fresh("gpt")
    choose_trainable(model, "lower", rng())
    model(TOKENS).sum().backward()
    chosen = names(model, choose_trainable(model, "upper", rng()))
    before = state(model)
    take_steps(model)
    assert {name for name, weights in state(model).items() if not torch.equal(weights, before[name])} == chosen


def test_halves_by_hand():
    model = fresh("gpt", layers=3)  # the layer in the middle is in the upper half
    lower, upper = (names(model, choose_trainable(model, which, rng())) for which in ("lower", "upper"))
    assert lower == {name for name in dict(model.named_parameters()) if name.startswith("blocks.0.")}
    assert upper == {name for name in dict(model.named_parameters()) if name.startswith(("blocks.1.", "blocks.2."))}
    assert (len(lower), len(upper)) == (12, 24)


@pytest.mark.parametrize("layers", [2, 3, 4, 5])
def test_halves_are_all_layers_together_and_those_that_are_restored(layers):
    model = fresh("gpt", layers)
    restored = parts(model, rng())
    lower, upper = (names(model, choose_trainable(model, which, rng())) for which in ("lower", "upper"))
    assert (lower, upper) == (restored["lower"], restored["upper"])
    assert not lower & upper
    assert lower | upper == {name for name, _ in model.named_parameters() if name.startswith("blocks.")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layers", [2, 4, 6])
def test_a_random_half_is_matrices_as_large_as_half_the_layers(form, layers):
    model = fresh(form, layers)
    lower = sum(weights.numel() for weights in choose_trainable(model, "lower", rng()))
    halves = [choose_trainable(model, "random", rng(seed)) for seed in range(20)]
    assert all(abs(sum(weights.numel() for weights in half) / lower - 1) <= 0.1 for half in halves)
    assert all(weights.ndim == 2 for half in halves for weights in half)
    assert all(name.startswith("blocks.") for half in halves for name in names(model, half))
    assert names(model, choose_trainable(model, "random", rng(7))) == names(model, halves[7])
    assert len({frozenset(names(model, half)) for half in halves}) > 2
    assert set.union(*(names(model, half) for half in halves)) == {
        name for name, weights in model.named_parameters() if name.startswith("blocks.") and weights.ndim == 2
    }


@pytest.mark.parametrize("form", FORMS)
def test_adapters_are_where_they_should_be(form):
    model = fresh(form, layers=2)
    chosen = choose_trainable(model, "low_rank", rng(), rank=3)
    expected = {f"blocks.{i}.{of}.{part}" for i in (0, 1) for of in GPT_MATRICES for part in ("down", "up")}
    assert names(model, chosen) == expected
    assert {min(weights.shape) for weights in chosen} == {3}

    model = fresh(form, layers=2)
    vectors = choose_trainable(model, "vectors", rng())
    assert [tuple(vector.shape) for vector in vectors] == [(16,), (16,)]


def test_a_vector_is_added_to_its_layers_output():
    model = grown(fresh("gpt", layers=1), "vectors")
    outputs = []
    model.blocks[0].register_forward_hook(lambda block, given, output: outputs.append(output))
    model(TOKENS)
    vector = model.blocks[0].feed_out.vector
    moved = vector.detach().clone()
    vector.data.zero_()
    model(TOKENS)
    assert torch.allclose(outputs[0] - outputs[1], moved.expand_as(outputs[0]), atol=1e-5)


def test_a_low_rank_layer_equals_the_product_written_out():
    linear, inputs = nn.Linear(7, 5), torch.randn(6, 7, generator=torch.Generator().manual_seed(0))
    adapter = LowRank(linear, 2, rng())
    adapter.up.data = torch.from_numpy(stream(0, "up").normal(size=(5, 2))).float()
    weight = linear.weight.clone()
    for o in range(5):
        for i in range(7):
            weight[o, i] += sum(adapter.up[o, r] * adapter.down[r, i] for r in range(2))
    assert torch.allclose(adapter(inputs), inputs @ weight.T + linear.bias, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", SWITCHES)
def test_a_choice_alone_changes_no_logit(form, which):
    model = fresh(form)
    plain = model(TOKENS)
    choose_trainable(model, which, rng())
    assert torch.equal(model(TOKENS), plain)


def test_adapters_come_from_their_stream_alone():
    def adapters(seed):
        return torch.cat([weights.flatten() for weights in choose_trainable(fresh("gpt"), "low_rank", rng(seed))])

    model = fresh("gpt")
    before = torch.get_rng_state()
    choose_trainable(model, "low_rank", rng())
    merge(model)
    assert torch.equal(torch.get_rng_state(), before), "the global generator was used"
    assert torch.equal(adapters(0), adapters(0))
    assert not torch.equal(adapters(0), adapters(1))


@pytest.mark.parametrize(("form", "which"), [("gpt", "low_rank"), ("llama", "low_rank"), ("gpt", "vectors")])
def test_merging_leaves_a_plain_model_that_computes_the_same(form, which):
    model = fresh(form)
    before = {name: weights.shape for name, weights in model.state_dict().items()}
    plain = model(TOKENS)
    grown(model, which)
    adapted = model(TOKENS)
    assert not torch.allclose(adapted, plain, atol=1e-2)
    merge(model)
    assert {name: weights.shape for name, weights in model.state_dict().items()} == before
    assert {type(part) for part in model.modules()} == {type(part) for part in fresh(form).modules()}
    assert torch.allclose(model(TOKENS), adapted, atol=1e-5)
    assert all(weights.requires_grad for weights in model.parameters())
    other = fresh(form)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(TOKENS), model(TOKENS))


def test_a_merged_copy_shares_nothing_with_the_model_it_came_from():
    model = grown(fresh("gpt"), "vectors")
    before, copy = state(model), deepcopy(model)
    merge(copy)
    take_steps(copy)
    assert all(torch.equal(weights, before[name]) for name, weights in state(model).items())


@pytest.mark.parametrize("which", ADAPTERS)
@pytest.mark.parametrize("form", FORMS)
def test_copies_and_states_carry_the_adapters(form, which):
    model = grown(fresh(form), which)
    copy = deepcopy(model)
    assert torch.equal(copy(TOKENS), model(TOKENS))
    kept = copy(TOKENS)
    take_steps(model)
    assert torch.equal(copy(TOKENS), kept), "the copy learned with the model"
    choose_trainable(other := fresh(form), which, rng(1), rank=3)
    assert not torch.allclose(other(TOKENS), kept, atol=1e-3)
    other.load_state_dict(copy.state_dict())
    assert torch.equal(other(TOKENS), kept)
    assert names(copy, [weights for weights in copy.parameters() if weights.requires_grad]) == names(
        model, [weights for weights in model.parameters() if weights.requires_grad]
    )


@cache
def rows(noise):
    task = WORLDS["cipher"]
    return draw(task, corrupt(task, noise) if noise else task.train, 12, stream(0, "test"))


@pytest.mark.parametrize("which", ADAPTERS)
@pytest.mark.parametrize("positions", ["learned", "llama"])
def test_decoding_with_a_cache_equals_one_row_at_a_time(positions, which):
    plain, changed = half_trained(positions), 0
    model = deepcopy(plain)
    for weights in choose_trainable(model, which, rng(), rank=2):
        weights.data += torch.from_numpy(stream(1, "noise").normal(0, 0.1, tuple(weights.shape))).float()
    for batch in (rows(0), rows(8)):
        written, unadapted = complete(model, batch), complete(plain, batch)
        changed += written.shape != unadapted.shape or (written != unadapted).any()
        for tokens, length, mine in zip(batch.tokens, batch.prompt_length, written, strict=True):
            assert greedy(model, tokens[:length].tolist(), mine[mine != PAD].tolist())
    assert changed, "the adapters make no difference here"


def test_bad_input_says_what_to_change():
    model = fresh("gpt", layers=1)
    for which in ("lower", "upper", "random"):
        with pytest.raises(ValueError, match=r"raise model\.layers"):
            choose_trainable(model, which, rng())
    with pytest.raises(ValueError, match="within 10 %"):  # 4 or 5 of the 9 ffn that these layers have in all
        choose_trainable(Llama(30, 16, layers=3, heads=2, width=4, ffn=4000), "random", rng())
    with pytest.raises(ValueError, match="use all, lower, upper, random, low_rank, vectors"):
        choose_trainable(model, "middle", rng())
    with pytest.raises(ValueError, match=r"trainable\.rank=0"):
        choose_trainable(model, "low_rank", rng(), rank=0)
    assert all(weights.requires_grad for weights in model.parameters()), "a refused choice has frozen weights"
    choose_trainable(model, "low_rank", rng())
    with pytest.raises(ValueError, match=r"merge\(model\) first"):
        choose_trainable(model, "all", rng())
    merge(model)
    assert len(choose_trainable(model, "all", rng())) == len(list(model.parameters()))


def test_vectors_of_a_model_without_biases_are_not_merged_by_halves():
    model = grown(fresh("llama"), "vectors")
    before = model(TOKENS)
    with pytest.raises(ValueError, match="without biases"):
        merge(model)
    assert torch.equal(model(TOKENS), before)
    assert len([weights for weights in model.parameters() if weights.requires_grad]) == 4
