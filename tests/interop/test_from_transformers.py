"""Models out, models in, and tasks for another harness, each with the other side's own library.

They need the extras: pip install -r requirements.hf.lock, which make slow does.
"""

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from alchemy.__main__ import answer as main
from alchemy.data.noise import Noise
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import corrupt
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import END, PAD, UNKNOWN
from alchemy.interop import to_transformers as checkpoint
from alchemy.models.decoding import complete
from alchemy.results.runs import caption_of
from alchemy.runs.build import build_model
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from tests.helpers.command import alchemy
from tests.helpers.worlds import WORLDS, tiny_model

LACKING = [name for name in ("transformers", "lm_eval") if not importlib.util.find_spec(name)]
WITHOUT = pytest.mark.skipif(bool(LACKING), reason=f"needs {LACKING}: pip install -r requirements.hf.lock")
pytestmark = [pytest.mark.slow, WITHOUT, pytest.mark.filterwarnings("default::DeprecationWarning")]

CIPHER = WORLDS["cipher"]
SYMBOLS = CIPHER.vocabulary
# right on some problems and wrong on others: four seeds, 0.51 to 0.79
LEARNT = ["train.steps=400", "model.layers=1", "model.heads=2"]
STUDY = ["study.count=100", "shift.axis=[task,length,format]", "shift.kind=[insert,delete]"]
STUDY += ["shift.grid.format=[0,2,6]"]


def loaded(folder):
    """The checkpoint as its own library reads it, and what it says of the weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, found = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder), found


def from_elsewhere(folder, **settings):
    """The same checkpoint as a model of the lab."""
    words = [f"{name}={value}" for name, value in settings.items()]
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        cfg = compose("config", ["model=hf", f"model.path={folder}", *words])
    return build_model(CIPHER, cfg.model, "symbols", "float32")


def numbers(folder, done):
    assert done.returncode == 0, done.stderr
    return (folder / done.stdout.splitlines()[-1]).with_name("records.jsonl").read_text()


def exact_matches(lines):
    """The exact match of chain and answer in each cell, by its name in the other harness."""
    found = {}
    for row in map(json.loads, lines.splitlines()):
        if (row["metric"], row["at"]["part"]) == ("exact_match", "full"):
            words = [row["at"][name] for name in ("axis", "kind", "domain") if row["at"][name] != "-"]
            found["_".join(["alchemy", *words, str(row["at"]["level"])])] = row["value"]
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model that was trained there, as ./ckpt for others, and the numbers of its study."""
    folder = tmp_path_factory.mktemp("trained")
    native = numbers(folder, alchemy(folder, *LEARNT, *STUDY))
    (home,) = (path.parent for path in (folder / "outputs" / "models").glob("*/model.json"))
    done = alchemy(folder, "export-model", home.name, "--out", "ckpt")
    assert done.returncode == 0, done.stderr
    right = exact_matches(native)["alchemy_task_0"]
    assert 0.02 < right < 0.98, "a model that is always right, or never, would hide what differs"
    return folder, native


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """A random GPT-2 that reads byte pairs, learnt on the spot, and room for more than the lab asks for."""
    from tokenizers import Tokenizer as Trainable
    from tokenizers import decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("stranger")
    pairs = Trainable(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    texts = SYMBOLS.decode_rows(draw(CIPHER, CIPHER.train, 500, stream(0, "text")).tokens)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pairs.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<|end|>"])
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=pairs, eos_token="<|end|>")
    assert tokenizer.pad_token is None
    torch.manual_seed(0)
    size = {"n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.5}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), eos_token_id=0, bos_token_id=0, **size))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("form", ["learned", "llama"])
def test_an_exported_model_is_the_same_function_of_the_same_ids(form, tmp_path, caplog):
    ours = tiny_model(CIPHER, positions=form)
    with torch.no_grad():
        for weights in ours.parameters():
            weights.add_(torch.from_numpy(stream(1, "more").normal(0, 0.05, tuple(weights.shape))))  # biases, too
    checkpoint.write_checkpoint(tmp_path / "ckpt", SYMBOLS, ours)
    with caplog.at_level(logging.WARNING):
        theirs, tokenizer, found = loaded(tmp_path / "ckpt")
    assert not caplog.records
    assert not any(found.values()), found
    ids = torch.from_numpy(stream(0, "ids").integers(1, len(SYMBOLS), (64, ours.context)))
    with torch.inference_mode():
        difference = (theirs(input_ids=ids).logits - ours(ids)).abs().max()
    assert difference < 1e-5
    assert tokenizer.convert_tokens_to_ids(list(SYMBOLS.symbols)) == list(range(len(SYMBOLS)))
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (PAD, END, UNKNOWN)
    text = "A B [F1] [F2] <think> Q <unk> <answer> Z </s>"
    encoded = tokenizer(text)
    assert set(encoded) == {"input_ids", "attention_mask"}
    assert encoded["input_ids"] == SYMBOLS.encode(text).tolist()
    assert tokenizer.decode(encoded["input_ids"]) == text
    assert tokenizer("A apple B")["input_ids"] == SYMBOLS.encode("A <unk> B").tolist()


def test_their_generate_writes_what_ours_writes_and_never_padding(tmp_path):
    ours = tiny_model(CIPHER)
    rows = draw(CIPHER, CIPHER.train, 32, stream(0, "test"))
    prompts = torch.from_numpy(rows.tokens[:, : rows.prompt_length[0]].astype(np.int64))
    with torch.no_grad():
        ours.tokens.weight.mul_(20)
        common = np.bincount(complete(ours, rows).ravel()).argmax()
        ours.tokens.weight[PAD] = 1.5 * ours.tokens.weight[common]  # likelier than the commonest symbol
    checkpoint.write_checkpoint(tmp_path / "ckpt", SYMBOLS, ours)
    theirs, _, _ = loaded(tmp_path / "ckpt")

    def written():
        return theirs.generate(prompts, attention_mask=torch.ones_like(prompts))[:, prompts.shape[1] :].tolist()

    completion = complete(ours, rows)
    for row, mine in zip(written(), completion.tolist(), strict=True):
        ended = row.index(END) if END in row else len(row)
        assert row[:ended] == [symbol for symbol in mine if symbol != PAD]
    assert completion.shape[1] == ours.context - prompts.shape[1], "no row runs on"
    theirs.generation_config.suppress_tokens = None
    assert any(PAD in row[: row.index(END) if END in row else None] for row in written()), "padding is never likely"


def test_an_export_is_whole_or_not_at_all(trained, tmp_path, monkeypatch, capsys):
    home = next((trained[0] / "outputs" / "models").glob("*/model.json")).parent
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").write_text("years of work")
    words = ["export-model", str(home), "--out"]
    assert main([*words, str(tmp_path / "used")]) == 1
    assert "holds files already" in capsys.readouterr().err
    assert main(["export-tasks", "shift.axis=task", "study.count=4", "--out", str(tmp_path / "used")]) == 1
    assert "holds files already" in capsys.readouterr().err
    assert main(["export-model", "nothing", "--out", str(tmp_path / "new")]) == 1
    assert "holds no model" in capsys.readouterr().err
    assert main(["export-tasks", "shift.axsi=task", "--out", str(tmp_path / "new")]) == 1
    assert "did you mean shift.axis?" in capsys.readouterr().err

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", full)  # the last file
    assert main([*words, str(tmp_path / "new")]) == 1
    assert "No space left" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["used"]
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["thesis.tex"]


def test_an_exported_model_has_the_same_scores_by_its_own_generate(trained):
    folder, native = trained
    done = alchemy(folder, "model=hf", "model.path=ckpt", *STUDY)
    assert numbers(folder, done) == native
    assert "training: none" in done.stdout
    run = (folder / done.stdout.splitlines()[-1]).parent
    facts = json.loads((run / "run.json").read_text())
    assert (facts["rows"], facts["from"], facts["exact_match"]) == (0, "ckpt", None)
    assert "Trained elsewhere (ckpt); level 0 is F1F1, F1F2, F2F1 with 4 atoms" in " ".join(caption_of([facts]))
    cells = {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "cells").rglob("*.json")}
    shutil.copytree(folder / "ckpt", folder / "elsewhere")
    again = alchemy(folder, "model=hf", "model.path=elsewhere", "seed=0", *STUDY)
    assert numbers(folder, again) == native
    after = {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "cells").rglob("*.json")}
    assert after == cells, "the contents make the model, not the folder: nothing is measured again"
    assert len(list((folder / "outputs" / "models").glob("*/model.json"))) == 1
    rerun = alchemy(folder, "rerun", str(run.relative_to(folder)))
    assert rerun.returncode == 0, rerun.stdout + rerun.stderr


def test_a_stranger_is_evaluated_under_every_shift(stranger, tmp_path):
    done = alchemy(
        tmp_path, "-m", "model=hf", f"model.path={stranger}", "seed=0,1", "study.count=16", "shift.kind=[insert]"
    )
    assert done.returncode == 0, done.stderr
    picture = tmp_path / done.stdout.splitlines()[-1]
    assert picture.name == "heatmap.png"
    table = picture.with_name("cells.csv").read_text()
    for axis in ("task", "element", "length", "steps", "format"):
        assert f"{axis}," in table


def test_padding_and_batches_change_no_completion(stranger):
    rows = draw(CIPHER, corrupt(CIPHER, 8, "hybrid"), 48, stream(0, "test"))
    many, one = (from_elsewhere(stranger, **{"model.context": 60, "model.rows": n}) for n in (16, 1))
    prompts = many.tokenizer.prompts(rows)
    batches = list(many.together(prompts))
    assert any(len({len(prompts[i]) for i in some}) > 2 for some in batches), "no batch is padded"
    assert all(len(some) == 1 for some in one.together(prompts))
    together, alone = (model.complete(rows, 0.0, None) for model in (many, one))
    np.testing.assert_array_equal(together, alone)
    assert len(np.unique(together, axis=0)) > 10


def test_an_exact_model_keeps_its_places(tmp_path):
    """Where the checkpoint knows no more places than the context has, every row can still fill them."""
    ours = tiny_model(CIPHER, context=20)
    checkpoint.write_checkpoint(tmp_path / "ckpt", SYMBOLS, ours)
    rows = draw(CIPHER, corrupt(CIPHER, 10, "delete"), 64, stream(0, "test"))
    assert len(np.unique(rows.prompt_length)) > 3
    np.testing.assert_array_equal(from_elsewhere(tmp_path / "ckpt").complete(rows, 0.0, None), complete(ours, rows))


def test_what_a_stranger_writes_is_read_word_by_word(stranger):
    text = from_elsewhere(stranger).tokenizer
    said = {
        " N O <answer> N": "N O <answer> N",
        "N  O\nN": "N O N",
        " N apple NO <pad> O": "N <unk> <unk> <unk> O",
        " N O </s> P": "N O",
        "": "",
        " N <|end|> O": "N",
    }
    for words, symbols in said.items():
        assert text.symbols(text.tokens([words], False)[0]) == SYMBOLS.encode(symbols).tolist(), words


def test_rows_without_a_prompt_have_no_completion(stranger):
    rows = draw(
        CIPHER, Distribution(**{**vars(CIPHER.train), "noise": Noise("delete", "all", 1.0)}), 4, stream(0, "test")
    )
    assert not rows.prompt_length.any()
    assert from_elsewhere(stranger).complete(rows, 0.0, None).shape == (4, 0)


def test_samples_follow_the_model_s_own_probabilities(tmp_path):
    ours = tiny_model(CIPHER)
    with torch.no_grad():
        ours.tokens.weight.mul_(20)
    checkpoint.write_checkpoint(tmp_path / "ckpt", SYMBOLS, ours)
    row = draw(CIPHER, CIPHER.train, 1, stream(0, "test"))
    rows = row[np.zeros(4_000, dtype=np.intp)]
    theirs = from_elsewhere(tmp_path / "ckpt", **{"model.context": 10, "model.rows": 4_000})
    drawn = theirs.complete(rows, 6.0, stream(0, "sampling"))
    np.testing.assert_array_equal(drawn, theirs.complete(rows, 6.0, stream(0, "sampling")))
    assert (drawn != theirs.complete(rows, 6.0, stream(1, "sampling"))).any()
    with torch.no_grad():
        logits = ours(torch.from_numpy(row.tokens[:, : row.prompt_length[0]].astype(np.int64)))[0, -1] / 6.0
    logits[PAD] = -torch.inf
    wanted = logits.softmax(dim=-1).numpy()
    found = np.bincount(drawn[:, 0], minlength=len(SYMBOLS)) / len(drawn)
    found[[PAD, END]] = found[END], found[PAD]  # a row that ends at once is empty
    assert np.abs(found - wanted).max() < 0.03
    assert (wanted > 0.02).sum() > 5


def spoilt(stranger, folder, how):
    """A copy of a checkpoint, with something wrong."""
    shutil.copytree(stranger, folder)
    weights = folder / "model.safetensors"
    if how == "pickle":
        torch.save({}, folder / "pytorch_model.bin")
        weights.unlink()
    elif how == "garbage":
        weights.write_bytes(b"garbage" * 100)
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "config":
        (folder / "config.json").write_text("{oops")
    elif how == "decoding":
        (folder / "generation_config.json").write_text("[")
    elif how == "tokenizer":
        (folder / "tokenizer.json").write_text("{}")
    elif how == "another":
        (folder / "config.json").write_text(json.dumps({"model_type": "never_heard_of"}))
    elif how == "empty":
        shutil.rmtree(folder)
        folder.mkdir()
    elif how == "layers":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    return folder


SPOILT = {
    "pickle": "no weights in the form of safetensors",
    "garbage": "is no file of safetensors",
    "cut": "is no file of safetensors",
    "config": "cannot be read as a causal language model",
    "decoding": "cannot be read as a causal language model",
    "tokenizer": "cannot be read as a causal language model",
    "another": "cannot be read as a causal language model",
    "empty": "has no config.json",
    "layers": "lacks weights of its config.json, such as transformer.h.2.",
}


def changed(folder, name, **entries):
    """Changes entries of a file in JSON."""
    file = folder / name
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | entries))


def outside(folder):
    """Moves the weights beside the folder; in it they have another name."""
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")


def indexed(folder, *names):
    changed(
        folder, "model.safetensors.index.json", metadata={}, weight_map={f"w{n}": name for n, name in enumerate(names)}
    )


def named_outside(folder, name):
    outside(folder)
    indexed(folder, name)


def linked(folder, name):
    (folder / name).rename(folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)


def looped(folder):
    (folder / "vocab.txt").symlink_to("vocab.txt")


def sub_folder(folder):
    (folder / "sub").mkdir()
    shutil.copy(folder / "model.safetensors", folder / "sub" / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    indexed(folder, "sub/model.safetensors")


def with_code(folder, name, part):
    (folder / "mine.py").write_text("raise SystemExit('code in a folder was run')")
    changed(folder, name, **{"auto_map": {part: "mine.Mine"}, "model_type": "mine"})


ELSEWHERE = "only the folder of a checkpoint itself is read"
UNREADABLE = "cannot be read as a causal language model"
NOT_ITS_OWN = {  # what is done to a checkpoint, and two things that the sentence about it says
    "weights beside it": (lambda at: named_outside(at, "../outside.safetensors"), "index.json", ELSEWHERE),
    "an absolute path": (lambda at: named_outside(at, str(at.parent / "outside.safetensors")), "index.json", ELSEWHERE),
    "weights that are not there": (lambda at: named_outside(at, "gone.safetensors"), "gone.safetensors", ELSEWHERE),
    "weights of a sub-folder": (sub_folder, "sub/model.safetensors", ELSEWHERE),
    "weights by another name": (lambda at: indexed(at, "config.json"), "names config.json", UNREADABLE),
    "a number for a file": (lambda at: indexed(at, 3), "index.json names 3", ELSEWHERE),
    "no map of weights": (
        lambda at: changed(at, "model.safetensors.index.json", weight_map=[]),
        "weight_map",
        UNREADABLE,
    ),
    "a link to weights": (lambda at: linked(at, "model.safetensors"), "model.safetensors is a link", ELSEWHERE),
    "a link to settings": (lambda at: linked(at, "config.json"), "config.json is a link", ELSEWHERE),
    "a link to itself": (looped, "vocab.txt is a link", ELSEWHERE),
    "weights that its settings name": (
        lambda at: changed(at, "config.json", transformers_weights="../outside.safetensors"),
        "config.json names weights ../outside.safetensors",
        ELSEWHERE,
    ),
    "a tokenizer from elsewhere": (
        lambda at: changed(at, "tokenizer_config.json", tokenizer_file="/etc/passwd"),
        "tokenizer_config.json names /etc/passwd",
        ELSEWHERE,
    ),
    "a tokenizer by its tokens": (
        lambda at: changed(at, "special_tokens_map.json", tokenizer_file="../tokenizer.json"),
        "special_tokens_map.json names ../tokenizer.json",
        ELSEWHERE,
    ),
    "one of several tokenizers": (
        lambda at: changed(at, "tokenizer_config.json", fast_tokenizer_files=["../tokenizer.4.0.0.json"]),
        "tokenizer.4.0.0.json",
        ELSEWHERE,
    ),
    "an adapter": (
        lambda at: changed(at, "adapter_config.json", base_model_name_or_path="../other", peft_type="LORA"),
        "adapter_config.json",
        ELSEWHERE,
    ),
    "code": (lambda at: with_code(at, "config.json", "AutoConfig"), "config.json", "no code in a folder is run"),
    "a tokenizer's code": (
        lambda at: with_code(at, "tokenizer_config.json", "AutoTokenizer"),
        "tokenizer_config.json",
        "no code in a folder is run",
    ),
    "kernels": (
        lambda at: changed(at, "config.json", _attn_implementation="someone/kernels"),
        "someone/kernels",
        ELSEWHERE,
    ),
    "quantised weights": (
        lambda at: changed(at, "config.json", quantization_config={"quant_method": "mxfp4"}),
        "config.json",
        "whole weights",
    ),
    "a text for a token": (
        lambda at: changed(at, "generation_config.json", eos_token_id="abc"),
        "generation_config.json: eos_token_id is no whole number but 'abc'",
        UNREADABLE,
    ),
    "a list of texts": (
        lambda at: changed(at, "generation_config.json", eos_token_id=[0, {"a": 1}]),
        "generation_config.json: eos_token_id",
        UNREADABLE,
    ),
    "a number for a list": (
        lambda at: changed(at, "generation_config.json", suppress_tokens=3),
        "generation_config.json: suppress_tokens",
        UNREADABLE,
    ),
    "a text for a number of places": (
        lambda at: changed(at, "config.json", n_positions="many"),
        "config.json: ",
        UNREADABLE,
    ),
    "no places": (lambda at: changed(at, "config.json", n_positions=0), "config.json: ", UNREADABLE),
    "a text for the end": (lambda at: changed(at, "config.json", eos_token_id="abc"), "config.json: ", UNREADABLE),
    "tokens of another kind": (
        lambda at: changed(at, "tokenizer.json", added_tokens=7),
        "tokenizer.json",
        UNREADABLE,
    ),
}
FILES = (
    "config",
    "generation_config",
    "tokenizer_config",
    "special_tokens_map",
    "tokenizer",
    "model.safetensors.index",
)


def refused(folder):
    """The sentence with which a checkpoint is refused before anything is measured."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 which one, the caller asks
        from_elsewhere(folder)
    said = str(caught.value)
    assert len(said) <= 300
    assert "\n" not in said
    return said


@pytest.mark.parametrize("how", NOT_ITS_OWN)
def test_only_the_folder_itself_is_read_and_what_is_wrong_in_it_is_told_by_its_file(how, stranger, tmp_path):
    spoil, file, words = NOT_ITS_OWN[how]
    shutil.copytree(stranger, tmp_path / "bad")
    spoil(tmp_path / "bad")
    said = refused(tmp_path / "bad")
    assert file in said
    assert words in said


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_holds_something_else_than_an_object_is_named(name, stranger, tmp_path):
    shutil.copytree(stranger, tmp_path / "bad")
    for text in ("[1]", "null", "3", '"x"', "true", "[" * 100_000, "\ufeff{}", "{", ""):
        (tmp_path / "bad" / f"{name}.json").write_text(text)
        said = refused(tmp_path / "bad")
        assert f"{name}.json" in said, text
        assert UNREADABLE in said, text


def test_settings_for_decoding_in_a_list_are_told_in_one_sentence_by_the_command(stranger, tmp_path):
    shutil.copytree(stranger, tmp_path / "bad")
    (tmp_path / "bad" / "generation_config.json").write_text('[{"eos_token_id": 0}]')
    done = alchemy(tmp_path, "model=hf", "model.path=bad", "study.count=4", "shift.axis=task")
    assert done.returncode == 1
    assert "generation_config.json holds a list and must hold an object" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_fingerprint_covers_all_that_is_read_and_harmless_things_are_let_be(stranger, tmp_path):
    folder = tmp_path / "fine"
    shutil.copytree(stranger, folder)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool.jinja").write_text("{{ 1 / 0 }}")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('run') }}")
    (folder / "onnx").mkdir()
    (folder / "alias.safetensors").symlink_to("model.safetensors")
    changed(folder, "config.json", _name_or_path="../somewhere/else")
    changed(folder, "tokenizer_config.json", special_tokens_map_file="/root/map.json")
    model = from_elsewhere(folder)
    names = {"config.json", "model.safetensors", "chat_template.jinja", "additional_chat_templates/tool.jinja"}
    assert names <= {*model.made_of}
    rows = draw(CIPHER, CIPHER.train, 4, stream(0, "test"))
    np.testing.assert_array_equal(model.complete(rows, 0.0, None), from_elsewhere(stranger).complete(rows, 0.0, None))


def test_a_tokenizer_of_another_model_is_told_in_words(stranger, tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    shutil.copytree(stranger, tmp_path / "bad")
    size = {"n_positions": 128, "n_embd": 32, "n_layer": 1, "n_head": 2}
    GPT2LMHeadModel(GPT2Config(vocab_size=8, eos_token_id=0, bos_token_id=0, **size)).save_pretrained(tmp_path / "bad")
    with pytest.raises(ValueError, match=r"a tokenizer that writes token \d+ and a model that knows 8"):
        from_elsewhere(tmp_path / "bad").complete(draw(CIPHER, CIPHER.train, 4, stream(0, "test")), 0.0, None)


@pytest.mark.parametrize("how", SPOILT)
def test_a_bad_checkpoint_is_told_in_one_sentence(how, stranger, tmp_path):
    spoilt(stranger, tmp_path / "bad", how)
    done = alchemy(tmp_path, "model=hf", "model.path=bad", "study.count=4", "shift.axis=task")
    assert done.returncode == 1
    assert SPOILT[how] in done.stderr
    assert len([line for line in done.stderr.splitlines() if line]) == 1, done.stderr
    assert not [path for path in tmp_path.rglob("outputs/models/*") if path.is_dir()]
    assert not list(tmp_path.rglob("records.jsonl"))


MISTAKES = {
    "": "model.path= is no folder",
    "model.path=nowhere": "model.path=nowhere is no folder",
    "model.path=DIR study=recovery": "study=recovery needs a model that is trained here",
    "model.path=DIR study=trajectory": "study=trajectory needs a model that is trained here",
    "model.path=DIR tokens=pieces": "leave tokens out",
    "model.path=DIR model.context=1000": "use 1 to 128",
    "model.path=DIR model.context=20": "set model.context=",
    "model.path=DIR model.rows=0": "set it to 1 or more",
    "model.path=DIR model.width=3": "--cfg job",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_answered_with_what_to_change(words, stranger):
    from alchemy.runs.mistakes import explain

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        with pytest.raises(Exception) as caught:  # noqa: PT011 of several kinds
            plan(compose("config", ["model=hf", *words.replace("DIR", str(stranger)).split()]))
        said = explain(caught.value)
    assert MISTAKES[words] in said
    assert "\n" not in said


def test_without_the_library_its_extra_is_named(monkeypatch):
    monkeypatch.setattr("alchemy.interop.from_transformers.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install '\.\[hf\]' in the lab's checkout"):
        from_elsewhere("anywhere")


def test_the_harness_counts_as_many_right_in_every_cell(trained):
    folder, native = trained
    assert alchemy(folder, "export-tasks", *STUDY, "--out", "cells").returncode == 0
    words = ["--model", "hf", "--model_args", "pretrained=ckpt", "--tasks", "alchemy", "--include_path", "cells"]
    words += ["--batch_size", "64", "--device", "cpu", "--output_path", "results"]
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"), "1")
    program = Path(sys.executable).with_name("lm_eval")
    done = subprocess.run(
        [program, *words],
        cwd=folder, capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, **offline, "HF_HOME": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (results,) = (folder / "results").rglob("results_*.json")
    theirs = {name: its["exact_match,none"] for name, its in json.loads(results.read_text())["results"].items()}
    ours = exact_matches(native)
    mean = theirs.pop("alchemy")
    assert theirs == ours
    assert len(ours) == 4 + 5 + 3 + 3
    assert mean == pytest.approx(sum(ours.values()) / len(ours))
