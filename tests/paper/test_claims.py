"""The paper's claims: every printed number has a row, every row a cell that some experiment measures, and a verdict."""

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir

from alchemy.data.shift import describe
from alchemy.paper.claims import VERDICTS, claims, judge, perfect, summary, write_claims
from alchemy.paper.figures import FIGURES, draw_figure
from alchemy.paper.replicate import MINUTES
from alchemy.results.digests import seal, write_json
from alchemy.results.jobs import proof_of
from alchemy.results.records import write_records
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF
from tests.helpers.made import RUN

PUBLISHED = pd.read_csv(CONF / "claims.csv", dtype={"x": str}, keep_default_na=False, na_values={"published": ""})
STUDIED = ("rows=", "share=")  # coordinates of a study, not settings


def test_every_printed_number_of_the_tables_has_a_row():
    printed = PUBLISHED[PUBLISHED["kind"] == "printed"].groupby("where").size()
    assert printed["Table 1"] == 4 * 3 * 2  # scenarios, metrics, and two train and test pairs of each
    assert printed["Table 2"] == 4 * 2 * 3  # pairs, metrics, parts
    assert printed["Table 3"] == 4 * 3 * 3
    assert printed["Table 4"] == 5 * 3 * 3
    assert printed["Table 5 (external)"] == printed["Table 1"]
    cells = ["where", "series", "x", "part", "metric"]
    assert not PUBLISHED.duplicated(cells).any()


@pytest.mark.parametrize("name", MINUTES)
def test_every_claim_has_a_cell_of_its_experiment(name):
    """Each experiment is composed with the claim's settings, and has a shift and level of that name."""
    mine = PUBLISHED[PUBLISHED["experiment"] == name]
    assert len(mine), f"{name} measures no claim"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        swept = compose("config", [f"experiment=paper/{name}"], return_hydra_config=True).hydra.sweeper.params
        settings = mine["variant"].map(
            lambda variant: tuple(word for word in variant.split(";") if word and not word.startswith(STUDIED))
        )
        for words, rows in mine.groupby(settings):
            for word in words:
                key, _, value = word.partition("=")
                assert value in str(swept[key]), f"{word} is not swept by {name}"
                assert value != str(swept[key]), f"{key} has one value in {name}, so it is no column of its cells"
            todo = plan(compose("config", [f"experiment=paper/{name}", *words]))
            known = {
                (
                    f"format {shift.kind} {shift.domain}" if shift.axis == "format" else shift.axis,
                    describe(todo.task, shift.at(todo.task, level)),
                )
                for shift in todo.shifts
                for level in shift.levels
            }
            assert set(zip(rows["shift"], rows["setting"], strict=True)) <= known, words


def test_every_experiment_of_the_paper_is_run():
    files = {path.stem for path in (CONF / "experiment" / "paper").glob("*.yaml")}
    assert files == {*MINUTES, "base"}


CLAIM = {
    **{"where": "Table 1", "series": "CMP", "x": "", "experiment": "tasks", "variant": "task.training=[F1F1]"},
    **{"shift": "composition", "setting": "F2F2", "part": "full", "metric": "edit_distance"},
    **{"published": 0.1326, "kind": "printed", "within": 0.00005, "note": ""},
}


def known(mean, low, high, gold=0.0, seeds=3, **others):
    """Cells of one experiment: the claimed one, and what else is asked of the same place."""
    values = {("full", "edit_distance"): (mean, low, high), ("replay_full", "edit_distance"): (0.1325, 0.13, 0.14)}
    values |= {("diagnosis", kind): (share, share, share) for kind, share in others.items()}
    values |= {("replay", "rate"): (0.25, 0.1, 0.4), ("replay_full", "exact_match"): (gold, gold, gold)}
    numbers = {place: dict(zip(("mean", "low", "high"), its, strict=True)) for place, its in values.items()}
    settings = {"seed=x", "task.training=[F1F1]"}
    return {
        "tasks": {
            ("composition", "F2F2", *place): [
                ({"task.training=[F2]"}, {}),
                (settings, its | {"seeds": seeds, "early": ""}),
            ]
            for place, its in numbers.items()
        }
    }


def test_a_published_number_inside_the_interval_agrees():
    judged = judge(dict(CLAIM), known(0.14, 0.12, 0.16))
    assert (judged["verdict"], judged["ours"], judged["oracle"], judged["seeds"]) == ("agrees", 0.14, 0.1325, 3)
    assert judge(dict(CLAIM), known(0.14, 0.13264, 0.16))["verdict"] == "agrees"  # as exactly as it is printed
    assert judge(dict(CLAIM), known(0.1326, np.nan, np.nan))["verdict"] == "agrees"  # one seed


def test_an_interval_that_holds_nearly_everything_agrees_with_nothing():
    judged = judge(dict(CLAIM), known(0.3, 0.05, 0.6))
    assert judged["verdict"] == "not comparable"
    assert "differ too much" in judged["reason"]


def test_one_outside_differs_and_the_reason_is_what_was_measured():
    judged = judge(dict(CLAIM), known(0.2, 0.18, 0.22, right=0.0, wrong_step=0.7, replayed=0.3))
    assert judged["verdict"] == "differs"
    assert "published is what pure replay scores; ours replay in 25 % [10, 40]" in judged["reason"]
    assert "replayed 30 % [30, 30], wrong step 70 % [70, 70]" in judged["reason"]
    simply_right = judge(dict(CLAIM), known(0.2, 0.18, 0.22, gold=1.0))
    assert "replay" not in simply_right["reason"]


def test_one_seed_cannot_differ():
    judged = judge(dict(CLAIM), known(0.2, 0.18, 0.22, seeds=1, wrong_step=1.0))
    assert judged["verdict"] == "not comparable"
    assert judged["reason"].startswith("one seed, and others may differ; ")
    assert "ours are wrong step 100 %" in judged["reason"]
    assert judge(dict(CLAIM), known(0.1326, 0.13, 0.14, seeds=1))["verdict"] == "agrees"


def test_what_cannot_be_compared_says_why():
    assert judge({**CLAIM, "experiment": "", "note": "needs a GPU"}, {})["reason"] == "needs a GPU"
    assert "run make paper" in judge(dict(CLAIM), {})["reason"]
    unread = judge({**CLAIM, "published": np.nan}, known(0.2, 0.18, 0.22))
    assert unread["verdict"] == "not comparable"
    assert unread["ours"] == 0.2


PERFECT = {  # section 12.1 of the notes on the released code: exact match and edit distance of a model that is right
    "insert": [(0.747, 0.156), (0.533, 0.314), (0.366, 0.459), (0.253, 0.578), (0.181, 0.670), (0.120, 0.753)],
    "hybrid": [(0.819, 0.109), (0.659, 0.217), (0.520, 0.322), (0.412, 0.421), (0.325, 0.501), (0.260, 0.573)],
    "delete": [(1, 0)] * 6,
}


@pytest.mark.parametrize("kind", PERFECT)
def test_a_perfect_model_under_the_released_scorer(kind):
    for level, (exact, distance) in enumerate(PERFECT[kind], 1):
        assert perfect(kind, "all", 0.05 * level, "exact_match") == pytest.approx(exact, abs=0.03)
        assert perfect(kind, "all", 0.05 * level, "edit_distance") == pytest.approx(distance, abs=0.03)


def test_a_faulty_source_is_named_with_what_it_would_score():
    row = {**CLAIM, "shift": "format insert all", "setting": "10%", "published": 0.45, "note": "slicing"}
    cell = {"mean": 0.2, "low": 0.1, "high": 0.3, "seeds": 3, "early": ""}
    place = ("format insert all", "10%", "full", "edit_distance")
    judged = judge(row, {"tasks": {place: [({"task.training=[F1F1]"}, cell)]}})
    assert judged["verdict"] == "source faulty"
    assert f"{judged['perfect']:.3f}" in judged["reason"]
    assert (
        judge({**row, "published": 0.05}, {"tasks": {place: [({"task.training=[F1F1]"}, cell)]}})["verdict"]
        == "differs"
    )


@pytest.fixture
def table(tmp_path):
    """Claims of one small finished sweep."""
    at = {"kind": "-", "domain": "-", "level": 8, "seeds": 3, "count": 9, "lowest": 0, "highest": 1}
    rows = [
        {"task.training": "[F1F1]", "axis": "composition", **at, "part": part, "metric": metric, "mean": 0.3}
        | {"low": 0.29, "high": 0.31, "setting": "F2F2"}
        for part in ("full", "chain", "answer", "replay_full")
        for metric in ("exact_match", "edit_distance", "bleu_corpus")
    ]
    order = ["task.training", "axis", "kind", "domain", "level", "part", "metric", "mean", "low", "high"]
    pd.DataFrame(rows)[[*order, "seeds", "count", "lowest", "highest", "setting"]].to_csv(
        tmp_path / "cells.csv", index=False
    )
    (tmp_path / "0").mkdir()
    run = RUN | {"overrides": [], "reached": False, "rows": 1000, "exact_match": 0.5}
    write_json(tmp_path / "0" / "run.json", run | {"records": write_records(tmp_path / "0" / "records.jsonl", [])})
    seal(tmp_path / "cells.csv", proof_of(tmp_path))
    return claims({"tasks": tmp_path})


def test_a_whole_table(table, tmp_path):
    assert len(table) == len(PUBLISHED)
    assert set(table["verdict"]) <= set(VERDICTS)
    mine = table[(table["series"] == "OOD: F1F1 to F2F2") & (table["metric"] == "edit_distance")].iloc[0]
    assert (mine["verdict"], mine["ours"]) == ("agrees", 0.3)
    other = table[(table["series"] == "OOD: F1F1 to F2F2") & (table["metric"] == "exact_match")].iloc[0]
    assert other["verdict"] == "differs"
    assert "training ended after 1,000 rows with 0.50 right" in other["reason"]
    assert summary(table).loc["Table 1", "agrees"] >= 1
    table.loc[0, "reason"] = "<img onerror=x>"
    page = write_claims(table, tmp_path)
    assert "<img onerror" not in page.read_text()
    assert "&lt;img onerror" in page.read_text()
    assert len(pd.read_csv(tmp_path / "claims.csv")) == len(table)
    assert (tmp_path / "claims.md").read_text().count("\n| Table 4 |") == 45 + 1


@pytest.mark.slow
def test_every_figure_is_drawn_from_the_claims(tmp_path):
    """Every table and figure of the paper has a picture, and each can be drawn."""
    rng = np.random.default_rng(0)
    table = PUBLISHED.assign(ours=rng.random(len(PUBLISHED)), oracle=0.5, perfect=np.nan)
    table = table.assign(low=table["ours"] - 0.1, high=table["ours"] + 0.1)
    drawn = {where for wheres, *_ in FIGURES.values() for where in wheres.split(";")}
    assert drawn == {where for where in PUBLISHED["where"] if "external" not in where}
    files = draw_figure(table, tmp_path)
    assert {path.stem for path in files} == set(FIGURES)
    for path in files:
        assert path.read_bytes().startswith(b"\x89PNG")
    nothing = table.assign(ours=np.nan)
    assert draw_figure(nothing, tmp_path) == []
