"""Maps and curves over a swept number: what is written into them, and each seed."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from alchemy.figures.curves import draw_curves
from alchemy.figures.draw import every_picture
from alchemy.figures.sweep_map import draw_map, numbers
from alchemy.results.runs import Results
from alchemy.results.table import summarise
from alchemy.stats.intervals import interval
from tests.helpers.made import RUN, records


def grown(rises, numbers=(1, 4, 16, 64), seeds=range(3)):
    """Records of a sweep over a number, whose exact match rises as told."""
    rows = []
    for number in numbers:
        for seed in seeds:
            for record in records(seed, [("task", 0, 1.0), ("task", 1, rises(number))]):
                facts = {
                    "metric": record.metric,
                    "unit": record.unit,
                    "value": record.value,
                    "error": 0.001,
                    "count": record.count,
                }
                rows.append({"task.compositions": str(number), **record.at, **facts})
    return pd.DataFrame(rows)


def test_no_threshold_is_named_where_a_score_falls_or_never_was_low():
    for rises in (lambda number: float(number < 8), lambda number: 0.8 + number / 640):
        table = grown(rises)
        figure = draw_map(summarise(table), table, ["task.compositions"], "task.compositions")
        assert "half" not in figure.get_suptitle()


def test_a_phase_diagram_names_the_threshold():
    table = grown(lambda number: float(number >= 8))
    assert numbers(table, ["task.compositions"]) == ["task.compositions"]
    assert numbers(table, ["axis"]) == []
    figure = draw_map(summarise(table), table, ["task.compositions"], "task.compositions")
    assert re.search(r"new compositions: half are right at 8\S*, by seed from 8\S* to 8\S* \(", figure.get_suptitle())
    words = {text.get_text() for text in figure.axes[0].texts}
    assert any(word.startswith("1.00") for word in words)
    assert any(word.startswith("0.00") for word in words)
    never = grown(lambda number: 0.1 / number)
    assert "half" not in draw_map(summarise(never), never, ["task.compositions"], "task.compositions").get_suptitle()


def test_a_map_counts_seeds_that_are_all_or_nothing_and_has_an_interval_of_others():
    table = grown(lambda number: float(number >= 8))
    table.loc[(table["task.compositions"] == "16") & (table["seed"] == 2) & (table["level"] == 1), "value"] = 0.5
    figure = draw_map(summarise(table), table, ["task.compositions"], "task.compositions")
    words = {text.get_text() for text in figure.axes[0].texts}
    (low,), (high,) = interval(np.array([[1, 1, 0.5]]))
    assert words == {"1.00\n3 of 3", "0.00\n0 of 3", f"0.83\n{low:.2f}–{high:.2f}"}
    assert "the 95 % interval or seeds at 1" in figure.get_suptitle()


def test_curves_have_a_panel_a_level_and_a_thin_line_a_seed():
    table = grown(lambda number: number / 64).rename(columns={"task.compositions": "rows"}).astype({"rows": int})
    figure = draw_curves(summarise(table), table, ["rows"], "rows")
    assert len(figure.axes) == 2
    both = table.assign(share=table["rows"] / 64)
    names = [name for name, _ in every_picture(Results(Path(), {0: RUN}, {}, {}, both))]
    assert names == ["curves_share"]
    assert [list(line.get_xdata()) for line in figure.axes[1].lines if len(line.get_xdata())] == [[1, 4, 16, 64]] * 15


def test_a_study_s_own_number_and_parts_are_drawn_unasked():
    table = grown(lambda number: number / 64).rename(columns={"task.compositions": "edited"}).astype({"edited": int})
    table = table[table["part"].isin(["full", "answer"]) & (table["metric"] == "exact_match")]
    table = table.assign(part=table["part"].replace({"full": "follows_chain", "answer": "follows_prompt"}))
    ((name, figure),) = every_picture(Results(Path(), {0: RUN}, {}, {}, table))
    assert name == "curves_edited"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["follows chain", "follows prompt"]
    assert [list(line.get_xdata()) for line in figure.axes[1].lines if len(line.get_xdata())] == [[1, 4, 16, 64]] * 8
    assert "replay" not in figure.get_suptitle()
