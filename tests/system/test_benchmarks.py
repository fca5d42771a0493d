"""The benchmark's own parts: what it is told, its table, what moved, and that contenders do the same work."""

import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from alchemy.training.fit import Progress
from benchmarks import axes, gpu, intervals
from benchmarks.__main__ import flat, moved, read, table
from benchmarks.growth import POINTS, WORKS, exponent, picture
from benchmarks.ours import WORKS as OURS
from benchmarks.recipes import CANDIDATES, line
from benchmarks.rows import default, steps
from benchmarks.worlds import table as split
from tests.helpers.worlds import ROOT

FACTS = {
    "machine": {"date": "2026-01-01", "processor": "one", "cores": "2"},
    "rows per second": {"training": {"ours": [300.0, 310.0, 290.0], "huggingface": [100.0, 101.0, 99.0]}},
    "rows": {"rows to 0.999": [16000.0, 12800.0, 19200.0]},
    "seconds": {"import": [0.2, 0.1, 0.3]},
}


def test_the_table_has_medians_spreads_and_ratios():
    text = "\n".join(table(FACTS))
    assert "| training | 300 (290 to 310) | 100.00 (99.00 to 101.00) |  |  |  | huggingface 3.00 |" in text
    assert "| import | 0.20 (0.10 to 0.30) |" in text
    assert "| rows to 0.999 | 16,000 (12,800 to 19,200) |" in text


def test_what_moved_is_what_left_its_range():
    new = json.loads(json.dumps(FACTS))
    assert moved(flat(FACTS), flat(new)) == ["nothing moved beyond its spread"]
    new["rows per second"]["training"]["ours"] = [600.0, 620.0, 580.0]
    assert moved(flat(FACTS), flat(new)) == [
        "training, ours: 300 (290 to 310) before, 600 (580 to 620) now, 2.00 times"
    ]


def test_what_is_compared_may_be_older_but_must_be_a_benchmark():
    assert flat({name: value for name, value in FACTS.items() if name != "rows"})["import"] == [0.2, 0.1, 0.3]
    with pytest.raises(ValueError, match="compare="):
        flat({"cells": []})


@pytest.mark.parametrize("word", ["rounds=0", "rounds=x", "fast=yes", "out="])
def test_a_wrong_setting_is_a_sentence(word):
    with pytest.raises(ValueError, match="rounds"):
        read([word])


def test_a_comparison_with_nothing_ends_before_anything_is_measured():
    words = [sys.executable, "-m", "benchmarks", "compare=absent.json"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks: ")
    assert done.stderr.count("\n") == 1


def test_a_training_step_is_a_real_one():
    assert steps(default(words=("train.loss=all",)), 64)() == 8 * 64


def test_works_on_the_mixture_do_what_they_say():
    assert OURS["typed trace"]()() == 10_000
    assert OURS["composition by name"]()() == 20 + 20**2 + 20**3 + 20**4  # of so many rules


@pytest.mark.slow
def test_a_real_round(tmp_path):
    words = [sys.executable, "-m", "benchmarks", "rounds=1", "only=step, 18", f"out={tmp_path / 'new' / 'bench.json'}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "| training step, 18 tokens |" in done.stdout
    rates = json.loads((tmp_path / "new" / "bench.json").read_text())["rows per second"]["training step, 18 tokens"]
    assert {"ours", "products"} <= set(rates)
    assert all(rate[0] > 0 for rate in rates.values())


def test_the_exponent_is_that_of_the_end():
    sizes = pd.Series([1, 2, 4, 8, 16, 32])
    assert exponent(sizes, pd.Series([5.0, 5, 5, 64, 256, 1024])) == pytest.approx(2)


def test_growth_is_drawn_for_every_work(tmp_path):
    assert list(POINTS) == list(WORKS)
    rows = [(work, size, size / 1e3, 300.0) for work, sizes in POINTS.items() for size in sizes]
    picture(pd.DataFrame(rows, columns=["work", "size", "seconds", "MiB"]), tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000


@pytest.mark.parametrize("work", ["letters of an element", "rules of a composition"])
def test_long_elements_and_chains_are_drawn_without_counting_them(work):
    """26 to the 12 elements cannot be listed; drawing some takes as long as the numbers that it writes."""
    size = POINTS[work][-1]
    batch = WORKS[work](size)()
    assert len(batch) == 100_000
    assert len(np.unique(batch.tokens[:1000], axis=0)) > 900


@pytest.mark.slow
def test_a_point_is_measured_in_a_process_of_its_own():
    words = [sys.executable, "-m", "benchmarks.growth", "rows drawn", "4096"]
    found = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert found["seconds"] > 0
    assert 50 < found["MiB"] < 4000


def test_intervals_are_simulated_and_drawn(tmp_path, monkeypatch, capsys):
    """A row for each shape, number of seeds and kind; nothing is counted where an interval is not offered."""
    monkeypatch.setattr(intervals, "SEEDS", (3, 6))
    monkeypatch.setattr("sys.argv", ["benchmarks.intervals", f"out={tmp_path / 'new'}", "times=4"])
    intervals.main()
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "new" / "intervals.png")
    assert (tmp_path / "new" / "intervals.png").stat().st_size > 10_000
    found = pd.read_csv(tmp_path / "new" / "intervals.csv")
    assert len(found) == 2 * len(intervals.KINDS) * sum(map(len, intervals.SHAPES.values()))
    assert set(found["shape"]) == set(intervals.SHAPES)
    lacking = found["coverage"].isna()
    assert (lacking == ((found["kind"] == "median of other numbers") & (found["seeds"] < 6))).all()
    assert (found["coverage"].dropna() * 4 % 1 == 0).all()


@pytest.mark.parametrize("word", ["times=0", "times=many", "shape=normal"])
def test_intervals_name_a_wrong_setting(word, monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmarks.intervals", word])
    with pytest.raises(SystemExit, match=rf"^benchmarks\.intervals: {word}"):
        intervals.main()


def test_growth_names_a_wrong_setting():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "speed=1"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks.growth: speed=1")


FOUND = ((16_000, 0.9993, 5.0), (102_400, 0.9, 30.0), (12_800, 1.0, 4.0))


def test_a_recipe_is_searched_by_rows_and_a_failure_is_no_number():
    found = [Progress(1, rows, 0.1, right, spent) for rows, right, spent in FOUND]
    assert line("train.batch=32", found) == ("| train.batch=32 | 16, -, 13 | 5.0 |")


@pytest.mark.parametrize("words", CANDIDATES)
def test_every_recipe_searched_can_be_built(words):
    assert default(seed=20, words=tuple(words.split())).recipe.batch in (32, 64, 128)


def test_worlds_are_split_by_hand():
    """One world differs by 0.4, seeds by 0.2 each, and nothing is left; without that world only seeds differ."""
    text = ["0=0.1 1=0.3 2=0.5", "0=0.5 1=0.7 2=0.9", "0=0.5 1=0.7 2=0.9"]
    cells = pd.DataFrame({"task.draw": ["0", "1", "2"], "by_seed": text, "level": 1})
    found = split(cells.assign(axis="task", part="full", metric="exact_match"), 1).set_index("component")
    assert found["share"].to_dict() == pytest.approx({"worlds": 4 / 7, "seeds": 3 / 7, "rest": 0.0}, abs=1e-9)
    assert found.loc["worlds", "least"] == pytest.approx(0)
    assert found["mean"].iloc[0] == pytest.approx(1.7 / 3)


def test_what_is_no_sweep_of_worlds_is_refused(tmp_path):
    words = [sys.executable, "-m", "benchmarks.worlds", f"runs={tmp_path}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks.worlds: ")


def test_the_benchmark_of_a_gpu_runs_on_a_cpu(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", "device=cpu", "slots=2", "seconds=0.01", f"out={tmp_path}"])
    monkeypatch.setattr(gpu, "COPIED", 1 << 16)
    monkeypatch.setattr(gpu, "find_spec", lambda _: None)
    gpu.main()
    found = pd.read_csv(tmp_path / "gpu.csv")
    assert list(zip(found["work"], found["slots"], found["precision"], strict=True)) == [
        ("one eager model", 1, "float32"),
        *(("stack", slots, precision) for slots in (1, 2) for precision in ("float32", "bfloat16")),
    ]
    assert (found["rows_a_second"] > 0).all()
    assert (found["limit"] > 0).all()
    assert "rows/s" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["slots=0", "slots=many", "seconds=-1", "device=tpu", "speed=1"])
def test_the_benchmark_of_a_gpu_refuses(word, monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmarks.gpu", word])
    with pytest.raises(SystemExit, match=r"^benchmarks.gpu: "):
        gpu.main()


def cells_of(axis, swept, levels, kind="-"):
    """Made-up cells of a sweep over an axis: the exact match is a tenth of the level, and its seeds are two."""
    rows = []
    for settings in swept:
        for level in levels:
            row = {**settings, "model.positions": "rotary", "axis": axis, "kind": kind, "level": level}
            row |= {"part": "full", "metric": "exact_match", "mean": level / 10, "low": 0, "high": 1, "seeds": 2}
            rows.append(row | {"by_seed": f"0={level / 10} 1={level / 10}"})
    return pd.DataFrame(rows)


def test_axes_take_the_next_value_that_training_never_had():
    swept = [{"task.levels": "[0]"}, {"task.levels": "[-1, 0, 1]"}]
    found = [*axes.rows_of(cells_of("length", swept, (-2, -1, 0, 1, 2, 3)))]
    said = {(row["seen"], row["level"]): row["where"] for row in found}
    assert said == {
        (1, -1): "below",
        (1, 0): "inside",
        (1, 1): "above",
        (3, -2): "below",
        (3, -1): "inside",
        (3, 0): "inside",
        (3, 1): "inside",
        (3, 2): "above",
    }


def test_axes_of_places_and_of_noise():
    places = [*axes.rows_of(cells_of("places", [{"task.places": "2"}], (0, 1, 2)))]
    assert [(row["seen"], row["level"], row["where"]) for row in places if row["where"]] == [
        (2, 0, "inside"),
        (2, 1, "above"),
    ]
    kinds = [{"task.kinds": "[]"}, {"task.kinds": "[insert,delete]"}]
    found = {
        kind: [
            (row["seen"], row["level"], row["where"]) for row in axes.rows_of(cells_of("format", kinds, (0, 3), kind))
        ]
        for kind in ("insert", "modify", "hybrid")
    }
    assert found["insert"] == [(2, 3, "inside")]
    assert found["modify"] == [(0, 0, "inside"), (0, 3, "above"), (2, 0, "inside"), (2, 3, "above")]
    assert found["hybrid"] == []


def test_axes_are_drawn(tmp_path):
    swept = [{"task.levels": "[0]"}, {"task.levels": "[0,1]"}]
    table = pd.DataFrame([*axes.rows_of(cells_of("length", swept, (-1, 0, 1, 2)))])
    assert axes.picture(table).axes[0].get_xlabel() == "lengths of elements in training"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.axes", f"runs={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks.axes: ")


def test_a_sweep_of_something_else_has_no_axes(monkeypatch):
    made = SimpleNamespace(cells=cells_of("length", [{"task.rules": "3"}], (0, 1)))
    monkeypatch.setattr(axes, "read_results", lambda _: made)
    with pytest.raises(ValueError, match=r"FOLDER is no sweep of experiment=axes/length, steps, places or format"):
        axes.table_of(["FOLDER"])
