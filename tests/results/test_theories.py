"""Forecasts of rival theories: which files are taken, and which cells a forecast is of."""

import pytest

from alchemy.results.digests import sha256
from alchemy.results.registrations import read_registration
from alchemy.results.runs import read_results
from alchemy.results.theories import agrees, outcomes, read_forecasts
from alchemy.stats.forecasts import compared
from tests.helpers.made import make
from tests.helpers.registered import forecast, keyed, register


def read(tmp_path, text, swept=("model.width",), seeds=(0, 1)):
    path = tmp_path / "forecasts.csv"
    path.write_text(text, encoding="utf-8")
    return read_forecasts(path, swept, seeds)


def test_a_file_of_forecasts_is_read_as_it_stands(tmp_path):
    text = "theory, axis,level,seed,model.width,probability\nreplay,task,1,,,0.1\nrules , task,1,1,8,0.95\n"
    found = read(tmp_path, text)
    assert found["rows"] == (
        forecast("replay", 0.1, axis="task", level="1"),
        forecast("rules", 0.95, axis="task", level="1", seed="1") | {"cell": {
            "axis": "task", "level": "1", "seed": "1", "model.width": "8"}},
    )  # fmt: skip
    assert found["sha256"] == sha256(tmp_path / "forecasts.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axis,probability\ntask,0.1\n", "no column theory"),
        ("theory,axis\nreplay,task\n", "no column probability"),
        ("theory,axes,probability\nreplay,task,0.1\n", "column axes, which names no cell: use axis, kind"),
        ("theory,level,probability\n", "holds no forecast"),
        ("", "no column theory"),
        ("theory,level,probability\nreplay,1,1.5\n", "line 2 has the probability 1.5: write a number from 0 to 1"),
        ("# mine\n#\ntheory,level,probability\nreplay,1,2\n", "line 4 has the probability 2"),
        ("theory,level,probability\nreplay,1,nan\n", "has the probability nan"),
        ("theory,level,probability\nreplay,1,likely\n", "has the probability likely"),
        ("theory,level,probability\n,1,0.5\n", "line 2 names no theory"),
        ("theory,level,probability\nreplay,1\n", "another number of fields"),
        ("theory,level,probability\nreplay,1,0.5,7\n", "another number of fields"),
        ("theory,level,probability\nreplay,1,0.5\nreplay,1,0.6\n", "two forecasts by replay of one cell"),
        ("theory,seed,probability\nreplay,7,0.5\n", "seed 7, which is not swept: use 0, 1"),
    ],
)
def test_what_is_no_forecast_is_refused_in_a_sentence(text, said, tmp_path):
    with pytest.raises(ValueError, match=said.replace(".", r"\.")) as error:
        read(tmp_path, text)
    assert len(str(error.value)) <= 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("value", "text", "alike"),
    [(1, "1", True), (1, "1.0", True), (0.1, "0.10", True), ("F1", "F1", True), ("F1", "F2", False), (1, "", False)],
)
def test_a_coordinate_is_the_same_text_or_the_same_number(value, text, alike):
    assert agrees(value, text) == alike


def found_for(tmp_path, *forecasts, numbers=(0, 1, 2), seeds=(0, 1, 2), **made):
    by = read_registration(register(tmp_path / "registrations" / "it.json", seeds, forecasts=forecasts))
    return outcomes(read_results(keyed(make(tmp_path / "run", **made))), by, numbers)


def test_a_forecast_is_of_the_exact_match_of_chain_and_answer_if_it_does_not_say(tmp_path):
    table, none = found_for(
        tmp_path,
        forecast("replay", 0.2, axis="task", level="1"),
        forecast("rules", 0.5, axis="task", level="1", part="replay", metric="rate"),
        forecast("moon", 0.5, axis="length"),
    )
    its = table.set_index(["theory", "seed"])["outcome"]
    assert its["replay"].to_dict() == {0: 0.5, 1: 0.2, 2: 0.8}
    assert its["rules"].to_dict() == {0: 0.25, 1: 0.25, 2: 0.25}
    assert [one["theory"] for one in none] == ["moon"]
    assert set(compared(table).means["theory"]) == {"replay", "rules"}


def test_only_the_jobs_that_are_named_have_outcomes(tmp_path):
    table, _ = found_for(tmp_path, forecast("replay", 0.2, axis="task", level="1"), numbers=(0, 2))
    assert table["seed"].tolist() == [0, 2]
    table, none = found_for(tmp_path / "again", forecast("replay", 0.2), numbers=())
    assert table.empty
    assert len(none) == 1


def test_a_swept_setting_names_cells_whether_it_moves_in_this_folder_or_not(tmp_path):
    two = ["model.width=8", "model.width=16"]
    asked = [forecast("wide", 0.9, level="1", **{"model.width": "16"}), forecast("narrow", 0.1, **{"model.width": "4"})]
    table, none = found_for(tmp_path, *asked, numbers=range(6), overrides=two)
    assert set(table["model.width"]) == {"16"}
    assert [one["theory"] for one in none] == ["narrow"]
    table, _ = found_for(tmp_path / "one", *asked, overrides=["model.width=16"])
    assert table["seed"].tolist() == [0, 1, 2]


def test_the_scores_of_a_made_up_sweep_are_those_worked_out_by_hand(tmp_path):
    table, _ = found_for(
        tmp_path, forecast("half", 0.5, axis="task", level="1"), forecast("low", 0.2, axis="task", level="1")
    )
    found = compared(table)
    assert found.means["brier"].tolist() == pytest.approx([0.25, (0.34 + 0.16 + 0.52) / 3])  # o(1-p)^2 + (1-o)p^2
    assert found.pairs[["prefer_first", "prefer_second"]].values.tolist() == [[2, 1]]  # of .5, .2 and .8, low has .2
