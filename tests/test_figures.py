"""Records to table to picture, by hand and without a model."""

import json
import math

import pytest
from matplotlib.figure import Figure

from alchemy.figures import PICTURES, caption_of, draw_all, finish, heatmap, table_text
from alchemy.records import Record, jobs, load, summarise, variants, write

RUN = {
    "status": "ok",
    "overrides": ["seed=0"],
    "training": ["F1F2"],
    "length": 4,
    "held_out": {"atoms": ["M"], "places": 6, "written": []},
    "rows": 100,
    "parameters": 54016,
    "count": 10,
    "seed": 0,
    "exact_match": 0.93,
    "reached": True,
}


def records(seed, values):
    for axis, level, value in values:
        kind, domain = ("insert", "all") if axis == "format" else ("-", "-")
        at = {"axis": axis, "kind": kind, "domain": domain, "level": level, "setting": f"level {level}", "seed": seed}
        for part in ("full", "chain", "answer"):
            for metric in ("exact_match", "edit_distance", "untouched", "problems"):
                yield Record(metric, value, 10, {**at, "part": part})


@pytest.fixture
def sweep(tmp_path):
    for number, shift in enumerate((0.5, 0.2, 0.8)):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder / "records.jsonl", records(number, [("task", 0, 1.0), ("task", 1, shift), ("format", 2, shift)]))
        (folder / "run.json").write_text(json.dumps({**RUN, "overrides": [f"seed={number}"], "seed": number}))
    return tmp_path


def test_a_cell_is_the_mean_over_seeds_with_student_s_interval(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}), [])
    cell = cells.query("axis == 'task' and level == 1 and part == 'full' and metric == 'exact_match'").iloc[0]
    assert cell["mean"] == pytest.approx(0.5)
    half = 4.302652729911275 * 0.3 / math.sqrt(3)  # t at 97.5 % with 2 degrees of freedom; deviation of .5 .2 .8
    assert (cell["low"], cell["high"]) == (pytest.approx(max(0.5 - half, 0)), pytest.approx(min(0.5 + half, 1)))
    assert (cell["seeds"], cell["count"], cell["lowest"], cell["highest"]) == (3, 30, 0.2, 0.8)


def test_a_seed_counts_once_however_often_it_was_measured(sweep):
    """Swept shifts overlap: the same cell of one seed in two jobs is one measurement."""
    write(sweep / "1" / "records.jsonl", records(0, [("task", 0, 1.0), ("task", 1, 0.5), ("format", 2, 0.5)]))
    cells = summarise(load(sweep, {0: {}, 1: {}}), [])
    assert set(cells["seeds"]) == {1}
    assert set(cells["count"]) == {10}


def test_one_seed_has_no_interval(sweep):
    cells = summarise(load(sweep, {0: {}}), [])
    assert cells["low"].isna().all()


def test_columns_of_cells_are_the_promised_ones(sweep):
    promised = ["axis", "kind", "domain", "level", "part", "metric", "mean", "low", "high", "seeds", "count"]
    assert list(summarise(load(sweep, {0: {}}), []))[: len(promised)] == promised


def test_a_file_that_holds_no_records_is_named_with_its_line(sweep):
    path = sweep / "1" / "records.jsonl"
    path.write_text(path.read_text() + "garbage\n")
    with pytest.raises(ValueError, match=r"1/records.jsonl line 37"):
        load(sweep, {0: {}, 1: {}})


def test_only_what_sets_jobs_apart_is_a_variant():
    runs = {
        0: {"overrides": ["seed=0", "model.width=8", "train.steps=3", "shift.axis=task"]},
        1: {"overrides": ["seed=1", "model.width=16", "train.steps=3", "shift.axis=length"]},
    }
    assert variants(runs) == {0: {"model.width": "8"}, 1: {"model.width": "16"}}


def test_the_picture_writes_each_cell_s_mean_and_spread(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}), [])
    figure = heatmap(cells, "exact_match", "full", caption_of([RUN]), [])
    assert isinstance(figure, Figure)
    words = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "0.50" in words
    assert "0.20 to 0.80" in words
    assert "CMP: level 1" in words
    assert "50% untouched" in words
    ticks = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert "0 = training" in ticks


def test_the_caption_says_what_was_kept_out():
    assert "the atoms M altogether" in caption_of([RUN])
    written = {**RUN, "held_out": {"atoms": ["N"], "places": 0, "written": ["N"]}}
    assert "as inputs (rules write N)" in caption_of([written])
    assert "ended before its mark on held-out problems (seed 0: 0.9300)" in caption_of([{**RUN, "reached": False}])
    both = caption_of([RUN, {**RUN, "training": ["F1F1"], "length": 5}])
    assert "Trained on F1F1 | F1F2 with 4 to 5 atoms" in both
    assert "nothing, and every test problem" in caption_of(
        [{**RUN, "held_out": {"atoms": [], "places": 0, "written": []}}]
    )


def test_finish_draws_every_picture_and_prints_its_path_last(sweep, capsys):
    assert finish(sweep) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(sweep / "heatmap.png")
    for name in PICTURES:
        assert (sweep / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_finish_draws_what_there_is_and_names_what_failed(sweep, capsys):
    (sweep / "1" / "run.json").write_text(json.dumps({"status": "failed", "error": "no room", "overrides": ["seed=1"]}))
    (sweep / "2" / "run.json").unlink()
    assert finish(sweep) == 1
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "alchemy: job 1 (seed=1): no room"
    assert "job 2" in err[1]
    assert (sweep / "heatmap.png").exists()


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    assert finish(tmp_path) == 1
    assert "not the folder of a run" in capsys.readouterr().err
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json cannot be read"):
        jobs(tmp_path)


def test_the_table_has_a_line_a_shift(sweep):
    text = table_text(summarise(load(sweep, {0: {}, 1: {}, 2: {}}), []), [])
    assert "task" in text.splitlines()[1]
    assert "+1: 0.500" in text.splitlines()[1]


def test_variants_are_rows_of_their_own(sweep, tmp_path):
    swept = {number: {"model.width": str(number % 2)} for number in range(3)}
    cells = summarise(load(sweep, swept), ["model.width"])
    figure = heatmap(cells, "exact_match", "full", "", ["model.width"])
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(rows) == 2
    assert "model.width=1" in rows[1]
    draw_all(cells, [RUN], ["model.width"], tmp_path)
