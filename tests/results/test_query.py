"""Questions to the cells of many runs: one condition each, right answers or one sentence, labels as they stand."""

import csv
import hashlib
import io
import os
import re
import signal
import threading

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alchemy.results.digests import seal
from alchemy.results.query import LOCKED, refusal, select, typed
from tests.helpers.command import word

COLUMNS = ["axis", "level", "part", "metric", "mean", "low", "high", "seeds"]
HEADER = "train.mark,axis,kind,domain,level,part,metric,mean,low,high,seeds,count,lowest,highest,setting\n"
ROW = "{},length,-,-,0,full,exact_match,0.5,,,1,50,0.5,0.5,4 atoms\n"


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


def labelled(folder, *labels, columns=HEADER):
    """A cells.csv whose swept setting has these values."""
    text = io.StringIO()
    for label in labels:
        csv.writer(text, lineterminator="\n").writerow([label, *ROW.strip().split(",")[1:]])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cells.csv").write_text(columns + text.getvalue(), encoding="utf-8", newline="")
    return folder / "cells.csv"


def answer(capsys, *words):
    code = word("query")([str(word) for word in words])
    said = capsys.readouterr()
    if code:
        assert not said.out
        assert said.err.startswith("alchemy: ")
        assert said.err.count("\n") == 1
        assert len(said.err) < 320
    return code, said.out if code == 0 else said.err


def test_all_runs_are_one_table(runs, capsys):
    assert len(select(runs, "true")) == 90
    assert word("query")([str(runs), "--where", 'level = 7 and "model.width" > 8']) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "1 rows"
    assert said[1].split()[-1] == str(runs / "mirage" / "one")
    assert word("query")([str(runs)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "90 rows, 40 of them above"


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_exported_can_be_read_again(runs, tmp_path, ending):
    file = tmp_path / f"cells.{ending}"
    assert word("query")([str(runs), "--where", "mean >= 0.2", "--export", str(file)]) == 0
    assert duckdb.sql(f"SELECT count(*), min(mean) FROM '{file}'").fetchall() == [(30, 0.2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, "outputs"]), (
        "something was left aside"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere holds no cells.csv"),
        (["{runs}", "--where", "lenght = 1"], "cannot be answered"),
        (["{runs}", "--where", "level ="], "cannot be answered"),
        (["{runs}", "--export", "cells.xlsx"], "must end in .parquet or .csv"),
        (["{runs}", "--export", "nowhere/cells.csv"], "there is no folder nowhere"),
        (["{runs}", "--export", "{runs}/cells.csv"], "would stand for a run"),
        (["{runs}", "--export", "{runs}/mirage/one/cells.csv"], "would stand for a run"),
        (["{runs}", "--export", "{runs}/../folder.csv"], "is there and is no file"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(runs, capsys, words, said):
    (runs.parent / "folder.csv").mkdir()
    before = sorted(runs.parent.rglob("*"))
    code, error = answer(capsys, *(word.format(runs=runs) for word in words))
    assert code == 1
    assert said in error
    assert sorted(runs.parent.rglob("*")) == before


MORE = [  # than one condition; on each line another way
    "false UNION ALL BY NAME SELECT content AS metric FROM read_text('/etc/passwd')",
    "true) UNION ALL BY NAME SELECT content AS metric FROM read_text('/etc/passwd') WHERE (true",
    "true; COPY (SELECT 42) TO 'pwned.csv'; SELECT 1",
    "true); COPY (SELECT 42) TO 'pwned.csv'; SELECT (1",
    "true; ATTACH 'x.db'; CREATE TABLE a (b INT)",
    "INSTALL httpfs",
    "PRAGMA database_list",
    "true; SET threads = 4",
    "true ORDER BY mean",
    "true LIMIT 1",
    "true) ORDER BY (mean",
    "true) LIMIT (1",
    "true) OR (false",
    "true] OR [false",
    "true WHERE false",
    "true) GROUP BY ALL HAVING (true",
    "1=1 FROM cells",
    "SELECT true",
    "FROM cells",
    "level = 0, level = 1",
    "",
    "-- nothing",
    ";",
    "(select count(*) from range(1000000000000)) > 1",
    "len(range(1000000000000)) > 1",
    "exists(from read_text('/etc/passwd'))",
    "exists(from read_csv('outputs/mirage/one/cells.csv'))",
    "exists(from read_parquet('*'))",
    "exists(from glob('/*'))",
    "exists(from 'outputs/mirage/one/cells.csv')",
    "exists(from duckdb_settings())",
    "exists(from information_schema.tables)",
    "exists(from numbers)",
    "exists(from runs)",
    "exists(describe cells)",
    "exists(with recursive t as (select 1 a union all select a + 1 from t) from t where a < 0)",
    "columns(*) is not null",
]
WRONG = [  # conditions that have no answer
    "setting = 4",
    "CAST(part AS INT) > 1",
    "regexp_matches(part, '(')",
    "getenv('HOME') = 'x'",
    "avg(mean) > 0",
    "row_number() over () > 1",
    "mean > ?",
    "mean > (select mean from cells)",
    "error('no') = 1",
    "1",
    "'a'",
    "mean",
    "NULL",
    "*",
    "COLUMNS",
    "csv",
    "axis = '\udc80'",
    "true\0",
    "true /* never closed",
    "'" * 4999,
    "a" * 5000,
]
RIGHT = {
    "true": 90,
    "TRUE -- and more": 90,
    "/* ; ) */ level = 0": 3,
    "part = ';' or part = ')' or part = 'COPY'": 0,
    "part <> '; DROP TABLE cells; --'": 90,
    "mean = NULL": 0,
    "low is null": 90,
    "cells.level = 3": 3,
    "MEAN > 0.285": 3,
    "(level = 1) or (level = 2)": 6,
    "mean = (select max(mean) from cells)": 3,
    "exists(select * from cells c where c.level = cells.level + 29)": 3,
    "axis = $$length$$ and level in (1, 2)": 6,
    '"model.width" is null': 30,
    '"model.width" = 16': 30,
    "\tlevel = 1\r\n": 3,
    " or ".join(f"level = {i}" for i in range(370)): 90,
    "case when level = 1 then true end": 3,
    "run like '%two'": 30,
}


def test_where_takes_one_condition_and_nothing_else_is_executed():
    with duckdb.connect(config=LOCKED) as lab:
        for where in MORE:
            assert refusal(lab, where), where
        for where in RIGHT:
            assert not refusal(lab, where), where


@pytest.mark.parametrize("where", MORE[::4])
def test_more_than_a_condition_is_refused_in_a_sentence(runs, capsys, monkeypatch, where):
    monkeypatch.chdir(runs.parent)
    code, said = answer(capsys, runs, f"--where={where}", "--export", "all.csv")
    assert code == 1
    assert "--where takes one condition" in said
    assert [path.name for path in runs.parent.iterdir()] == ["outputs"]


@pytest.mark.parametrize("where", WRONG, ids=range(len(WRONG)))
def test_a_condition_without_an_answer_is_one_sentence(runs, capsys, monkeypatch, where):
    monkeypatch.chdir(runs.parent)
    code, said = answer(capsys, runs, f"--where={where}", "--export", "all.csv")
    assert code == 1
    assert "--where" in said
    assert [path.name for path in runs.parent.iterdir()] == ["outputs"]


@pytest.mark.parametrize("where", RIGHT, ids=range(len(RIGHT)))
def test_a_condition_has_its_answer(runs, where):
    assert len(select(runs, where)) == RIGHT[where]


@pytest.mark.parametrize("where", ["(" * 2400 + "true" + ")" * 2400, "not " * 1240 + "true", "1+" * 2400 + "1 > 0"])
def test_a_huge_condition_is_answered_or_refused(runs, capsys, where):
    code, said = answer(capsys, runs, "--where", where)
    assert "90 rows" in said if code == 0 else "nested too deeply" in said


def test_a_question_that_takes_too_long_can_be_stopped(runs, capsys):
    clock = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGTERM))
    clock.start()
    crossed = ", ".join(f"cells c{i}" for i in range(9))
    code, said = answer(capsys, runs, "--where", f"(select sum(c1.mean + c8.mean) from {crossed}) > 1")
    clock.join()
    assert (code, "stopped" in said) == (1, True)


LABELS = ["null", "NaN", "NA", "", "None", "nan", "-", "007", "1e-05", "true", "[F1F1,F1F2]", "a\nb", 'a"b', "é,ü"]


def test_a_label_is_what_it_says(tmp_path, capsys):
    labelled(tmp_path / "run", *LABELS, "4")
    for label in LABELS:
        found = select(tmp_path / "run", "\"train.mark\" = '{}'".format(label.replace("'", "''")))
        assert found["train.mark"].tolist() == [label]
    for ending in ("csv", "parquet"):
        assert answer(capsys, tmp_path / "run", "--export", tmp_path / f"out.{ending}")[0] == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["train.mark"] for row in csv.DictReader(file)] == [*LABELS, "4"]
    asked = f"SELECT \"train.mark\" FROM read_parquet('{tmp_path / 'out.parquet'}')"
    assert [row[0] for row in duckdb.sql(asked).fetchall()] == [*LABELS, "4"]


def test_null_is_a_label_in_print_and_a_text_is_compared_with_texts(tmp_path, capsys):
    labelled(tmp_path, "null", "0.9")
    code, said = answer(capsys, tmp_path, "--where", "\"train.mark\" = 'null'")
    assert code == 0
    assert said.splitlines()[1].split()[:2] == ["null", "length"]
    assert said.splitlines()[-1] == "1 rows"
    code, said = answer(capsys, tmp_path, "--where", "setting = 4", "--export", tmp_path / "out.csv")
    assert code == 1
    assert "cannot be answered" in said
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("labels", "where", "holds"),
    [
        (["8", "16"], '"train.mark" > 9', ["16"]),
        (["0.5", "0.75"], '"train.mark" > 0.6', ["0.75"]),
        (["0.5", "1"], '"train.mark" > 0.6', ["1"]),
        (["-3", "12"], '"train.mark" < 4', ["-3"]),
        (["007", "7"], "\"train.mark\" = '7'", ["7"]),
        (["0.50", "0.5"], "\"train.mark\" = '0.5'", ["0.5"]),
        (["1e-05", "0.001"], '"train.mark"::double < 0.0005', ["1e-05"]),
        (["12345678901234567890", "1"], "\"train.mark\" <> '1'", ["12345678901234567890"]),
    ],
)
def test_numbers_are_numbers_where_all_values_are(tmp_path, capsys, labels, where, holds):
    labelled(tmp_path / "run", *labels)
    assert answer(capsys, tmp_path / "run", "--where", where, "--export", tmp_path / "out.csv")[0] == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["train.mark"] for row in csv.DictReader(file)] == holds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*LABELS, "1", "1.0", "-0", "+1", "1.", ".5", "１", "inf", "0x1", "1_0"]), min_size=1))
def test_what_is_shown_of_a_column_is_what_was_written(labels):
    import pandas as pd

    column = pd.Series(labels, dtype=pd.StringDtype("python"))
    assert typed("setting", column)[1].tolist() == labels
    shown = typed("train.mark", column)[1].to_frame("own").to_csv(index=False)
    assert shown == column.to_frame("own").to_csv(index=False)


def test_a_setting_that_one_sweep_alone_has_is_empty_in_the_others(runs, tmp_path, capsys):
    assert answer(capsys, runs, "--where", "level = 0", "--export", tmp_path / "out.csv")[0] == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model.width"] for row in rows] == ["8", "16", ""]
    assert [row["level"] for row in rows] == ["0"] * 3
    assert "NaN" not in answer(capsys, runs, "--where", "level = 0")[1]


def test_all_rows_exported_are_the_file_itself(tmp_path, capsys):
    file = labelled(tmp_path / "run", "null", "0.25", "[F1F1,F1F2]")
    assert answer(capsys, tmp_path / "run", "--export", tmp_path / "out.csv")[0] == 0
    lines = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert [line.rpartition(",")[0] for line in lines] == file.read_text(encoding="utf-8").splitlines()


GOOD = HEADER + ROW.format("0.9") + ROW.format("4")
AS_PEOPLE_SAVE_THEM = {
    "mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "windows": GOOD.replace("\n", "\r\n").encode(),
    "both": b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
    "old Mac": GOOD.replace("\n", "\r").encode(),
    "empty lines": GOOD.encode() + b"\n\n",
    "quoted": re.sub(r"[^,\n]+", r'"\g<0>"', GOOD).encode(),
}
NO_TABLE = {
    "binary": b'\xff\xfe,,\n"',
    "UTF-16": GOOD.encode("utf-16"),
    "Latin 1": GOOD.replace("4 atoms", "4 atömes").encode("latin-1"),
    "zeros": b"\0" * 5000,
    "empty": b"",
    "blank": b"\n\n",
    "cut in a line": GOOD.encode()[:-20],
    "cut in a label": GOOD.encode()[:-3],
    "cut in a line, then more": GOOD.encode()[:-20] + b"\n" + ROW.format("4").encode(),
    "one value too many": GOOD.encode() + ROW.format("4,4").encode(),
    "all rows too long": (HEADER + ROW.format("4,4")).encode(),
    "open quotation": GOOD.encode() + ROW.format('"4').encode(),
    "a column twice": HEADER.replace("domain", "kind").encode(),
    "another table": b"name,age\nx,3\n",
    "no number": GOOD.replace(",0.5,,,", ",half,,,").encode(),
    "no level": GOOD.replace(",0,full", ",a,full").encode(),
}


@pytest.mark.parametrize("kind", AS_PEOPLE_SAVE_THEM)
def test_a_table_is_read_as_people_save_it(tmp_path, kind):
    (tmp_path / "cells.csv").write_bytes(AS_PEOPLE_SAVE_THEM[kind])
    found = select(tmp_path, "level = 0 and setting = '4 atoms' and low is null")
    assert [str(label) for label in found["train.mark"]] == ["0.9", "4"]


@pytest.mark.parametrize("kind", NO_TABLE)
def test_a_file_that_is_no_table_is_named(runs, capsys, kind):
    file = runs / "stopped" / "cells.csv"
    file.write_bytes(NO_TABLE[kind])
    code, said = answer(capsys, runs)
    assert code == 1
    assert f"{file} is no table" in said


def test_a_table_of_no_rows_adds_none_and_a_folder_of_its_name_is_named(runs, capsys):
    (runs / "stopped" / "cells.csv").write_text(HEADER)
    assert len(select(runs, "true")) == 90
    assert len(select(runs / "stopped", "mean < 0.5 and \"train.mark\" = 'x'")) == 0
    (runs / "stopped" / "cells.csv").unlink()
    (runs / "stopped" / "cells.csv").mkdir()
    code, said = answer(capsys, runs)
    assert (code, "is no file" in said) == (1, True)


def test_a_table_that_has_changed_since_it_was_written_is_not_asked(tmp_path, capsys):
    file = labelled(tmp_path, "0.9", "4")
    seal(file, "")
    assert len(select(tmp_path, "true")) == 2
    whole = file.read_bytes()
    for changed in (whole.replace(b"0.5", b"0.6", 1), whole[: whole.rindex(b"4,length")], whole + b"\n", b""):
        assert hashlib.sha256(changed).digest() != hashlib.sha256(whole).digest()
        file.write_bytes(changed)
        code, said = answer(capsys, tmp_path)
        assert code == 1
        assert f"{file} has changed since it was written" in said
        assert "alchemy draw" in said
    file.write_bytes(whole)
    for other in (b"{", b"[1]", b"", b'{"sha256": 3}'):
        file.with_suffix(".json").write_bytes(other)
        assert answer(capsys, tmp_path)[0] == 1
    file.with_suffix(".json").unlink()
    assert len(select(tmp_path, "true")) == 2


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_an_export_that_fails_leaves_the_old_file(runs, tmp_path, capsys, monkeypatch, ending):
    """What a full disk does, at the last moment."""

    def full(number):
        raise OSError(28, "No space left on device")

    file = tmp_path / f"out.{ending}"
    file.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    code, said = answer(capsys, runs, "--export", file)
    assert code == 1
    assert f"{file} cannot be used (No space left on device)" in said
    assert file.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([file.name, "outputs"])
