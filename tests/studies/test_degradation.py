"""The study, with a stand-in for the model: what is asked, what is counted, what is not measured again."""

from pathlib import Path

import numpy as np
import pytest

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.measures import cell as measure
from alchemy.measures.bench import Bench
from alchemy.measures.scores import PARTS
from alchemy.results.store import Trained
from alchemy.studies import degradation
from tests.helpers.completions import half_right, right_ones

SHIFTS = (Shift("task", (0, 1)), Shift("steps", (-1,)), Shift("format", (0, 4), "insert", "all"))


NOBODY = Trained(None, Path("nowhere"))


def study(cipher, seed, shifts, known, count, told=None):
    report = (lambda *at: told.append(at)) if told is not None else (lambda *at: None)
    return degradation.run(Bench(cipher, NOBODY, seed, shifts, known, report), count=count, temperature=0.0)


@pytest.fixture
def asked(monkeypatch):
    """The sides and distributions that the study draws from."""
    seen = []

    def spy(task, where, count, rng, side="test"):
        seen.append((where, count, side))
        return draw(task, where, count, rng, side)

    monkeypatch.setattr(measure, "draw", spy)
    return seen


def values(records, **at):
    return {
        (record.at["part"], record.metric): record.value
        for record in records
        if all(record.at[key] == value for key, value in at.items())
    }


def test_scores_are_those_of_the_completions(cipher, monkeypatch, asked):
    monkeypatch.setattr(measure, "complete", half_right)
    known, told = {}, []
    records = list(study(cipher, 3, SHIFTS, known, 40, told))
    for axis, level in (("task", 0), ("task", 1), ("format", 4)):
        cell = values(records, axis=axis, level=level)
        where = next(shift for shift in SHIFTS if shift.axis == axis and level in shift.levels).at(cipher, level)
        right = right_ones(draw(cipher, where, 40, stream(3, "test"))).mean()
        assert 0 < right < 1
        assert {cell[part, "exact_match"] for part in PARTS} == {right}
        assert [cell[part, "edit_distance"] for part in PARTS] == pytest.approx([1 - right] * len(PARTS))
        assert {cell[part, "bleu_sentence"] for part in PARTS} == {right}
    assert len(told) == 5
    assert {side for _, _, side in asked} == {"test"}
    assert {count for _, count, _ in asked} == {40}
    assert {record.count for record in records} == {40}
    assert len(known) == 4, "level 0 is one cell, whatever the axis"


def test_a_cell_without_gold_chains_has_no_chain_score(cipher, monkeypatch):
    monkeypatch.setattr(measure, "complete", half_right)
    records = list(study(cipher, 3, SHIFTS, {}, 40))
    parts = {part for part, _ in values(records, axis="steps")}
    assert {"full", "answer", "replay_answer"} < parts
    assert not {"chain", "replay_chain"} & parts
    right = right_ones(draw(cipher, SHIFTS[1].at(cipher, -1), 40, stream(3, "test"))).mean()
    assert values(records, axis="steps")["answer", "exact_match"] == right


def test_the_share_of_untouched_prompts_is_counted(cipher, monkeypatch):
    monkeypatch.setattr(measure, "complete", half_right)
    records = list(study(cipher, 3, SHIFTS, {}, 4_000))
    assert values(records, axis="task", level=1)["prompt", "untouched"] == 1
    assert values(records, axis="format", level=4)["prompt", "untouched"] == pytest.approx(0.8**7, abs=0.02)
    assert 3_800 < values(records, axis="task", level=0)["prompt", "problems"] <= 4_000


def test_known_cells_are_not_measured_again(cipher, monkeypatch):
    monkeypatch.setattr(measure, "complete", half_right)
    known = {}
    first = list(study(cipher, 3, SHIFTS, known, 40))
    monkeypatch.setattr(measure, "complete", lambda *_: pytest.fail("measured again"))
    assert list(study(cipher, 3, SHIFTS, known, 40)) == first


def test_every_row_is_kept_with_what_it_came_to(cipher, monkeypatch):
    monkeypatch.setattr(measure, "complete", half_right)
    known = {}
    list(study(cipher, 3, SHIFTS, known, 40))
    for where, cell in known.items():
        batch = draw(cipher, where, 40, stream(3, "test"))
        assert list(cell.rows["gold"]) == [cipher.vocabulary.decode(row) for row in batch.completion()]
        right = right_ones(batch)
        assert list(cell.rows["completion"][right]) == list(cell.rows["gold"][right])
        assert set(cell.rows["completion"][~right]) == {""}
        assert set(cell.rows["kind"][right]) == {"right"}
        assert set(cell.rows["kind"][~right]) == {"malformed"}
        assert (cell.rows["kind"] == "right").mean() == cell.values["full"]["exact_match"][0]
        assert cell.rows["untouched"].mean() == cell.values["prompt"]["untouched"][0]
        prompts = [cipher.vocabulary.decode(row[:n]) for row, n in zip(batch.tokens, batch.prompt_length, strict=True)]
        assert list(cell.rows["prompt"]) == prompts


def test_other_seeds_measure_other_problems(cipher, monkeypatch):
    rows = []
    monkeypatch.setattr(
        measure, "complete", lambda model, batch, *_: (rows.append(batch.tokens), batch.completion())[1]
    )
    for seed in (0, 1):
        list(
            degradation.run(
                Bench(cipher, NOBODY, seed, SHIFTS[:1], {}, lambda done, total, cell: None), temperature=0.0, count=40
            )
        )
    assert not np.array_equal(rows[0], rows[2])
