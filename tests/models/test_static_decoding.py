"""Decoding with shapes that never change writes what plain decoding writes."""

import gc
from copy import deepcopy
from weakref import ref

import numpy as np
import pytest
import torch

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.models.decoding import complete, to_tensor
from alchemy.models.static_decoding import Decoder, decoder_of
from alchemy.models.trainable import choose_trainable, merge
from tests.helpers.models import greedy, half_trained

FORMS = ("learned", "rotary", "none", "llama")


def prompts(cipher, count=30):
    batch = draw(cipher, cipher.train, count, stream(0, "test"))
    return batch, batch.tokens[:, :7]


def likeliest(model, asked, written):
    """Whether each row is what plain greedy decoding writes, but for symbols that are as likely but for rounding."""
    return all(greedy(model, [*map(int, a)], [int(w) for w in row if w]) for a, row in zip(asked, written, strict=True))


@pytest.mark.parametrize("positions", FORMS)
def test_it_writes_what_plain_decoding_writes(cipher, positions):
    """After prompts of the world, and after symbols at random, after which models write all kinds of things."""
    model, decoder = half_trained(positions), Decoder(half_trained(positions), 40)
    _, asked = prompts(cipher)
    strange = np.random.default_rng(0).integers(1, 30, (30, 7)).astype(np.int16)
    for some in (asked, strange, asked[:3], strange[:1]):
        assert likeliest(model, some, decoder.decode(to_tensor(some, model)))


def test_prompts_of_another_length_are_decoded_by_the_same_decoder(cipher):
    model, decoder = half_trained("learned"), Decoder(half_trained("learned"), 8)
    for tokens in ([[8, 9, 10, 5]], [[8, 9, 10, 11, 12, 5, 5, 4]], [[9]]):
        assert likeliest(model, tokens, decoder.decode(torch.tensor(tokens)))


def test_a_completion_that_must_begin_with_an_atom_does(cipher):
    model = half_trained("learned")
    _, asked = prompts(cipher)
    first = cipher.vocabulary.first_atom
    written = Decoder(model, 30).decode(to_tensor(asked, model), first)
    assert (written[:, 0] >= first).all()
    assert likeliest(model, np.concatenate([asked, written[:, :1]], axis=1), written[:, 1:])


def test_rows_of_a_decoder_are_apart(cipher):
    """What is decoded beside a row, and what was decoded before it, changes nothing."""
    model = half_trained("learned")
    _, asked = prompts(cipher)
    decoder = Decoder(model, 8)
    found = np.concatenate([decoder.decode(to_tensor(asked[i : i + 8], model)) for i in range(0, 30, 8)])
    again = np.concatenate([decoder.decode(to_tensor(asked[::-1][i : i + 8].copy(), model)) for i in range(0, 30, 8)])
    assert likeliest(model, asked, found)
    assert likeliest(model, asked[::-1], again)


def test_more_rows_than_a_decoder_has_are_refused(cipher):
    model = half_trained("learned")
    with pytest.raises(ValueError, match="9 rows do not fit a decoder of 8"):
        Decoder(model, 8).decode(torch.zeros(9, 4, dtype=torch.int64))


def test_a_decoder_is_kept_while_all_weights_are_where_they_were(cipher):
    model = deepcopy(half_trained("learned"))
    first = decoder_of(model, 8)
    assert decoder_of(model, 8) is first
    assert decoder_of(model, 9) is not first
    kept = decoder_of(model, 9)
    choose_trainable(model, "low_rank", np.random.default_rng(0))
    assert decoder_of(model, 9) is not kept
    kept = decoder_of(model, 9)
    merge(model)
    assert decoder_of(model, 9) is not kept


def test_a_decoder_keeps_no_model_alive(cipher):
    model = deepcopy(half_trained("learned"))
    decoder_of(model, 8)
    alive = ref(model)
    del model
    gc.collect()
    assert alive() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("positions", FORMS)
def test_a_gpu_writes_the_same(cipher, positions):
    model = half_trained(positions)
    batch, _ = prompts(cipher, 300)
    assert (complete(deepcopy(model).to("cuda"), batch) == complete(model, batch)).mean() > 0.99
