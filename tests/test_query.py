"""Questions to the cells of many runs."""

import csv

import duckdb
import pytest

from alchemy.query import main, select

COLUMNS = ["axis", "level", "part", "metric", "mean", "low", "high", "seeds"]


@pytest.fixture
def runs(tmp_path):
    """Two sweeps: one over a width, one that stopped without its cells."""
    for name, widths in (("mirage/one", (8, 16)), ("other/two", ())):
        folder = tmp_path / "outputs" / name
        folder.mkdir(parents=True)
        with (folder / "cells.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow([*["model.width"][: len(widths)], *COLUMNS])
            for width in widths or (None,):
                for level in range(30):
                    own = [width] if width else []
                    table.writerow([*own, "length", level, "full", "exact_match", level / 100, "", "", 1])
    (tmp_path / "outputs" / "stopped").mkdir()
    return tmp_path / "outputs"


def test_all_runs_are_one_table(runs, capsys):
    assert select(runs, "true").count("*").fetchall() == [(90,)]
    assert main([str(runs), "--where", 'level = 7 and "model.width" > 8']) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "1 rows"
    assert said[1].split()[-1] == str(runs / "mirage" / "one")
    assert main([str(runs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "90 rows, 40 of them above"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_exported_can_be_read_again(runs, tmp_path, ending):
    file = tmp_path / f"cells.{ending}"
    assert main([str(runs), "--where", "mean >= 0.2", "--export", str(file)]) == 0
    assert duckdb.sql(f"SELECT count(*), min(mean) FROM '{file}'").fetchall() == [(30, 0.2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, "outputs"]), (
        "something was left aside"
    )


def test_a_file_that_is_no_table_is_named(runs, capsys):
    (runs / "stopped" / "cells.csv").write_bytes(b'\xff\xfe,,\n"')
    assert main([str(runs)]) == 1
    assert f"{runs / 'stopped' / 'cells.csv'} is no table" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere holds no cells.csv"),
        (["{runs}", "--where", "lenght = 1"], "cannot be answered"),
        (["{runs}", "--where", "level ="], "cannot be answered"),
        (["{runs}", "--export", "cells.xlsx"], "must end in .parquet or .csv"),
        (["{runs}", "--export", "nowhere/cells.csv"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(runs, capsys, words, said):
    assert main([word.format(runs=runs) for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("alchemy: ")
    assert said in error
    assert error.count("\n") == 1
