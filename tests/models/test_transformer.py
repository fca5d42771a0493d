"""The transformer: what it may see, and that its clever ways equal the plain ones."""

import numpy as np
import pytest
import torch

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, corrupt
from alchemy.data.vocabulary import PAD
from alchemy.models.decoding import GREEDY, complete, follows_gold, go_on, to_tensor
from alchemy.models.transformer import Cache, Llama, Transformer, initialise, rotate, turning_angles
from tests.helpers.models import greedy, half_trained
from tests.helpers.worlds import WORLDS, tiny_model

POSITIONS = ("learned", "rotary", "none", "llama")  # the last is the other form


@pytest.mark.parametrize("positions", POSITIONS)
def test_no_token_sees_the_ones_after_it(cipher, positions):
    model = half_trained(positions)
    tokens = torch.randint(1, 30, (3, 12), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 8:] = 1
    assert torch.allclose(model(tokens)[:, :8], model(changed)[:, :8], atol=1e-5)
    assert not torch.allclose(model(tokens)[:, 8:], model(changed)[:, 8:], atol=1e-2)


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_cache_changes_no_logit(cipher, positions):
    model = half_trained(positions)
    tokens = torch.randint(1, 30, (4, 15), generator=torch.Generator().manual_seed(0))
    cache = Cache(model, 4)
    parts = [model(tokens[:, :6], cache)] + [model(tokens[:, i : i + 1], cache) for i in range(6, 15)]
    assert torch.allclose(torch.cat(parts, dim=1), model(tokens), atol=1e-4)


@pytest.mark.parametrize("positions", POSITIONS)
def test_complete_equals_plain_greedy_row_by_row(cipher, positions):
    """Batches, cache, dropped rows and rows read off gold against one row at a time."""
    model = half_trained(positions)
    for where in (cipher.train, corrupt(cipher, 8, "hybrid"), corrupt(cipher, 20, "delete"), AXES["steps"](cipher, 1)):
        batch = draw(cipher, where, 12, stream(0, "test"))
        written = complete(model, batch)
        for tokens, length, mine in zip(batch.tokens, batch.prompt_length, written, strict=True):
            assert greedy(model, tokens[:length].tolist(), mine[mine != PAD].tolist())


@pytest.mark.parametrize("first", [slice(None), slice(None, None, -1)])
def test_completions_do_not_depend_on_how_many_rows_are_tried_on_gold(cipher, monkeypatch, first):
    """With rows that follow gold first the others are tried too; with the others first, they are all decoded."""
    model = half_trained("learned")
    batch = draw(cipher, cipher.train, 200, stream(0, "test"))
    batch = batch[np.argsort(~follows_gold(model, batch), kind="stable")][first]
    alone = [complete(model, batch[row : row + 1])[0] for row in range(200)]
    for tried in (1, 199, 200):
        monkeypatch.setattr("alchemy.models.decoding.TRIED", tried)
        for written, mine in zip(complete(model, batch), alone, strict=True):
            assert written[written != PAD].tolist() == mine[mine != PAD].tolist()


def test_the_model_of_these_tests_is_neither_perfect_nor_dumb(cipher):
    """The tests above say something only if rows end at many places, and some, but not all, follow gold."""
    model = half_trained("learned")
    noisy, clean = (draw(cipher, where, 200, stream(0, "test")) for where in (corrupt(cipher, 8), cipher.train))
    lengths = set((complete(model, noisy) != PAD).sum(axis=1).tolist())
    assert len(lengths) > 3  # ten seeds, three instruction sets: 9 to 15
    assert 0 < follows_gold(model, clean).sum() < 200  # the 20 that were learnt, in every one


def test_a_row_follows_gold_exactly_when_its_completion_is_gold(cipher):
    batch = draw(cipher, cipher.train, 200, stream(0, "test"))
    model = half_trained("learned")
    decoded = go_on(model, to_tensor(batch.tokens[:, :7], model))
    gold = np.pad(batch.completion(), ((0, 0), (0, decoded.shape[1] - 10)))
    followed = follows_gold(model, batch)
    assert 0 < followed.sum() < 200
    assert ((decoded == gold).all(axis=1) == followed).all()


def test_padding_is_never_chosen():
    logits = torch.zeros(2, 6)
    logits[:, PAD] = 9.0
    logits[:, 4] = 1.0
    assert GREEDY(logits).tolist() == [4, 4]


def test_turning_a_place_further_turns_the_product_by_the_distance_alone():
    angles = turning_angles(20, 8)
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, 8, generator=generator)
    near = (rotate(query, angles[7:8]) * rotate(key, angles[4:5])).sum()
    far = (rotate(query, angles[15:16]) * rotate(key, angles[12:13])).sum()
    assert torch.isclose(near, far, atol=1e-5)


def test_weights_come_from_their_stream_alone(cipher):
    def weights(seed):
        return torch.cat([w.flatten() for w in tiny_model(cipher, seed).parameters()])

    torch.rand(7)
    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.equal(first, weights(1))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"width": 33}, r"model\.width=33.*model\.heads=4.*such as 32"),
        ({"width": -4}, r"model\.width"),
        ({"layers": 0}, r"model\.layers"),
        ({"heads": 0}, r"model\.heads"),
        ({"context": 0}, r"model\.context"),
        ({"positions": "sine"}, r"model\.positions"),
        ({"positions": "rotary", "width": 12}, r"multiple of 8"),
    ],
)
def test_bad_sizes_are_named(settings, names):
    sizes = {"context": 16, "layers": 1, "heads": 4, "width": 32, "positions": "learned"}
    with pytest.raises(ValueError, match=names):
        Transformer(10, **{**sizes, **settings})


def test_the_model_works_on_another_device(cipher):
    """Every tensor is made where the weights are: a pass on the meta device fails otherwise."""
    for positions in POSITIONS:
        with torch.device("meta"):
            sizes = (len(cipher.vocabulary), 16, 2, 2, 8)
            model = Llama(*sizes, ffn=24) if positions == "llama" else Transformer(*sizes, positions)
            cache = Cache(model, 3)
            assert model(torch.zeros(3, 5, dtype=torch.long), cache).shape == (3, 5, len(cipher.vocabulary))
        assert cache.states.device.type == "meta"


def test_initial_weights_have_the_spread_they_should():
    model = Transformer(50, 32, 4, 4, 64, "learned")
    initialise(model, stream(0, "weights"))
    assert model.blocks[0].attention_in.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.blocks[0].feed_out.weight.std().item() == pytest.approx(0.02 / 8**0.5, rel=0.05)
    assert model.blocks[0].feed_out.bias.abs().max() == 0


def test_a_llama_block_by_hand():
    """RMSNorm, attention to itself alone, SwiGLU: one token, written out."""
    model = tiny_model(WORLDS["cipher"], 3, "llama")
    block, stream_in = model.blocks[0], model.tokens(torch.tensor([[7]]))
    weights = {name: value.detach() for name, value in block.named_parameters()}

    def normed(x, weight):
        return x / (x.pow(2).mean() + 1e-6).sqrt() * weight

    values = (weights["attention_in.weight"] @ normed(stream_in[0, 0], weights["attention_norm.weight"]))[64:]
    after = stream_in[0, 0] + weights["attention_out.weight"] @ values
    gate, value = (weights["feed_in.weight"] @ normed(after, weights["feed_norm.weight"])).split(88)
    after = after + weights["feed_out.weight"] @ (gate * gate.sigmoid() * value)
    assert torch.allclose(block(stream_in, 0, model.angles[:1], None)[0, 0], after, atol=1e-6)


@pytest.mark.parametrize("setting", [{"ffn": 0}, {"heads": 5}, {"width": 6, "heads": 2}])
def test_a_bad_llama_is_named(setting):
    sizes = {"context": 8, "layers": 1, "heads": 2, "width": 8, "ffn": 8}
    with pytest.raises(ValueError, match=r"model\."):
        Llama(30, **{**sizes, **setting})
