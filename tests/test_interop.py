"""The published data set's files: written as published, scored as released, refused in one sentence."""

import hashlib
import json
import random

import numpy as np
import pytest

from alchemy import checkpoint
from alchemy.interop import main
from alchemy.released import canonical_pair, results
from alchemy.score import score_texts
from alchemy.seeds import stream
from alchemy.shift import recompose
from alchemy.task import draw
from alchemy.tokenizer import Tokenizer
from tests.conftest import ROOT, conformance, tiny_model


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
    "is empty": GOOD + b"\n" + GOOD,
    "is not JSON": GOOD + b"{oops\n",
    "lacks predict or label": GOOD + b'{"prompt": "", "predict": "A"}\n',
    "lacks predict or label as text": GOOD + b'{"prompt": "", "predict": 3, "label": "A"}\n',
    "lacks predict": GOOD + b"[1, 2]\n",
    "is not UTF-8": GOOD + b'{"prompt": "", "predict": "\xff", "label": "A"}\n',
    "shorten it": GOOD + b'{"prompt": "", "predict": "' + b"A " * 500_000 + b'", "label": "A"}\n',
    "is not JSON: one object": GOOD + b"[" * 90_000 + b"\n",
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
        (["export", "--composition", "F1", "--length", "0"], "task.length=0"),
        (["export", "--composition", "F1", "--count", "0"], "--count 0"),
    ],
)
def test_a_mistake_is_one_sentence(words, said, tmp_path, capsys):
    code, err = run(capsys, *words, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (1, 1)
    assert said in err
    assert not list(tmp_path.iterdir())


def test_a_file_without_rows_is_refused(tmp_path, capsys):
    (tmp_path / "empty").write_bytes(b"")
    code, err = run(capsys, "score", tmp_path / "empty", "--out", tmp_path / "out")
    assert code == 1
    assert "has no rows" in err


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
        checkpoint.write(tmp_path / "ckpt", cipher.vocabulary, tiny_model(cipher, positions=positions))
    pieces = tiny_model(cipher, size=len(Tokenizer(cipher.vocabulary)))
    pieces.tokenizer = Tokenizer(cipher.vocabulary)
    with pytest.raises(ValueError, match="tokens=symbols"):
        checkpoint.write(tmp_path / "ckpt", cipher.vocabulary, pieces)
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
