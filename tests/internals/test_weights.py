"""Parts of weights put back and grafted: bit for bit, a partition, halves that are halves, and a change by hand."""

import pytest
import torch

from alchemy.data.seeds import stream
from alchemy.internals.weights import Portion, change, changed, layer_of, mixed, parts
from alchemy.models.transformer import Llama, Transformer, initialise
from tests.helpers.knowing import untrained

HALVES = tuple(Portion("random", draw=number) for number in range(3))
NAMED = ("lower", "upper", "outside", "all")


def pair(form="llama", layers=4):
    """A base, and a model all of whose weights are others."""
    found = []
    for seed in (0, 1):
        if form == "llama":
            model = Llama(30, 16, layers, heads=2, width=16, ffn=40)
        else:
            model = Transformer(30, 16, layers, heads=2, width=16, positions="learned")
        initialise(model, stream(seed, "weights"))
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(0.1 * (seed + 1))  # norms and biases too
        found.append(model)
    return found


def same(one, other, names=None):
    theirs = other.state_dict()
    return all(
        torch.equal(value, theirs[name]) for name, value in one.state_dict().items() if not names or name in names
    )


@pytest.mark.parametrize("form", ["llama", "gpt"])
def test_restoring_all_is_the_base_and_nothing_the_trained(form):
    base, trained = pair(form)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    everything = parts(base, stream(0, "halves"))[Portion("all")]
    assert same(mixed(base, trained, everything), base)
    assert same(mixed(base, trained, frozenset()), trained)
    assert same(mixed(trained, base, everything), trained)  # the graft of all
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_restoring_a_part_moves_that_part_alone():
    base, trained = pair()
    for part in parts(base, stream(0, "halves")).values():
        changed = mixed(base, trained, part)
        rest = set(base.state_dict()) - part
        assert same(changed, base, part)
        assert same(changed, trained, rest or {"none"})


def test_halfway_is_the_mean():
    base, trained = pair()
    half = mixed(base, trained, frozenset(base.state_dict()), 0.5).state_dict()
    for name, before in base.state_dict().items():
        assert torch.allclose(half[name], (before + trained.state_dict()[name]) / 2, atol=1e-7)
    quarter = mixed(base, trained, frozenset(base.state_dict()), 0.25).state_dict()
    name = "blocks.0.feed_in.weight"
    expected = 0.25 * base.state_dict()[name] + 0.75 * trained.state_dict()[name]
    assert torch.allclose(quarter[name], expected, atol=1e-7)


@pytest.mark.parametrize("layers", [2, 3, 4, 5])
@pytest.mark.parametrize("form", ["llama", "gpt"])
def test_parts_partition_the_weights(form, layers):
    model = pair(form, layers)[0]
    found = parts(model, stream(0, "halves"))
    names = sorted(model.state_dict())
    assert sorted([*found[Portion("lower")], *found[Portion("upper")], *found[Portion("outside")]]) == names
    each = [name for layer in range(layers) for name in found[Portion("layer", layer)]]
    assert sorted([*each, *found[Portion("outside")]]) == names == sorted(found[Portion("all")])
    assert found[Portion("lower")] == frozenset().union(
        *(found[Portion("layer", layer)] for layer in range(layers // 2))
    )
    assert set(found) == {*(Portion("layer", layer) for layer in range(layers)), *map(Portion, NAMED), *HALVES}
    outside = {name.split(".")[0] for name in found[Portion("outside")]}
    assert outside == ({"tokens", "norm", "output"} if form == "llama" else {"tokens", "places", "norm"})


@pytest.mark.parametrize("layers", [2, 3, 4, 8])
@pytest.mark.parametrize("form", ["llama", "gpt"])
def test_random_halves_are_matrices_of_the_layers_and_about_a_half(form, layers):
    model = pair(form, layers)[0]
    state = model.state_dict()
    whole = sum(weights.numel() for weights in model.blocks.parameters())
    drawn = set()
    for seed in range(10):
        found = parts(model, stream(seed, "halves"))
        for name in HALVES:
            assert all(layer_of(weight) is not None and state[weight].ndim == 2 for weight in found[name])
            assert abs(sum(state[weight].numel() for weight in found[name]) / whole - 0.5) <= 0.05
            drawn.add(found[name])
    assert len(drawn) > 5
    assert parts(model, stream(0, "halves")) == parts(model, stream(0, "halves"))


def test_change_by_hand():
    base = {
        "tokens.weight": torch.tensor([[3.0, 4.0]]),  # |W| = 5
        "blocks.0.feed_in.weight": torch.tensor([[0.0, 12.0]]),
        "blocks.1.feed_in.weight": torch.tensor([[1.0, 0.0]]),
        "blocks.1.feed_norm.weight": torch.tensor([0.0]),
    }
    trained = {
        "tokens.weight": torch.tensor([[3.0, 4.0]]),
        "blocks.0.feed_in.weight": torch.tensor([[3.0, 12.0]]),
        "blocks.1.feed_in.weight": torch.tensor([[1.0, 4.0]]),
        "blocks.1.feed_norm.weight": torch.tensor([3.0]),
    }
    assert change(base, trained) == pytest.approx(
        {Portion("all"): (34 / 170) ** 0.5, Portion("layer", 0): 3 / 12, Portion("layer", 1): 5.0}
    )
    assert set(change(base, base).values()) == {0.0}


def test_weights_changed_by_hand():
    """From 1 to 2, bfloat16 has every 128th: 1 + 1/256 lies between two and is rounded to the even one, 1, and what is
    above it to 1 + 1/128. From 256 to 512 it has every other number.
    """
    base = {"a": torch.tensor([1.0, 1.0, 1.0, 1.0]), "b": torch.tensor([[0.0, -256.0], [256.0, 3e-5]])}
    trained = {
        "a": torch.tensor([1.0, 1 + 1 / 256, 1 + 1.1 / 256, 1 + 1 / 128]),  # same, same, other, other
        "b": torch.tensor([[1e-9, -256.9], [258.0, 3e-5]]),  # other: no smallest step at 0; same; other; same
    }
    assert changed(base, trained) == 4 / 8
    assert changed({"a": base["a"]}, trained) == 2 / 4
    assert changed(base, base) == 0
    assert changed({"a": torch.zeros(1), "b": torch.zeros(2, 2)}, {"a": torch.zeros(1), "b": torch.ones(2, 2)}) == 4 / 5


def test_the_smaller_a_change_the_fewer_weights_it_counts():
    """A change of a 10,000th moves all weights at float32, and a few of bfloat16's, as far apart as 0.4 to 0.8 %."""
    base, _ = pair()
    before, shares = base.state_dict(), []
    for size in (1e-4, 1e-3, 1e-2):
        after = {name: value * (1 + size) for name, value in before.items()}
        assert all((after[name] != value).all() for name, value in before.items())
        shares.append(changed(before, after))
    assert shares[:2] == [pytest.approx(1e-4 / 0.0055, rel=0.3), pytest.approx(1e-3 / 0.0055, rel=0.3)]
    assert shares[2] == 1


def test_layers_are_told_from_what_is_outside():
    assert layer_of("blocks.11.feed_in.weight") == 11
    assert layer_of("tokens.weight") is layer_of("norm.weight") is None
    assert {layer_of(name) for name in untrained().state_dict()} == {None, 0, 1}
