"""A file of the published schema in place of the generator: read, trained on, and every fault named with its line."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from alchemy.interop import main
from alchemy.seeds import stream
from alchemy.shift import lengthen
from alchemy.task import draw
from tasks.cipher import Cipher


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
