"""The page of a sweep, read as text; tests/system/test_page.py opens it in a browser."""

import json
import re
import time

import numpy as np
import pytest

from alchemy.figures.findings import breaks, rows_of, sentences
from alchemy.figures.report import content, page
from alchemy.results.compare import differences
from alchemy.results.digests import write_json
from alchemy.results.examples import stored
from alchemy.results.runs import read_results
from alchemy.results.table import summarise
from alchemy.stats.intervals import difference
from tests.helpers.command import word
from tests.helpers.made import change_records, change_run, make

EVIL = "</script><img src=x onerror=alert(1)> \u2028 &lt;"


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S).group(1))


def test_the_page_has_every_cell_with_its_numbers_and_rows(tmp_path, capsys):
    make(tmp_path, text="N O P Q [F2] <answer> A B C D")
    assert word("report")([str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    task, noise = data_of(tmp_path / "report.html")["rows"]
    assert [cell["level"] for cell in task["cells"]] == [0, 1]
    shifted = task["cells"][1]
    mean, low, high, seeds, count, ones = shifted["numbers"]["full.exact_match"]
    assert (mean, seeds, count, ones) == (0.5, 3, 30, None)
    assert low < 0.2 < 0.8 < high
    assert task["cells"][0]["numbers"]["full.exact_match"][5] == 3  # in training each seed is at 1
    assert shifted["seeds"]["full.exact_match"] == {"0": 0.5, "1": 0.2, "2": 0.8}
    assert [row[:2] for row in shifted["rows"][:4]] == [
        [0, "right"],
        [0, "replayed"],
        [0, "wrong_answer"],
        [0, "wrong_step"],
    ]
    assert len(shifted["rows"]) == 3 * 5 * 3  # seeds, kinds, rows of each
    assert shifted["rows"][2][5] == "5 right, 10 [F1]"
    assert shifted["jobs"] == [0, 1, 2]
    assert noise["format"]
    assert not task["cells"][0]["rows"]
    assert task["breaks"] == []  # half of 1.0 is not less than half


def test_nothing_from_the_data_is_markup(tmp_path):
    make(tmp_path, text=EVIL)
    change_run(tmp_path / "0", training=[EVIL])
    assert word("report")([str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("</script>") == 2
    assert "\u2028" not in text.partition('<script id="data"')[2]
    assert data_of(tmp_path / "report.html")["rows"][0]["cells"][1]["rows"][0][4] == EVIL
    assert not re.search(r"https?://", text), "the page names another"


def test_a_cell_that_no_job_measured_is_a_hole(tmp_path):
    make(tmp_path, overrides=("model.width=8", "model.width=16"), scores=(0.5,))
    failed = {"status": "failed", "began": True, "error": "no room", "overrides": ["seed=0", "model.width=16"]}
    write_json(tmp_path / "1" / "run.json", failed)
    data = content(read_results(tmp_path), None, tmp_path / "report.html")
    whole, hole = (next(row for row in data["rows"] if row["variant"] == [f"model.width={n}"]) for n in (8, 16))
    assert [cell["level"] for cell in whole["cells"]] == [0, 1]
    assert (hole["cells"], hole["holes"]) == ([], [0, 1])
    assert "no room" in data["failed"][0]


def test_a_page_elsewhere_still_leads_to_the_settings(tmp_path):
    sweep, other = make(tmp_path / "a sweep"), tmp_path / "pages" / "one.html"
    other.parent.mkdir()
    assert word("report")([str(sweep), "--out", str(other)]) == 0
    assert data_of(other)["jobs"]["2"]["config"] == "../a%20sweep/2/.hydra/config.yaml"
    assert word("report")([str(sweep), "--out", str(tmp_path / "nowhere" / "one.html")]) == 1


def test_damaged_or_missing_rows_cost_the_rows_alone(tmp_path, capsys):
    make(tmp_path, text="A")
    [damaged] = (tmp_path / "cells" / "01").glob("*.parquet")
    damaged.write_bytes(b"PAR1 no more")
    assert word("report")([str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"alchemy: {damaged} has changed since it was written: the page leaves its rows out")
    assert said.count("\n") == 1
    shown = [cell for row in data_of(tmp_path / "report.html")["rows"] for cell in row["cells"] if cell["rows"]]
    assert {row[0] for cell in shown for row in cell["rows"]} == {0, 2}, "the rows of other seeds are there"


def test_rows_of_another_cell_are_not_shown(tmp_path, capsys):
    make(tmp_path, text="A")
    homes = [next((tmp_path / "cells" / name).glob("*.parquet")) for name in ("00", "01")]
    (tmp_path / "cells" / "00" / "0a.json").write_bytes(homes[0].with_suffix(".json").read_bytes())
    (tmp_path / "cells" / "00" / "0a.parquet").write_bytes(homes[0].read_bytes())
    change_run(tmp_path / "0", rows_of={"task - - 1": str(tmp_path / "cells" / "00" / "0a.parquet")})
    assert word("report")([str(tmp_path)]) == 0
    assert "is not the cell that it is named for" in capsys.readouterr().err


def test_a_folder_whose_name_is_a_pattern_has_its_own_rows(tmp_path):
    for name, text in (("o*q", "N O P Q"), ("oXq", "X X X X")):
        make(tmp_path / name, text=text)
    assert word("report")([str(tmp_path / "o*q")]) == 0
    data = data_of(tmp_path / "o*q" / "report.html")
    assert {row[4] for level in data["rows"] for cell in level["cells"] for row in cell["rows"]} == {"N O P Q"}


@pytest.mark.parametrize("path", ["../secret", "cells/../00/0a.parquet", "cells/xyz/0a.parquet", "cells/00/0a.csv"])
def test_a_path_that_leads_elsewhere_is_not_followed(tmp_path, path, monkeypatch):
    (tmp_path / "cells" / "00").mkdir(parents=True)
    (tmp_path / "cells" / "00" / "0a.parquet").touch()
    monkeypatch.chdir(tmp_path)
    assert stored("cells/00/0a.parquet", tmp_path / "0")
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert stored(path, tmp_path / "0") is None


def test_what_the_cells_say(tmp_path):
    make(tmp_path, scores=(0.1, 0.2, 0.3))
    results = read_results(tmp_path)
    said = sentences(results.cells, results.table)
    assert said[0].endswith(": nowhere, in no seed.")
    assert "task +1 [level 1], answers execute F1 in 67% (2 of 3 seeds), F2 in 33% (1 of 3 seeds), or one" in said[1]
    # of .9 .8 .7 that is from the cube root of .025 × .9 × .8 × .7, to 1 less that of .025 × .1 × .2 × .3
    assert "80% [23%, 95%] of completions are, word for word, gold of another composition." in said[1]
    assert said[2].endswith("worst first: insert all 0.20 (0.18 of untouched prompts and 0.02 of touched prompts).")
    assert "nan" not in " ".join(said)
    [levels] = [levels for row, levels in rows_of(results.cells, []).items() if row[0] == "task"]
    assert breaks(levels) == [1]
    assert breaks(dict.fromkeys((-2, -1, 1), levels[1]) | {0: levels[0]}) == [-1, 1]
    assert breaks({1: levels[1]}) == []


def test_one_seed_whose_chains_are_right_and_answers_wrong_is_told(tmp_path):
    make(tmp_path, scores=(0.1, 0.2, 0.3))
    results = read_results(tmp_path)
    table = results.table.copy()
    right = (table["part"] == "chain") & (table["metric"] == "exact_match") & (table["level"] == 1)
    table.loc[right & (table["seed"] == 1), "value"] = 0.9
    said = sentences(summarise(table), table)
    assert "task +1 [level 1] in 1 of 3 seeds (chain 0.90, answer 0.20)" in said[0]


def test_numbers_without_an_interval_or_a_counterpart_are_not_nan(tmp_path):
    make(tmp_path, scores=(0.3,))
    table = read_results(tmp_path).table
    few = table[~table["metric"].isin(["right_untouched", "right_touched"])]
    for some in (table, few):
        said = " ".join(sentences(summarise(some), some))
        assert "nan" not in said
    assert "insert all 0.30." in said
    none = table.assign(value=table["value"].where(table["part"] != "executed", 0.009))
    assert "no one composition in 1% or more" in " ".join(sentences(summarise(none), none))


def followed(text):
    lines = [line for line in text.splitlines() if '"part": "full"' in line and "exact" in line]
    return "\n".join(line.replace('"full"', '"follows_chain"') for line in lines) + "\n"


def test_a_study_s_own_parts_are_on_the_page(tmp_path):
    make(tmp_path)
    for number in range(3):
        change_records(tmp_path / str(number), followed)
    assert word("report")([str(tmp_path)]) == 0
    row = data_of(tmp_path / "report.html")["rows"][0]
    assert list(row["cells"][1]["numbers"]) == ["follows_chain.exact_match"]


def test_cells_of_several_studies_do_not_mix(tmp_path):
    """A coordinate that only some jobs have is "-" for the others, and a cell is from those jobs that measured it."""
    make(tmp_path, scores=(0.5, 0.5), overrides=("study=degradation", "study=recovery"))
    for number in (2, 3):
        change_records(tmp_path / str(number), lambda text: text.replace('"at": {', '"at": {"rows": 5, '))
    assert word("report")([str(tmp_path)]) == 0
    rows = data_of(tmp_path / "report.html")["rows"]
    assert len(rows) == 4
    assert {tuple(row["variant"]) for row in rows} == {
        ("study=degradation", "rows=-"),
        ("study=recovery", "rows=5.0"),
    }
    assert {tuple(cell["jobs"]) for row in rows for cell in row["cells"]} == {(0, 1), (2, 3)}
    assert all(cell["numbers"]["full.exact_match"][3] == 2 for row in rows for cell in row["cells"])


def test_what_moved_beyond_its_interval(tmp_path):
    """Nine seeds of each, from which a move of .8 can be told."""
    few = tuple(0.02 + 0.01 * seed for seed in range(9))
    before, after = make(tmp_path / "a", few), make(tmp_path / "b", few, moved=0.8)
    assert word("compare")([str(before), str(after)]) == 0
    data = data_of(after / "compare.html")
    cell = data["rows"][0]["cells"][1]
    moved, low, high = cell["numbers"]["full.exact_match"][6:]
    old = np.array([few])
    (least,), (most,) = difference(old + 0.8, old)
    assert (moved, low, high) == (pytest.approx(0.8), pytest.approx(least, abs=1e-3), pytest.approx(most, abs=1e-3))
    assert 0 < low < 0.8 < high
    still = data["rows"][0]["cells"][0]["numbers"]["full.exact_match"][6:]
    assert still[0] == 0
    assert still[1] < 0 < still[2]
    assert data["findings"][0].startswith("Of 3 cells that both have, 2 moved in exact match")
    assert data["findings"][1].startswith("task +1 [level 1]: +0.80 [+0.")


def test_three_seeds_of_each_cannot_show_that_a_cell_moved(tmp_path):
    before, after = make(tmp_path / "a", (0.0, 0.0, 0.0)), make(tmp_path / "b", (1.0, 1.0, 1.0))
    assert word("compare")([str(before), str(after)]) == 0
    data = data_of(after / "compare.html")
    moved, low, high = data["rows"][0]["cells"][1]["numbers"]["full.exact_match"][6:]
    assert (moved, high) == (1, 1)
    assert low < 0
    assert data["findings"][0] == (
        "Of 3 cells that both have, 0 moved in exact match so that the 95 % interval of the difference leaves zero "
        "out, which three seeds of each cannot show."
    )


def test_what_is_new_among_the_executed_or_means_another_thing_is_told(tmp_path):
    before, after = make(tmp_path / "a"), make(tmp_path / "b")
    for number in range(3):
        change_records(
            after / str(number),
            lambda text: text.replace('"metric": "F1"', '"metric": "F9"').replace('"level 1"', '"F3F3"'),
        )
    assert word("compare")([str(before), str(after)]) == 0
    cell = data_of(after / "compare.html")["rows"][0]["cells"][1]
    assert cell["numbers"]["executed.F9"][6] == pytest.approx(2 / 3, abs=1e-3)
    assert (cell["was"], cell["setting"]) == ("level 1", "F3F3")
    assert all(-1 <= end <= 1 for its in cell["numbers"].values() if len(its) > 6 for end in its[7:])


def test_one_seed_moves_without_an_interval(tmp_path):
    before, after = make(tmp_path / "a", (0.1,)), make(tmp_path / "b", (0.9,))
    assert word("compare")([str(before), str(after)]) == 0
    said = data_of(after / "compare.html")["findings"]
    assert said[0].endswith("3 have no interval, as too few seeds have none.")
    assert said[1] == "task +1 [level 1]: +0.80"


def test_two_that_share_no_cell_are_refused(tmp_path, capsys):
    before = make(tmp_path / "a", overrides=("model.width=8", "model.width=16"))
    after = make(tmp_path / "b")
    assert word("compare")([str(before), str(after)]) == 1
    assert "the first sweeps model.width and the second does not" in capsys.readouterr().err
    table = read_results(after).table
    with pytest.raises(ValueError, match="no cell in common"):
        differences(table.assign(axis="steps"), table)
    assert not (after / "compare.html").exists()


@pytest.mark.parametrize("words", [["nowhere"], [], ["a", "b", "c"], ["--colour"]])
def test_a_mistake_is_answered_in_a_sentence(words, capsys):
    try:
        code = word("report")(words)
    except SystemExit as stop:
        code = stop.code
    assert code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_large_sweep_has_a_small_page(tmp_path):
    """300 cells of three seeds: 100 variants at three cells each. Seconds are printed, not tested."""
    make(
        tmp_path,
        overrides=[f"model.width={n}" for n in range(100)],
        text="N O P Q [F2] <answer> A B C D",
        rows_each=2000,
    )
    begun = time.perf_counter()
    assert word("report")([str(tmp_path)]) == 0
    size = (tmp_path / "report.html").stat().st_size
    print(f"{time.perf_counter() - begun:.1f} s, {size / 1e6:.1f} MB")
    assert size < 5e6
    assert sum(len(row["cells"]) for row in data_of(tmp_path / "report.html")["rows"]) == 300


def test_a_page_of_nothing_is_a_page():
    assert "<title>empty" in page({"title": "empty", "caption": [], "failed": [], "findings": [], "before": None})
