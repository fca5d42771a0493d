"""Pieces: as many as the released tokenizer has, and back to the same symbols."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.batch import Role
from alchemy.data.noise import Noise, perturb
from alchemy.data.sampling import draw, span
from alchemy.data.seeds import stream
from alchemy.data.task import Distribution
from alchemy.data.tokenizer import Tokenizer
from alchemy.data.vocabulary import END, PAD, UNKNOWN
from alchemy.models.decoding import complete, follows_gold
from tasks.cipher import Cipher
from tests.helpers.worlds import tiny_model


@pytest.mark.parametrize(("name", "tokens"), [("F1", 16), ("F1F2", 31), ("F1F2F1", 50)])
def test_rows_have_the_released_number_of_tokens(name, tokens):
    """arXiv:2508.01191's tokenizer, lengths with the end symbol at four letters."""
    cipher = Cipher(("rotate 13", "roll 1"), (name,), 4, "", 0, 0, (), True)
    rows = Tokenizer(cipher.vocabulary).encode(draw(cipher, cipher.train, 8, stream(0, "rows")))
    assert_array_equal((rows.tokens != PAD).sum(axis=1), tokens if name != "F1" else 4 + 4 + 3 + 4 + 1)
    assert sum(span(cipher, cipher.train, Tokenizer(cipher.vocabulary))) == (tokens if name != "F1" else 16)


def test_pieces_by_hand(cipher):
    tokenizer = Tokenizer(cipher.vocabulary)
    row = cipher.render(cipher.vocabulary.encode("A P P L")[None], cipher.parse("F1F2"))
    names = {i: piece for piece, i in tokenizer.ids.items()}
    written = " ".join(names[i] for i in tokenizer.encode(row).tokens[0].tolist())
    assert written == ("A ĠP ĠP ĠL Ġ[ F 1 ] Ġ[ F 2 ] Ġ< think > ĠN ĠC ĠC ĠY Ġ[ F 2 ] Ġ< answer > ĠC ĠC ĠY ĠN </s>")
    noisy = perturb(row, Noise("insert", "element", 1.0), stream(0, "noise"))
    written = " ".join(names[i] for i in tokenizer.encode(noisy).tokens[0].tolist())
    assert written.startswith("<unk> ĠA Ġ <unk> ĠP Ġ <unk> ĠP Ġ <unk> ĠL Ġ[ F 1 ]")


def test_completions_come_back(task):
    tokenizer = Tokenizer(task.vocabulary)
    batch = draw(task, task.train, 200, stream(0, "pieces"))
    rows = tokenizer.encode(batch)
    assert_array_equal(tokenizer.decode(rows.completion()), batch.completion())
    assert_array_equal(np.unique(rows.role), np.unique(batch.role))
    assert (rows.tokens[rows.role == Role.ANSWER] == END).sum() == 200


def test_what_is_no_symbol_is_the_noise_token(cipher):
    tokenizer = Tokenizer(cipher.vocabulary)
    pieces = np.array([[tokenizer.ids[piece] for piece in ("ĠA", "Ġ[", "F", "ĠB", "]")]], dtype=np.int16)
    ids = cipher.vocabulary.ids
    assert tokenizer.decode(pieces).tolist() == [[ids["A"], UNKNOWN, UNKNOWN, ids["B"], UNKNOWN]]


def test_a_model_that_reads_pieces_completes_symbols(cipher):
    tokenizer = Tokenizer(cipher.vocabulary)
    model = tiny_model(cipher, size=len(tokenizer))
    model.tokenizer = tokenizer
    batch = draw(cipher, Distribution(cipher.train.compositions, 4), 16, stream(0, "rows"))
    completion = complete(model, batch)
    assert completion.max() < len(cipher.vocabulary)
    assert not follows_gold(model, batch).any()
    sampled = [complete(model, batch, 1.0, stream(seed, "sampling")) for seed in (0, 0, 1)]
    assert_array_equal(sampled[0], sampled[1])
    assert sampled[0].shape != sampled[2].shape or (sampled[0] != sampled[2]).any()
