"""A file of the published schema in place of the generator: read, trained on, and every fault named with its line."""

import gzip
import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.data.sampling import draw, in_side
from alchemy.data.seeds import stream
from alchemy.data.shift import lengthen
from alchemy.data.task import Distribution
from alchemy.interop.published import main
from tasks.cipher import Cipher
from tests.helpers.worlds import ROOT


def make(source, rules=("rotate 13", "roll 1", "reverse"), cot=True):
    return Cipher(rules, ("F1F1",), 4, "MZ", 4, 0, (), cot, str(source))


@pytest.fixture
def file(tmp_path):
    """600 rows of F1F2 and 200 of F2F1, three letters each."""
    parts = []
    for name, count in (("F1F2", 600), ("F2F1", 200)):
        words = ["export", "--composition", name, "--length", "3", "--count", str(count), "--out", str(tmp_path / name)]
        assert main(words) == 0
        parts.append((tmp_path / name).read_text())
    (tmp_path / "both.jsonl").write_text("".join(parts))
    return tmp_path / "both.jsonl"


def test_training_is_what_the_file_holds(file):
    task = make(file)
    assert task.training == ("F1F2", "F2F1")
    assert task.train.length == 3
    assert task.train.shares == (0.75, 0.25)
    assert not task.train.held_out.atoms
    assert task.size(task.train) == 800
    known = {json.loads(line)["input"] for line in file.read_text().splitlines()}
    batch = draw(task, task.train, 2_000, stream(0, "train"), "train")
    prompts = {task.vocabulary.decode(row[: 3 + 2 + 1]) for row in batch.tokens}
    assert prompts < known
    assert len(prompts) > 500


def test_sides_stay_apart_and_other_distributions_are_generated(file):
    task = make(file)
    rows = {side: draw(task, task.train, 3_000, stream(0, side), side) for side in ("train", "test")}
    seen = {tuple(row[:6]) for row in rows["train"].tokens}
    assert not seen & {tuple(row[:6]) for row in rows["test"].tokens}
    longer = draw(task, lengthen(task, 1), 100, stream(0, "test"))
    assert_array_equal(longer.prompt_length, 7)


def test_one_file_is_one_world(file):
    assert make(file) == make(file)
    assert hash(make(file)) == hash(make(file))
    batches = [draw(make(file), make(file).train, 50, stream(0, "test")).tokens for _ in range(2)]
    assert_array_equal(*batches)


GOOD = '{"input": "A B [F1] [F2] <think>", "output": "N O [F2] <answer> O N"}\n'
BAD = {
    "no row of the published schema": GOOD + "{oops\n",
    "give it input and output": GOOD + '{"input": "A B [F1] [F2] <think>"}\n',
    "write it such as": GOOD + '{"input": "A B [F9] <answer>", "output": "N O"}\n',
    "has 3 atoms, and line 1 has 2": GOOD + '{"input": "A B C [F1] <answer>", "output": "N O P"}\n',
    "set task.rules and task.cot": GOOD + '{"input": "A B [F1] <answer>", "output": "B C"}\n',
}


@pytest.mark.parametrize("said", BAD)
def test_a_bad_line_is_named(said, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(BAD[said])
    with pytest.raises(ValueError, match=r"bad\.jsonl line 2") as found:
        make(path)
    assert said in str(found.value)


def test_a_file_without_rows_and_no_file_are_refused(tmp_path):
    (tmp_path / "empty").write_text("")
    for name, said in (("empty", "has no rows"), ("nowhere", "is no file")):
        with pytest.raises(ValueError, match=said):
            make(tmp_path / name)


def test_other_rules_need_telling(tmp_path):
    words = ["export", "--composition", "F1F2", "--length", "2", "--rotation", "5", "--roll", "-1", "--no-cot"]
    assert main([*words, "--out", str(tmp_path / "other")]) == 0
    with pytest.raises(ValueError, match=r"set task\.rules"):
        make(tmp_path / "other")
    task = make(tmp_path / "other", ("rotate 5", "roll -1"), cot=False)
    assert len(np.unique(draw(task, task.train, 3_000, stream(0, "x")).tokens, axis=0)) > 100


WELL = GOOD + GOOD.replace("A B", "B C").replace("N O", "O P").replace("O N", "P O")
AS_PEOPLE_SAVE_THEM = {
    "mark": b"\xef\xbb\xbf" + WELL.encode(),
    "windows": WELL.replace("\n", "\r\n").encode(),
    "empty lines": b"\n" + WELL.replace("\n", "\n\n \n").encode(),
    "gzip": gzip.compress(WELL.encode()),
    "no last line end": WELL.strip().encode(),
}
OF_ANOTHER_KIND = {
    "is one JSON array": ("[\n" + GOOD.strip() + "\n]\n").encode(),
    "one object a line is asked for": ("\ufeff[" + GOOD.strip() + "]").encode(),
    "the beginning of an object": json.dumps(json.loads(GOOD), indent=1).encode(),
    "text in UTF-16": GOOD.encode("utf-16"),
    "is damaged": gzip.compress(WELL.encode() * 99)[:-20],
    "line 3 is no row of the published schema": b"\n" + GOOD.encode() + b'{"input": 3, "output": "4"}\n',
    "line 3 has 3 atoms, and line 2 has 2": ("\n" + GOOD + GOOD.replace("A B", "A B C")).encode(),
    "line 2 has more than": GOOD.encode() + b"{" * 1_000_000,
    "line 2 is not JSON": GOOD.encode() + b"[" * 90_000 + b"\n",
    "has no rows": b"\xef\xbb\xbf\n",
}


@pytest.mark.parametrize("kind", AS_PEOPLE_SAVE_THEM)
def test_a_file_is_read_as_people_save_it(kind, tmp_path):
    (tmp_path / "rows").write_bytes(AS_PEOPLE_SAVE_THEM[kind])
    (tmp_path / "plain").write_text(WELL)
    found, plain = (make(tmp_path / name).problems_read for name in ("rows", "plain"))
    assert found.keys() == plain.keys() == {(0, 1)}
    assert_array_equal(found[0, 1], plain[0, 1])


@pytest.mark.parametrize("said", OF_ANOTHER_KIND)
def test_a_file_of_another_kind_is_said_to_be_one(said, tmp_path):
    (tmp_path / "rows").write_bytes(OF_ANOTHER_KIND[said])
    with pytest.raises(ValueError, match=r"task\.source=.*rows") as found:
        make(tmp_path / "rows")
    assert said in str(found.value)


def one_side(file, side, count, folder):
    """So many rows of a file whose problems are on one side."""
    rows = file.read_text().splitlines(keepends=True)
    task = make(file)
    elements = np.array([task.vocabulary.encode(json.loads(row)["element"]) for row in rows])
    composition = task.parse(json.loads(rows[0])["transformation"])
    where, which = Distribution((composition,), elements.shape[1]), np.zeros(len(rows), dtype=np.intp)
    mine = in_side(task.vocabulary, where, elements, which, side)
    chosen = [row for row, own in zip(rows, mine, strict=True) if own][:count]
    (folder / f"{side}.jsonl").write_text("".join(chosen))
    return folder / f"{side}.jsonl"


@pytest.mark.parametrize(("side", "lacks"), [("train", "test"), ("valid", "test"), ("test", "train")])
@pytest.mark.parametrize("count", [1, 5])
def test_too_few_rows_are_said_to_be_too_few(side, lacks, count, tmp_path):
    assert main(["export", "--composition", "F1F2", "--length", "2", "--out", str(tmp_path / "all.jsonl")]) == 0
    file = one_side(tmp_path / "all.jsonl", side, count, tmp_path)
    task = make(file)  # a stored model can complete it
    assert len(task.problems_read[0, 1]) == count
    for drawn in ("test", "train", "valid"):
        with pytest.raises(ValueError, match="too few") as found:
            draw(task, task.train, 10, stream(0, "x"), drawn)
        assert f"task.source={file} has {count} row" in str(found.value)
        assert f"none of them is on the {lacks} side" in str(found.value)
        assert "Distribution(" not in str(found.value)


def test_a_composition_with_too_few_rows_is_named(tmp_path):
    for name in ("F1F2", "F2F1"):
        assert main(["export", "--composition", name, "--length", "2", "--out", str(tmp_path / name)]) == 0
    few = one_side(tmp_path / "F2F1", "valid", 3, tmp_path)
    (tmp_path / "both").write_text((tmp_path / "F1F2").read_text() + few.read_text())
    task = make(tmp_path / "both")
    draw(task, task.train, 100, stream(0, "x"), "test")
    with pytest.raises(ValueError, match="has 3 rows of F2F1: too few, since none of them is on the test side"):
        draw(task, Distribution(((1, 0),), 2), 10, stream(0, "x"), "test")


def test_a_run_on_one_row_is_refused_before_anything_is_written(tmp_path, monkeypatch, capfd):
    """As a command, from a file whose name says all that a name can say to Hydra."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    name = "it's, one=(row).jsonl"
    (tmp_path / name).write_text(GOOD)
    assert main(["load", name, "train.steps=20", "study.count=50", "shift.axis=length", "shift.levels=[0,1]"]) == 1
    said = capfd.readouterr().err
    assert f"alchemy: task.source={tmp_path / name} has 1 row of F1F2: too few" in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]
