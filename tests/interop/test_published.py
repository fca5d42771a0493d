"""The published data set's files: written as published, scored as released, refused in one sentence."""

import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemy.__main__ import answer as main
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import recompose
from alchemy.data.tokenizer import Tokenizer
from alchemy.interop import to_transformers as checkpoint
from alchemy.interop.published import MOST, export, world
from alchemy.interop.released import canonical_pair, results, score_parts
from alchemy.interop.words import asked, quoted
from alchemy.measures.scores import corpus_statistics, score_texts, split_text
from tests.helpers.worlds import ROOT, conformance, tiny_model


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(capsys, *words):
    code = main([str(word) for word in words])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("case", conformance("enumeration")["cases"], ids=str)
def test_exported_files_are_the_published_ones(case, tmp_path):
    out = tmp_path / "data.jsonl"
    words = ["export", "--composition", "".join(case["tokens"]), "--length", case["l"], "--out", out]
    assert main([str(word) for word in [*words, *([] if case["use_cot"] else ["--no-cot"])]]) == 0
    text = "".join(f"{row['input']} {row['output']}\n" for row in lines(out))
    assert hashlib.sha256(text.encode()).hexdigest() == case["sha256_of_lines_input_space_output_newline"]


@pytest.mark.parametrize("case", conformance("rendering"), ids=str)
def test_exported_records_are_the_published_ones(case, tmp_path):
    if len(case["element"]) > 2:  # the longer ones are read in the file of a few
        return
    out = tmp_path / "data.jsonl"
    words = ["export", "--composition", "".join(case["tokens"]), "--length", len(case["element"]), "--out", out]
    words += ["--rotation", case["rot_n"], "--roll", case["pos_n"], *([] if case["use_cot"] else ["--no-cot"])]
    assert main([str(word) for word in words]) == 0
    element = " ".join(case["element"])
    assert [row for row in lines(out) if row["element"] == element] == [case["record"]]


def test_a_part_of_the_data_is_drawn_without_repeats_by_its_seed(tmp_path):
    drawn = {}
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        out = tmp_path / name
        main(["export", "--composition", "F1F2", "--count", "500", "--seed", str(seed), "--out", str(out)])
        drawn[name] = [row["element"] for row in lines(out)]
    assert drawn["a"] == drawn["b"] != drawn["c"]
    assert len(set(drawn["a"])) == 500


@pytest.mark.parametrize(("length", "count"), [(1, 4), (4, 500), (9, 300), (13, 20)])
def test_what_is_drawn_stays_what_it_was(length, count):
    task = world(13, 1, "F1F2", length, True)
    numbers = stream(5, "export").choice(26**length, count, replace=False)
    expected = [task.vocabulary.decode(row) for row in task.numbered(numbers, length)]
    assert [row["element"] for row in export(task, count, 5)] == expected


@pytest.mark.parametrize("length", [14, 99])
def test_elements_of_any_length_are_drawn(length, tmp_path):
    out = tmp_path / "data.jsonl"
    words = ["export", "--composition", "F1F2", "--length", str(length), "--count", "300", "--out", str(out)]
    assert main(words) == 0
    rows = lines(out)
    assert len({row["element"] for row in rows}) == 300
    assert {len(row["element"].split()) for row in rows} == {length}
    assert len({row["element"].split()[-1] for row in rows}) == 26
    assert rows[0]["answer"].split() == moved(moved(rows[0]["element"].split(), 13, 0), 0, 1)


def moved(letters, on, left):
    turned = [chr((ord(letter) - ord("A") + on) % 26 + ord("A")) for letter in letters]
    return turned[left:] + turned[:left]


def test_rotations_and_rolls_of_any_size_are_what_is_left_of_them(tmp_path):
    found = []
    for rotation, roll in ((5, -1), (5 + 26 * 10**30, -1 - 3 * 10**30)):
        words = ["--length", "3", "--rotation", rotation, "--roll", roll, "--out", tmp_path / "data.jsonl"]
        assert main(["export", "--composition", "F1F2", *map(str, words)]) == 0
        found.append((tmp_path / "data.jsonl").read_bytes())
    assert found[0] == found[1]


def test_long_compositions_are_written_a_few_rows_at_a_time(tmp_path):
    words = ["--length", "2", "--count", "600", "--out", str(tmp_path / "data.jsonl")]
    assert main(["export", "--composition", "F1" * 60, *words]) == 0
    assert len({row["element"] for row in lines(tmp_path / "data.jsonl")}) == 600


def test_an_export_that_is_stopped_leaves_nothing(tmp_path):
    words = ["export", "--composition", "F1F2", "--length", "5", "--out", str(tmp_path / "q.jsonl")]
    with subprocess.Popen([sys.executable, "-m", "alchemy", *words], cwd=ROOT, stderr=subprocess.PIPE) as job:
        until = time.monotonic() + 60
        while not list(tmp_path.iterdir()) and time.monotonic() < until:
            time.sleep(0.05)
        assert [path.name for path in tmp_path.iterdir()] == [f".q.jsonl.{job.pid}"]
        job.send_signal(signal.SIGTERM)
        said = job.communicate()[1].decode()
    assert job.returncode == 1
    assert said == "alchemy: stopped; nothing half-written is left\n"
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file_and_no_new_folder(tmp_path, capsys, monkeypatch):
    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "old").write_text("old")
    tasks = ["export-tasks", "shift.axis=task", "study.count=5", "--out", tmp_path / "a" / "b"]
    for words in (["export", "--composition", "F1", "--length", "1", "--out", tmp_path / "old"], tasks):
        code, err = run(capsys, *words)
        assert (code, err.count("\n")) == (1, 1)
        assert f"{words[-1]} cannot be used (No space left on device)" in err
    assert (tmp_path / "old").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("out", ["/dev/full", "/dev/null", "/dev/stdout", "/dev", "."])
@pytest.mark.parametrize("command", ["export --composition F1", "score x", "load x --model y", "export-tasks"])
def test_a_device_or_a_folder_is_no_file_to_write(command, out):
    """Root could rename a file over it, so this only asks."""
    if command == "export-tasks" and out in ("/dev", "."):
        return
    with pytest.raises(ValueError, match=f"--out {out} .*name a"):
        asked(command.split()[0], [*command.split()[1:], "--out", out])


def test_what_is_scored_is_not_written_over(tmp_path, capsys):
    (tmp_path / "predictions").write_bytes(GOOD)
    (tmp_path / "link").symlink_to("predictions")
    for name in ("predictions", "link"):
        code, err = run(capsys, "score", tmp_path / "predictions", "--out", tmp_path / name)
        assert (code, "is the file that is read" in err) == (1, True)
    assert (tmp_path / "predictions").read_bytes() == GOOD


NAMES = ["a b,c=d(e)[f]{g}'h\"i\\j\\'k${x}ü~*#:;&|% ", "end\\"]


def test_a_file_may_have_any_name():
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        for name in NAMES:
            assert compose("config", [f"task.source={quoted(name)}"]).task.source == name


def test_results_are_the_released_scorer_s(tmp_path):
    cases = conformance("score_row")
    path, out = tmp_path / "predictions.jsonl", tmp_path / "results.json"
    path.write_text("".join(json.dumps({"prompt": "", "predict": c["pred"], "label": c["gold"]}) + "\n" for c in cases))
    assert main(["score", str(path), "--out", str(out)]) == 0
    scored = json.loads(out.read_text())
    assert scored["num_samples"] == len(cases)
    names = {
        "em": ("exact_match_accuracy", "exact_match_accuracy_std"),
        "ed": ("avg_edit_distance", "edit_distance_std"),
        "bleu_released": ("avg_bleu_score", "bleu_score_std"),
    }
    for part in ("full", "reasoning", "answer"):
        for short, (mean, deviation) in names.items():
            values = [case[part][short] for case in cases]
            assert scored[part][mean] == pytest.approx(np.mean(values), abs=1e-9)
            assert scored[part][deviation] == pytest.approx(np.std(values), abs=1e-9)
        assert scored[part]["total_samples"] == len(cases)


def test_corpus_bleu_is_the_paper_s(tmp_path):
    case = conformance("bleu_corpus_13a")["cases"][6]
    path = tmp_path / "predictions.jsonl"
    pairs = zip(case["pred"], case["gold"], strict=True)
    path.write_text("".join(json.dumps({"prompt": "", "predict": p, "label": g}) + "\n" for p, g in pairs))
    assert results(path)["full"]["corpus_bleu"] == pytest.approx(case["bleu"], abs=1e-6)


def test_renaming_letters_changes_no_score():
    draw = random.Random(0)
    words = [*"ABCFXYZ", "[F1]", "[F2]", "<answer>", "Apple", ""]
    renamed = 0
    for _ in range(2_000):
        mine, gold = (" ".join(draw.choices(words[: draw.choice([9, 10, 12])], k=draw.randrange(9))) for _ in range(2))
        pair = canonical_pair(mine, gold)
        renamed += pair != (mine, gold)
        for part, values in score_texts(*pair).items():
            assert values == pytest.approx(score_texts(mine, gold)[part], abs=1e-12)
    assert renamed > 500


GOOD = b'{"prompt": "A [F1] <answer>", "predict": "N", "label": "N"}\n'
BAD = {
    "is not JSON": GOOD + b"{oops\n",
    "lacks predict or label": GOOD + b'{"prompt": "", "predict": "A"}\n',
    "lacks predict or label as text": GOOD + b'{"prompt": "", "predict": 3, "label": "A"}\n',
    "lacks predict": GOOD + b"[1, 2]\n",
    "is not UTF-8": GOOD + b'{"prompt": "", "predict": "\xff", "label": "A"}\n',
    "shorten it": GOOD + b'{"prompt": "", "predict": "' + b"A " * 500_000 + b'", "label": "A"}\n',
    "is not JSON: one object": GOOD + b"[" * 90_000 + b"\n",
    "is not JSON, but the beginning of an object": GOOD + b'{\n "predict": "A",\n "label": "A"\n}\n',
    "but the beginning of an object": GOOD + b'{"predict": "A",',
    "line 2 is not JSON": GOOD + GOOD.strip() + GOOD,
    "line 2 is not JSON: ": GOOD + b'{"predict": "A", "label": "',
    "line 2 has more than": GOOD + b"{" * 2_000_000,
}


@pytest.mark.parametrize("said", BAD)
def test_a_bad_line_is_named_and_the_old_results_stay(said, tmp_path, capsys):
    path, out = tmp_path / "predictions.jsonl", tmp_path / "results.json"
    path.write_bytes(BAD[said])
    out.write_text("old")
    code, err = run(capsys, "score", path, "--out", out)
    assert code == 1
    assert said in err
    assert f"{path} line 2" in err
    assert err.count("\n") == 1
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["predictions.jsonl", "results.json"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["score", "nowhere.jsonl"], "nowhere.jsonl"),
        (["export", "--composition", "F1F9"], "F9"),
        (["export", "--composition", "", "--length", "2"], "at least one rule"),
        (["export", "--composition", "F1", "--length", "0"], "length=0"),
        (["export", "--composition", "F1", "--count", "0"], "--count 0"),
        (["export", "--composition", "F1", "--length", "-1"], "length=-1"),
        (["export", "--composition", "F1", "--length", "6"], "--length 6 has 308,915,776 elements"),
        (["export", "--composition", "F1", "--length", "99"], "--length 99 has 26^99 elements"),
        (["export", "--composition", "F1", "--length", str(10**30)], "use 1,000 letters or fewer"),
        (["export", "--composition", "F1", "--length", "9", "--count", str(10**30)], "at most 50,000,000"),
        (["export", "--composition", "F1", "--length", "9", "--count", str(MOST + 1)], "at most 50,000,000"),
        (["export", "--composition", "F1", "--count", "-4"], "--count -4"),
        (["export", "--composition", "F1", "--seed", "-1"], "--seed -1"),
        (["export", "--composition", "F1" * 500], "--composition and --length make rows of up to 252,008 tokens"),
        (["export", "--composition", "F1", "--out", ".."], "is no file"),
        (["export", "--composition", "F1", "--out", ""], "no name of its own"),
        (["export", "--composition", "F1", "--out", "nowhere/q.jsonl"], "nowhere cannot be used"),
        (["export", "--composition", "F1", "--length", "1", "--out", "x" * 250], "File name too long"),
        (["export-tasks", "task=[1]"], "takes the name of one of its options"),
        (["export-tasks", "task={a: 1}"], "task"),
        (["export-tasks", "train.loss={_target_: os.mkdir, path: made}"], "train.loss"),
        (["export-tasks", "model.positions={_target_: os.mkdir, path: made}"], "model.positions"),
        (["export-tasks", "a=["], "'a=[' cannot be read"),
        (["export-tasks", "+x=1"], "x is not a setting"),
        (["export-tasks", "seed=0,1"], "seed=0,1"),
        (["export-tasks", "~task"], "task=None"),
        (["export-tasks", "task=nothing"], "task=nothing is not an option"),
        (["export-tasks", "study.count=0"], "study.count=0"),
        (["export-tasks", "seed=${oc.env:NOT_THERE}"], "NOT_THERE"),
        (["export-tasks", "shift.axis=nope", "--out", "a/b/q"], "shift.axis=nope"),
        (["export-model", "nothing"], "holds no model"),
        (["export-model", "/dev/null"], "holds no model"),
        (["load", "rows.jsonl", "--model", "nothing"], "holds no model"),
        (["load", "rows.jsonl"], "--model alone"),
        (["score", "/dev/null"], "is no file"),
    ],
)
def test_a_mistake_is_one_sentence(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, err = run(capsys, *words, *([] if "--out" in words else ["--out", tmp_path / "out"]))
    assert (code, err.count("\n")) == (1, 1)
    assert said in err
    assert len(err) < 330
    assert not list(tmp_path.iterdir())


WELL = GOOD * 2
PACKED = gzip.compress(WELL)
AS_PEOPLE_SAVE_THEM = {
    "mark": b"\xef\xbb\xbf" + WELL,
    "empty lines": b"\n" + GOOD + b"\n \t\n" + GOOD + b"\n\n",
    "mark, empty line": b"\xef\xbb\xbf\n" + WELL,
    "windows": WELL.replace(b"\n", b"\r\n") + b"\r\n",
    "no last line end": WELL.strip(),
    "gzip": PACKED,
    "gzip of a mark": gzip.compress(b"\xef\xbb\xbf" + WELL),
    "gzip in two parts": gzip.compress(GOOD) * 2,
    "a key twice": WELL.replace(b'"label"', b'"label": "X", "label"'),
    "line separators": WELL.replace(b"N", "\u2028\u2029\x85".encode()),
}
NOT_READ = {
    "is one JSON array": b"[\n" + GOOD.strip() + b",\n" + GOOD + b"]\n",
    "one object a line is asked for": b"\xef\xbb\xbf\n [" + GOOD.strip() + b"]",
    "one JSON array": b"[" + b", ".join([GOOD.strip()] * 9_999) + b"]",
    "line 1 is not JSON, but the beginning of an object": b'{\n "prompt": "",\n "predict": "A",\n "label": "A"\n}\n',
    "text in UTF-16": WELL.decode().encode("utf-16"),
    "text in UTF-16: save": WELL.decode().encode("utf-16-be").join([b"\xfe\xff", b""]),
    "begins with zeros": WELL.decode().encode("utf-16-be"),
    "save it as UTF-8": WELL.decode().encode("utf-32"),
    "line 3 is not JSON": b"\n" + GOOD + b"oops\n",
    "line 4 lacks predict": b"\n" + GOOD + b"\n{}\n",
    "line 1 lacks predict": b'{"predict": 1.0, "label": "1.0"}\n',
    "has no rows": b"",
    "has no rows: one": b"\xef\xbb\xbf\n\n",
    "is damaged": PACKED[:-9],
    "is damaged (": PACKED[:20] + b"\xff" + PACKED[21:],
    "is packed by zip": b"PK\x03\x04" + PACKED,
    "is packed by xz": b"\xfd7zXZ\0" + PACKED,
    "line 1 is not JSON": b'{"predict": 1' + b"0" * 5_000 + b"}\n",
}


@pytest.mark.parametrize("kind", AS_PEOPLE_SAVE_THEM)
def test_a_file_is_scored_as_people_save_it(kind, tmp_path):
    path = tmp_path / "predictions"
    path.write_bytes(AS_PEOPLE_SAVE_THEM[kind])
    scored = results(path)
    assert scored["num_samples"] == 2
    assert [scored[part]["exact_match_accuracy"] for part in ("full", "reasoning", "answer")] == [1, 1, 1]


@pytest.mark.parametrize("said", NOT_READ)
def test_a_file_of_another_kind_is_said_to_be_one(said, tmp_path, capsys):
    path = tmp_path / "predictions"
    path.write_bytes(NOT_READ[said])
    code, err = run(capsys, "score", path, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (1, 1)
    assert said in err
    assert "predictions" in err
    assert len(err) < 330
    assert sorted(p.name for p in tmp_path.iterdir()) == ["predictions"]


def test_what_is_no_file_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "hanging").symlink_to("nowhere")
    kinds = {"pipe": "is no file", ".": "is a folder", "nowhere": "is not there", "hanging": "is no file"}
    for name, said in kinds.items():
        code, err = run(capsys, "score", tmp_path / name, "--out", tmp_path / "out")
        assert (code, said in err) == (1, True)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("A \n B", "A \n B"), ((1, 0, 0.3162), (1, 0, 0), (1, 0, 0.3162))),
        (
            ("N O [F2] <answer> O N \n A B", "N O [F2] <answer> O N"),
            ((0, 0.2222, 0.6804), (1, 0, 0.5623), (0, 0.6, 0.1699)),
        ),
        ((" \n ", " \n "), ((1, 0, 0), (1, 0, 0), (1, 0, 0))),
        (("", " \n "), ((0, 1, 0), (1, 0, 0), (0, 1, 0))),
        (("A \n ", "A"), ((0, 0.75, 0.1778), (1, 0, 0), (0, 0.75, 0.1778))),
    ],
)
def test_a_line_end_between_spaces_parts_nothing(pair, expected, tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text(json.dumps({"prompt": "", "predict": pair[0], "label": pair[1]}) + "\n")
    scored = results(path)
    names = ("exact_match_accuracy", "avg_edit_distance", "avg_bleu_score")
    for part, values in zip(("full", "reasoning", "answer"), expected, strict=True):
        assert [scored[part][name] for name in names] == pytest.approx(values, abs=5e-5)


def plainly(predicted, gold):
    """What the released scorer says of two texts as they are: no letter renamed, nothing remembered."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    rows = list(range(len(gold) + 1))
    for i, mine in enumerate(predicted, 1):
        before, rows = rows, [i]
        for j, its in enumerate(gold, 1):
            rows.append(min(before[j] + 1, rows[-1] + 1, before[j - 1] + (mine != its)))
    words, its_words = predicted.split(), gold.split()
    bleu = 0.0
    if words and its_words:
        bleu = sentence_bleu([its_words], words, smoothing_function=SmoothingFunction().method1)
    distance = rows[-1] / max(len(predicted), len(gold), 1)
    return (float(predicted == gold), distance, bleu, *corpus_statistics(predicted, gold))


NASTY = [*"ABFXYZ", "[F1]", "<answer>", "A\n", "\n", " ", "  ", "\t", "\r\n", "\f", "\x0b", "\x1c", "\x85", "\0"]
NASTY += ["\ud800"]
NASTY += ["\u2028", "\u00a0", "é", "É", "AB", "&amp;", "-\n", "<skipped>", "a.b", "1,5", " \n "]
texts = st.lists(st.sampled_from(NASTY), max_size=9)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=250, deadline=None)
@given(texts, texts, st.sampled_from(["", " "]), st.booleans())
def test_any_two_texts_are_scored_as_they_are(mine, gold, space, same):
    predicted, label = space.join(mine), space.join(mine if same else gold)
    parts = zip((predicted, *split_text(predicted)), (label, *split_text(label)), strict=True)
    expected = np.array([plainly(*pair) for pair in parts])
    assert np.array(score_parts(*canonical_pair(predicted, label))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_a_file_is_trained_on_and_its_model_completes_it(tmp_path, monkeypatch, capsys):
    """export, load, load --model and score, one after the other, as commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    tiny = ["train.steps=60", "train.batch=32", "train.check_every=60", "train.check_problems=32", "study.count=32"]
    tiny += ["shift.axis=task", "shift.levels=[0]", "model.layers=1", "hydra.mode=RUN"]
    assert main(["export", "--composition", "F1", "--length", "2", "--out", "rows.jsonl"]) == 0
    assert main(["load", "rows.jsonl", *tiny]) == 0
    (folder,) = (path.parent for path in (tmp_path / "outputs" / "models").glob("*/model.json"))
    assert main(["load", "rows.jsonl", "--model", folder.name, "--out", "predictions.jsonl"]) == 0
    rows = lines(tmp_path / "predictions.jsonl")
    assert len(rows) == 26**2
    assert rows[1]["prompt"] == "A B [F1] <answer>"
    assert rows[1]["label"] == "N O"
    assert main(["score", "predictions.jsonl", "--out", "results.json"]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["num_samples"] == 26**2
    assert main(["export-model", folder.name, "--out", "ckpt"]) == 0
    names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == names
    assert main(["export-model", folder.name, "--out", "ckpt"]) == 1
    assert "holds files already" in capsys.readouterr().err
    for words, said in (
        (["--model", "nothing", "--out", "x"], "holds no model"),
        (["--model", folder.name], "needs --out"),
        (["shift.axis=task", "--model", folder.name, "--out", "x"], "takes no settings"),
    ):
        assert main(["load", "rows.jsonl", *words]) == 1
        assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("positions", ["rotary", "none"])
def test_what_gpt_2_cannot_be_is_refused(positions, cipher, tmp_path):
    with pytest.raises(ValueError, match=r"GPT-2 has learned positions.*model\.positions=learned"):
        checkpoint.write_checkpoint(tmp_path / "ckpt", cipher.vocabulary, tiny_model(cipher, positions=positions))
    pieces = tiny_model(cipher, size=len(Tokenizer(cipher.vocabulary)))
    pieces.tokenizer = Tokenizer(cipher.vocabulary)
    with pytest.raises(ValueError, match="tokens=symbols"):
        checkpoint.write_checkpoint(tmp_path / "ckpt", cipher.vocabulary, pieces)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_told_how_to_choose_another(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["export", "--composition", "F1", "--length", "1", "--out", str(tmp_path / "file" / "x.jsonl")]) == 1
    assert capsys.readouterr().err.strip().endswith("or write elsewhere with --out FILE")


def test_the_cells_of_a_run_are_written_as_tasks(cipher, tmp_path, capsys):
    words = ["shift.axis=[task,format]", "shift.kind=[delete]", "shift.levels=[0,3]", "study.count=20", "seed=1"]
    assert main(["export-tasks", *words, "--out", str(tmp_path / "cells")]) == 0
    group = json.loads((tmp_path / "cells" / "alchemy.yaml").read_text())["task"]
    assert group == [f"alchemy_{axis}_{level}" for axis in ("task", "format_delete_all") for level in (0, 3)]
    rows = draw(cipher, recompose(cipher, 3), 20, stream(1, "test"))
    golds = cipher.vocabulary.decode_rows(rows.completion())
    written = lines(tmp_path / "cells" / "alchemy_task_3.jsonl")
    assert [row["gold"] for row in written] == golds
    assert written[0]["prompt"] == cipher.vocabulary.decode(rows.tokens[0, : rows.prompt_length[0]])
    task = json.loads((tmp_path / "cells" / "alchemy_task_3.yaml").read_text())
    assert task["generation_kwargs"] == {"until": ["</s>"], "do_sample": False, "max_gen_toks": 64 - 7}
    assert main(["export-tasks", "shift.axsi=task", "--out", str(tmp_path / "new")]) == 1
    assert "did you mean shift.axis?" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
