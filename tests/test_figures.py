"""Records to table to picture, by hand and without a model."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from alchemy.bars import bars
from alchemy.curves import curves
from alchemy.figures import draw_all, finish, pictures, table_text
from alchemy.heatmap import heatmap
from alchemy.phase import numbers, phase
from alchemy.records import jobs, load, summarise, variants, write
from alchemy.results import Results, caption_of
from tests.made import RUN, make, records


@pytest.fixture
def sweep(tmp_path):
    return make(tmp_path)


def test_a_cell_is_the_mean_over_seeds_with_its_interval(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}))
    cell = cells.query("axis == 'task' and level == 1 and part == 'full' and metric == 'exact_match'").iloc[0]
    assert cell["mean"] == pytest.approx(0.5)
    wide = 0.3 * math.sqrt(1.5)  # three seeds of .2 .5 .8 about their mean: all three drawn alike one time in 27
    assert (cell["low"], cell["high"]) == (pytest.approx(0.5 - wide), pytest.approx(0.5 + wide))
    assert (cell["seeds"], cell["count"], cell["lowest"], cell["highest"]) == (3, 30, 0.2, 0.8)


def test_a_seed_counts_once_however_often_it_was_measured(sweep):
    """Swept shifts overlap: the same cell of one seed in two jobs is one measurement."""
    write(sweep / "1" / "records.jsonl", records(0, [("task", 0, 1.0), ("task", 1, 0.5), ("format", 2, 0.5)]))
    cells = summarise(load(sweep, {0: {}, 1: {}}))
    assert set(cells["seeds"]) == {1}
    assert set(cells["count"]) == {10}


def test_one_seed_has_no_interval(sweep):
    cells = summarise(load(sweep, {0: {}}))
    assert cells["low"].isna().all()


def test_columns_of_cells_are_the_promised_ones(sweep):
    promised = ["axis", "kind", "domain", "level", "part", "metric", "mean", "low", "high", "seeds", "count"]
    assert list(summarise(load(sweep, {0: {}})))[: len(promised)] == promised


def test_a_file_that_holds_no_records_is_named_with_its_line(sweep):
    path = sweep / "1" / "records.jsonl"
    path.write_text(path.read_text() + "garbage\n")
    with pytest.raises(ValueError, match=r"1/records.jsonl line 67"):
        load(sweep, {0: {}, 1: {}})


def test_only_what_sets_jobs_apart_is_a_variant():
    runs = {
        0: {"overrides": ["seed=0", "model.width=8", "train.steps=3", "shift.axis=task"]},
        1: {"overrides": ["seed=1", "model.width=16", "train.steps=3", "shift.axis=length"]},
    }
    assert variants(runs) == {0: {"model.width": "8"}, 1: {"model.width": "16"}}


def test_the_picture_writes_each_cell_s_mean_and_spread(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}))
    figure = heatmap(cells, "exact_match", "full", "\n".join(caption_of([RUN])), [])
    assert isinstance(figure, Figure)
    words = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert "0.50" in words
    assert "0.20 to 0.80" in words
    assert "replay 0.25" in words
    assert "CMP: level 1" in words
    assert "50% untouched" in words
    ticks = [label.get_text() for ax in figure.axes for label in ax.get_xticklabels()]
    assert "0 = training" in ticks


def test_the_caption_says_what_was_kept_out():
    assert "the atoms M altogether" in " ".join(caption_of([RUN]))
    written = {**RUN, "held_out": {"atoms": ["N"], "places": 0, "written": ["N"]}}
    assert "as inputs (rules write N)" in " ".join(caption_of([written]))
    assert "ended before its mark on held-out problems (seed 0: 0.9300)" in " ".join(
        caption_of([{**RUN, "reached": False}])
    )
    both = " ".join(caption_of([RUN, {**RUN, "training": ["F1F1"], "length": 5}]))
    assert "Trained on F1F1 | F1F2 with 4 to 5 atoms" in both
    nothing = {**RUN, "held_out": {"atoms": [], "places": 0, "written": []}}
    assert "nothing, and every test problem" in " ".join(caption_of([nothing]))


def test_many_compositions_are_counted_not_named():
    many = {**RUN, "training": [f"F{i}F{j}" for i in range(5) for j in range(5)]}
    assert "Trained on 1 to 25 compositions with" in " ".join(caption_of([RUN, many]))


def test_the_caption_names_places_and_compositions():
    held_out = {"atoms": [], "places": 0, "only": 4, "compositions": [[0, 1], [1, 0]], "written": []}
    said = " ".join(caption_of([{**RUN, "held_out": held_out}]))
    assert "every other atom from all places but one in 4 and 2 compositions that stand for all new ones" in said


def test_finish_draws_every_picture_and_prints_its_path_last(sweep, capsys):
    assert finish(sweep) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == str(sweep / "heatmap.png")
    names = [f"heatmap{metric}{part}" for metric in ("", "_edit_distance") for part in ("", "_chain", "_answer")]
    assert {path.stem for path in sweep.glob("*.png")} == {*names, "diagnosis"}
    for path in sweep.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert finish(sweep, "pdf") == 0
    assert (sweep / "heatmap.pdf").read_bytes().startswith(b"%PDF")
    assert lines[-2].endswith(str(sweep / "report.html"))
    assert (sweep / "report.html").exists()


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
    text = table_text(summarise(load(sweep, {0: {}, 1: {}, 2: {}})), [])
    assert "task" in text.splitlines()[1]
    assert "+1: 0.500" in text.splitlines()[1]


def test_variants_are_rows_of_their_own(sweep, tmp_path):
    swept = {number: {"model.width": str(number % 2)} for number in range(3)}
    cells = summarise(load(sweep, swept))
    figure = heatmap(cells, "exact_match", "full", "", ["model.width"])
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(rows) == 2
    assert "model.width=1" in rows[1]
    results = Results(sweep, {0: RUN, 1: RUN, 2: RUN}, {}, swept, load(sweep, swept))
    assert draw_all(results, tmp_path) == tmp_path / "heatmap.png"


def test_a_composition_that_a_seed_does_not_name_was_executed_by_none_of_its_rows(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}))
    named = cells[(cells["part"] == "executed") & (cells["axis"] == "task") & (cells["level"] == 1)].set_index("metric")
    assert named["mean"].to_dict() == {"F1": pytest.approx(2 / 3), "F2": pytest.approx(1 / 3), "tie": 0.0}
    assert set(named["seeds"]) == {3}


def test_a_level_that_is_another_for_each_seed_is_one_cell(sweep):
    path = sweep / "1" / "records.jsonl"
    path.write_text(path.read_text().replace('"level 1"', '"F3F3"'))
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}})).query("axis == 'task' and level == 1 and part == 'full'")
    assert set(cells["setting"]) == {"another for each seed"}
    assert set(cells["seeds"]) == {3}


def test_the_diagnosis_bars_add_up(sweep):
    table = load(sweep, {0: {}, 1: {}, 2: {}})
    figure = bars(summarise(table), [])
    stacks = {}
    for patch in figure.axes[0].patches:
        stacks[round(patch.get_x(), 2)] = stacks.get(round(patch.get_x(), 2), 0) + np.nan_to_num(patch.get_height())
    assert list(stacks.values()) == [pytest.approx(1), pytest.approx(1)]


def grown(rises, numbers=(1, 4, 16, 64), seeds=range(3)):
    """Records of a sweep over a number, whose exact match rises as told."""
    rows = []
    for number in numbers:
        for seed in seeds:
            for record in records(seed, [("task", 0, 1.0), ("task", 1, rises(number))]):
                facts = {"metric": record.metric, "value": record.value, "error": 0.001, "count": record.count}
                rows.append({"task.compositions": str(number), **record.at, **facts})
    return pd.DataFrame(rows)


def test_no_threshold_is_named_where_a_score_falls_or_never_was_low():
    for rises in (lambda number: float(number < 8), lambda number: 0.8 + number / 640):
        table = grown(rises)
        figure = phase(summarise(table), table, ["task.compositions"], "task.compositions")
        assert "half" not in figure.get_suptitle()


def test_a_phase_diagram_names_the_threshold():
    table = grown(lambda number: float(number >= 8))
    assert numbers(table, ["task.compositions"]) == ["task.compositions"]
    assert numbers(table, ["axis"]) == []
    figure = phase(summarise(table), table, ["task.compositions"], "task.compositions")
    assert "new compositions: half are right at 8" in figure.get_suptitle()
    words = {text.get_text() for text in figure.axes[0].texts}
    assert any(word.startswith("1.00") for word in words)
    assert any(word.startswith("0.00") for word in words)
    never = grown(lambda number: 0.1 / number)
    assert "half" not in phase(summarise(never), never, ["task.compositions"], "task.compositions").get_suptitle()


def test_curves_have_a_panel_a_level_and_a_thin_line_a_seed():
    table = grown(lambda number: number / 64).rename(columns={"task.compositions": "rows"}).astype({"rows": int})
    figure = curves(summarise(table), table, ["rows"], "rows")
    assert len(figure.axes) == 2
    both = table.assign(share=table["rows"] / 64)
    names = [name for name, _ in pictures(Results(Path(), {0: RUN}, {}, {}, both))]
    assert names == ["curves_share"]
    assert [list(line.get_xdata()) for line in figure.axes[1].lines if len(line.get_xdata())] == [[1, 4, 16, 64]] * 15


def test_a_study_s_own_number_and_parts_are_drawn_unasked():
    table = grown(lambda number: number / 64).rename(columns={"task.compositions": "edited"}).astype({"edited": int})
    table = table[table["part"].isin(["full", "answer"]) & (table["metric"] == "exact_match")]
    table = table.assign(part=table["part"].replace({"full": "follows_chain", "answer": "follows_prompt"}))
    ((name, figure),) = pictures(Results(Path(), {0: RUN}, {}, {}, table))
    assert name == "curves_edited"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["follows chain", "follows prompt"]
    assert [list(line.get_xdata()) for line in figure.axes[1].lines if len(line.get_xdata())] == [[1, 4, 16, 64]] * 8
    assert "replay" not in figure.get_suptitle()
