"""Records to table to picture, by hand and without a model."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from alchemy.figures import draw as figures
from alchemy.figures.curves import draw_curves
from alchemy.figures.diagnosis_bars import draw_diagnosis
from alchemy.figures.draw import draw_all, drawings, finish, left_out, styled, table_text
from alchemy.figures.heatmap import draw_heatmap
from alchemy.figures.lettering import broken, cut, fitted, told_apart, wide
from alchemy.figures.sweep_map import draw_map
from alchemy.results.digests import write_json
from alchemy.results.jobs import jobs, variants
from alchemy.results.records import write_records
from alchemy.results.runs import LEGEND, Results, caption_of, holes
from alchemy.results.table import load, summarise
from tests.helpers.made import RUN, make, records
from tests.helpers.pictures import inside_and_apart, shown_texts


@pytest.fixture
def sweep(tmp_path):
    return make(tmp_path)


def test_a_cell_is_the_mean_over_seeds_with_its_interval(sweep):
    cells = summarise(load(sweep, {0: {}, 1: {}, 2: {}}))
    cell = cells.query("axis == 'task' and level == 1 and part == 'full' and metric == 'exact_match'").iloc[0]
    assert cell["mean"] == pytest.approx(0.5)
    part = (0.025 * 0.8 * 0.5 * 0.2) ** (1 / 3)  # of three seeds of .2 .5 .8, by hand in tests/stats/test_intervals.py
    assert (cell["low"], cell["high"]) == (pytest.approx(part), pytest.approx(1 - part))
    assert (cell["seeds"], cell["count"], cell["lowest"], cell["highest"]) == (3, 30, 0.2, 0.8)
    assert cell["by_seed"] == "0=0.5 1=0.2 2=0.8"


def test_a_seed_counts_once_however_often_it_was_measured(sweep):
    """Swept shifts overlap: the same cell of one seed in two jobs is one measurement."""
    write_records(sweep / "1" / "records.jsonl", records(0, [("task", 0, 1.0), ("task", 1, 0.5), ("format", 2, 0.5)]))
    cells = summarise(load(sweep, {0: {}, 1: {}}))
    assert set(cells["seeds"]) == {1}
    assert set(cells["count"]) == {10}


def test_one_seed_has_no_interval(sweep):
    cells = summarise(load(sweep, {0: {}}))
    assert cells["low"].isna().all()


def test_columns_of_cells_are_the_promised_ones(sweep):
    promised = ["axis", "kind", "domain", "level", "part", "metric", "unit", "mean", "low", "high", "seeds", "count"]
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
    figure = draw_heatmap(cells, "exact_match", "full", "\n".join(caption_of([RUN])), [])
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
    write_json(sweep / "1" / "run.json", {"status": "failed", "error": "no room", "overrides": ["seed=1"]})
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
    assert "run.json cannot be read: run that job again" in jobs(tmp_path)[0]["error"]


def test_the_table_has_a_line_a_shift(sweep):
    text = table_text(summarise(load(sweep, {0: {}, 1: {}, 2: {}})), [])
    assert "task" in text.splitlines()[1]
    assert "+1: 0.500" in text.splitlines()[1]


def test_variants_are_rows_of_their_own(sweep, tmp_path):
    swept = {number: {"model.width": str(number % 2)} for number in range(3)}
    cells = summarise(load(sweep, swept))
    figure = draw_heatmap(cells, "exact_match", "full", "", ["model.width"])
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
    figure = draw_diagnosis(summarise(table), [])
    stacks = {}
    for patch in figure.axes[0].patches:
        stacks[round(patch.get_x(), 2)] = stacks.get(round(patch.get_x(), 2), 0) + np.nan_to_num(patch.get_height())
    assert list(stacks.values()) == [pytest.approx(1), pytest.approx(1)]


def test_each_seed_is_a_dash_on_its_bar(sweep):
    """Of three seeds at .5, .2 and .8, and at 1 in training; one seed alone is its bar."""

    def dashes(*jobs):
        (ax, *_) = draw_diagnosis(summarise(load(sweep, {job: {} for job in jobs})), []).axes
        return sorted(tuple(place) for one in ax.collections for place in one.get_offsets())

    assert dashes(0, 1, 2) == [(0, 1), (0, 1), (0, 1), (1, 0.2), (1, 0.5), (1, 0.8)]
    assert dashes(0) == []


def made_up(axes, seeds=(0, 1, 2), variants=({},), setting=lambda level: f"level {level}", score=None):
    """A table with these levels by axis, for each variant: swept settings by name."""
    score = score or (lambda seed, level, variant: 0.3 + 0.1 * seed if level else 1.0)
    rows = []
    for variant in variants:
        for seed in seeds:
            at = [(axis, level, score(seed, level, variant)) for axis, levels in axes.items() for level in levels]
            for record in records(seed, at):
                facts = {
                    "metric": record.metric,
                    "unit": record.unit,
                    "value": record.value,
                    "error": record.error,
                    "count": record.count,
                }
                says = {"setting": setting(record.at["level"])}
                rows.append({"job": seed, **variant, **record.at, **says, **facts})
    return pd.DataFrame(rows)


MANY = "[" + ",".join(f"F{i}F{j}" for i in range(5) for j in range(5)) + "]"
ALL = {"task": range(4), "element": range(3), "length": range(-2, 3), "steps": range(-1, 3), "format": range(4)}
CAPTION = "\n".join([*caption_of([{**RUN, "seed": seed} for seed in range(3)]), *LEGEND])
SHORT = "\n".join([*caption_of([{**RUN, "seed": seed, "reached": False} for seed in range(60)]), *LEGEND])
LONG = [
    {"task.training": MANY.replace("F3F3", f"F{i}F7"), "model": "hf", "model.path": f"/data/${{x}}/{i}/$very/long" * 4}
    for i in range(4)
]


def percent(level):
    return f"{5 * level}%"


def long_name(level):
    return f"a level {level} whose name is very long and says a lot"


TABLES = {  # made-up tables, and their captions
    "usual": (made_up(ALL), CAPTION),
    "one row": (made_up({"length": [0, 1]}), CAPTION),
    "two rows": (made_up({"length": [0, 1], "task": [0, 1]}), CAPTION),
    "one cell": (made_up({"length": [1]}, seeds=[0]), ""),
    "a long caption": (made_up({"length": [0, 1]}, seeds=range(2)), SHORT),
    "21 levels": (made_up({"format": range(21)}, setting=percent), CAPTION),
    "25 levels": (made_up({"length": range(-12, 13), "format": range(3)}, setting=long_name), CAPTION),
    "long settings": (made_up({"task": [0, 1], "format": [0, 3]}, variants=LONG, setting=long_name), CAPTION),
    "40 rows": (made_up({"length": [0, 1]}, variants=[{"model.width": f"w{i}"} for i in range(40)]), CAPTION),
    "60 rows": (made_up({"length": [0, 1]}, variants=[{**LONG[i % 4], "x": f"w{i}"} for i in range(60)]), SHORT),
    "40 rows, 25 levels": (made_up({"length": range(25)}, [0], [{"x": f"w{i}"} for i in range(40)]), CAPTION),
}


QUICK = ("one row", "two rows", "one cell", "a long caption", "21 levels", "long settings")
NAMES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in TABLES]


@pytest.mark.parametrize("name", NAMES)
def test_no_word_of_a_heatmap_is_beyond_the_edge_or_over_another(name):
    table, caption = TABLES[name]
    table = table[~((table["seed"] == 2) & (table["level"] == 1))]  # of some cells fewer seeds
    swept = [key for key in table if key in LONG[0] or key in ("model.width", "x")]
    cells = summarise(table)
    lacking = holes(cells, [dict.fromkeys(swept, "not there")])
    with styled():
        for metric, part in (("exact_match", "full"), ("edit_distance", "answer"))[: 2 if name in QUICK else 1]:
            assert inside_and_apart(draw_heatmap(pd.concat([cells, lacking]), metric, part, caption, swept)) == []


@pytest.mark.parametrize("name", [name for name in QUICK if "caption" not in name])
def test_no_word_of_the_diagnosis_is_beyond_the_edge_or_over_another(name):
    table, _ = TABLES[name]
    with styled():
        assert inside_and_apart(draw_diagnosis(summarise(table), [key for key in table if key in LONG[0]])) == []


@pytest.mark.parametrize(
    ("values", "variants", "axes"),
    [
        ([1, 4, 16, 64], [{}], {"task": range(4)}),
        ([0.001, 0.5, 30_000_000], [{}], {"task": range(2)}),
        pytest.param([*range(0, 200_000, 30_000)], LONG, {"task": range(2), "format": [1]}, marks=pytest.mark.slow),
    ],
)
def test_no_word_of_curves_and_maps_is_beyond_the_edge_or_over_another(values, variants, axes):
    setting = long_name if len(variants) > 1 else percent
    every = [{"some.number": value, **variant} for variant in variants for value in values]
    table = made_up(axes, variants=every, setting=setting, score=lambda seed, level, variant: 0.1)
    swept = [key for key in table if key in every[0]]
    with styled():
        assert inside_and_apart(draw_curves(summarise(table), table, swept, "some.number")) == []
        table = table.astype({"some.number": str})
        assert inside_and_apart(draw_map(summarise(table), table, swept, "some.number")) == []


def test_a_map_of_hundreds_of_values_stays_a_picture():
    every = [{"train.steps": str(steps)} for steps in range(1000, 400_000, 1000)]
    table = made_up({"task": [0, 1]}, [0], every)
    with styled():
        figure = draw_map(summarise(table), table, ["train.steps"], "train.steps")
        assert inside_and_apart(figure) == []
    assert figure.get_figwidth() < 35


def test_the_usual_pictures_are_as_large_as_they_were():
    cells = summarise(TABLES["usual"][0])
    with styled():
        assert tuple(draw_heatmap(cells, "exact_match", "full", CAPTION, []).get_size_inches()) == pytest.approx(
            (12, 6.95)
        )
        assert tuple(draw_diagnosis(cells, []).get_size_inches()) == pytest.approx((13, 6.1))


def test_rows_without_room_are_spread_over_pictures_and_what_is_left_out_is_said(tmp_path):
    variants = [{"model.width": f"w{number}"} for number in range(1000)]
    table = made_up({"length": [1]}, [0], variants)
    table = table[table["metric"].isin(["exact_match", "right"]) & table["part"].isin(["full", "diagnosis"])]
    results = Results(tmp_path, {0: RUN}, {}, dict(enumerate(variants)), table)
    with styled():
        drawn = {name: draw for name, draw, _ in drawings(results)}
        assert list(drawn)[:5] == ["heatmap", "heatmap_2", "heatmap_3", "heatmap_4", "diagnosis"]
        figure = drawn["heatmap_4"]()
    assert max(figure.get_size_inches()) * 200 < 10_000
    words = " ".join(text for text, _ in shown_texts(figure))
    assert "Rows 601 to 800 of 1,000. 200 more are left out: cells.csv and report.html have them." in words
    assert "model.width=w799, length" in words
    assert [line.partition(":")[0] for line in left_out(results)] == ["heatmap", "diagnosis"]


def test_a_picture_that_fails_costs_neither_the_table_nor_the_page_nor_the_others(sweep, capsys, monkeypatch):
    def fails(cells, metric, part, *rest):
        if part == "chain":
            raise RuntimeError("no such colour")
        return draw_heatmap(cells, metric, part, *rest)

    monkeypatch.setattr(figures, "draw_heatmap", fails)
    assert finish(sweep) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(sweep / "heatmap.png")
    assert said.err.splitlines()[0] == "alchemy: heatmap_chain.png cannot be drawn (RuntimeError: no such colour)"
    assert not (sweep / "heatmap_chain.png").exists()
    for name in ("heatmap.png", "heatmap_answer.png", "diagnosis.png", "cells.csv", "report.html"):
        assert (sweep / name).exists(), name


def test_the_table_and_the_page_are_there_before_the_first_picture(sweep, monkeypatch):
    def stops(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "draw_heatmap", stops)
    with pytest.raises(KeyboardInterrupt):
        finish(sweep)
    assert {path.name for path in sweep.iterdir()} >= {"cells.csv", "report.html"}


def test_numbers_that_are_none_are_drawn_or_left_out(tmp_path):
    table = made_up({"length": [0, 1]})
    gone = table.assign(value=table["value"].mask(table["metric"] == "exact_match"))
    for some in (gone, table[table["metric"] != "exact_match"]):
        results = Results(tmp_path, {0: RUN}, {}, {0: {}}, some)
        assert next(iter(drawings(results)))[0] == "heatmap_edit_distance"
    cells = summarise(table)
    for value in (np.nan, np.inf):
        with styled():
            for figure in (
                draw_heatmap(cells.assign(mean=value), "exact_match", "full", "", []),
                draw_diagnosis(cells[:0], []),
            ):
                assert inside_and_apart(figure) == []
            assert inside_and_apart(draw_heatmap(cells[:0], "exact_match", "full", "", [])) == []


def test_words_are_cut_broken_and_made_small():
    assert cut("as it is", 5, 10) == "as it is"
    for room in (0.3, 1.0, 2.0):
        assert wide(cut(MANY, room, 10), 10) <= room
        lines = broken(MANY, room, 10, 3)
        assert 1 <= len(lines) <= 3
        assert max(wide(line, 10) for line in lines) <= room
    assert broken("one two three", 10, 10) == ["one two three"]
    assert broken("", 1, 10) == [""]
    assert fitted(["a longer way", "short"], 10, 10) == ("a longer way", 10)
    assert fitted(["a longer way of saying it", "short"], 0.6, 10)[0] == "short"
    assert fitted(["a price of $5"], 10, 10)[0] == r"a price of \$5"
    apart = told_apart([variant["task.training"] for variant in LONG])
    assert [*apart.values()] == [f"…F{number}…" for number in range(4)]
    assert told_apart(["16", "32", MANY]) == {"16": "16", "32": "32", MANY: MANY}
