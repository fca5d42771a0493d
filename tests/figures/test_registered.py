"""What pages and summaries say of registrations, on results that no model made."""

import re

import pytest

from alchemy.figures.registered import html, names, sections, summary_of
from alchemy.results.runs import read_results
from alchemy.studies.reasoning_tax import page as tax_page
from tests.helpers.arms import SETTINGS
from tests.helpers.command import word
from tests.helpers.made import TAX, change_records, change_run, make, make_tax
from tests.helpers.registered import forecast, keyed, register

EVIL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A sweep of three seeds whose jobs have their keys, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return keyed(make(tmp_path / "run"))


def lines(folder):
    return {one["title"]: one["lines"] for one in sections(read_results(folder))}


def test_without_registrations_a_page_says_so_and_a_summary_says_nothing(folder):
    found = lines(folder)
    assert found == {"Exploratory": ["none of the 3 jobs here was registered before it was run"]}
    assert summary_of(read_results(folder)) == []


def test_each_page_shows_what_is_registered_and_compares_no_such_thing(folder, capsys):
    register(folder.parent / "registrations" / "two.json", (0, 1, 5), question="Why?")
    assert word("report")([str(folder)]) == 0
    text = (folder / "report.html").read_text(encoding="utf-8")
    for said in ("<h2>Registered</h2>", "2 of 3 jobs are here", "lacking: seed=5 (not in this folder)", "<h2>Explor"):
        assert said in text
    keyed(make(folder.parent / "other", moved=0.1))
    assert word("compare")([str(folder), str(folder.parent / "other")]) == 0
    assert "<h2>Registered</h2>" not in (folder.parent / "other" / "compare.html").read_text(encoding="utf-8")


def test_many_jobs_are_named_only_where_one_lacks(folder, monkeypatch):
    monkeypatch.setattr("alchemy.figures.registered.MANY", 2)
    register(folder.parent / "registrations" / "two.json", (0, 1, 2))
    assert "here, with seeds 0, 1, 2: all of them" in lines(folder)["Registered"]
    register(folder.parent / "registrations" / "two.json", (0, 1, 2, 5))
    assert any("seeds 0, 1, 2: seed=0; seed=1; seed=2" in line for line in lines(folder)["Registered"])


def test_nothing_that_is_registered_is_markup(folder):
    path = folder.parent / "registrations" / "two.json"
    register(path, (0,), question=EVIL, forecasts=[forecast(EVIL, 0.5), forecast(EVIL, 0.5, axis=EVIL)])
    change_run(folder / "1", overrides=[EVIL])
    path.with_name(f"{EVIL.replace('/', '')}.json").write_text("{}")
    assert word("report")([str(folder)]) == 0
    for text in ((folder / "report.html").read_text(encoding="utf-8"), html(sections(read_results(folder)))):
        assert "<img" not in text
        assert "&lt;img" in text


def test_the_scores_of_theories_stand_side_by_side(folder):
    told = [forecast(name, stated, axis="task", level="1") for name, stated in (("half", 0.5), ("low", 0.2))]
    path = folder.parent / "registrations" / "two.json"
    register(path, (0, 1, 2), forecasts=[*told, forecast("moon", 0.5, axis="length")])
    [its] = [one for one in sections(read_results(folder)) if one["title"].startswith("Who was right")]
    assert its["lines"] == ["of no cell that a registered job here has measured: moon, axis length"]
    means, pairs = its["tables"]
    assert [row[0] for row in means["rows"]] == ["half", "low"]
    assert means["rows"][0][3:] == ["0.250", "-0.693", "-0.693", "-0.693", "-0.693"]
    assert pairs["rows"] == [["half", "low", 2, 1, 3, "+0.223"]]  # the mean of .223, -.193 and .639
    assert "  half | low | 2 | 1 | 3 | +0.223" in summary_of(read_results(folder))


def test_forecasts_that_contradict_each_other_cost_their_section_alone(folder):
    told = [forecast("half", 0.5, axis="task", level="1"), forecast("half", 0.7, axis="task", level="1", seed="0")]
    register(folder.parent / "registrations" / "two.json", (0, 1, 2), forecasts=told)
    [its] = [one for one in sections(read_results(folder)) if one["title"].startswith("Who was right")]
    assert its["lines"] == ["the forecasts cannot be scored: half forecasts one cell twice: leave one of its rows out"]


def test_jobs_are_named_by_what_tells_them_apart():
    assert names([("seed=0", "a=1", "b=1"), ("seed=0", "a=2", "b=1")]) == {
        ("seed=0", "a=1", "b=1"): "seed=0 a=1",
        ("seed=0", "a=2", "b=1"): "seed=0 a=2",
    }
    assert names([("seed=0", "b=1")]) == {("seed=0", "b=1"): "seed=0"}
    assert names([()]) == {(): "the defaults"}


# ---- a study with a page and an exclusion rule of its own


@pytest.fixture
def tax(tmp_path, monkeypatch):
    """A made-up sweep of the reasoning tax over seeds 0 to 3, of which 0 to 2 and 4 are registered; no base of theirs
    has all bits.
    """
    monkeypatch.chdir(tmp_path)
    base = {"bits": 0.5}
    folder = make_tax(tmp_path / "run", (0, 1, 2, 3), SETTINGS["predictions"], base=base)
    study = TAX | {"base": base}
    register(
        tmp_path / "registrations" / "tax.json", (0, 1, 2, 4), study,
        predictions=SETTINGS["predictions"], exclusion=base,
    )  # fmt: skip
    return keyed(folder)


def test_the_page_of_the_reasoning_tax_judges_registered_jobs_alone_first(tax):
    results = read_results(tax)
    text = tax_page.page(results)
    assert re.findall(r"<h2>(Predictions.*?|Registered|Exploratory)</h2>", text) == [
        "Registered",
        "Exploratory",
        "Predictions, fixed before the run, and what was found: registered jobs alone",
        "Predictions, fixed before the run, and what was found: all jobs, 1 of them exploratory",
    ]
    for said in ("3 of 4 jobs are here", "lacking: seed=4 (not in this folder)", "what a base must have is bits 0.5"):
        assert said in text
    told = tax_page.tables(results)
    assert told.startswith("registered jobs alone:\n")
    assert "\nall jobs, 1 of them exploratory:\n" in told


def test_what_the_exclusion_rule_leaves_out_is_told_with_the_registration(tax):
    assert tax_page.excluded(read_results(tax)) == {}
    assert not [line for line in lines(tax)["Registered"] if line.startswith("left out")]
    for number in ("0", "2"):
        change_records(tax / number, lambda text: text.replace('"bits", "value": 5.', '"bits", "value": 2.'))
    found = read_results(tax)
    assert set(tax_page.excluded(found)) == {0, 2}
    told = [line for line in lines(tax)["Registered"] if line.startswith("left out by the exclusion rule: ")]
    assert [line.split(": ")[1][:18] for line in told] == ["seed 0 at load 0.1", "seed 2 at load 0.1"]
    assert "of its bits)" in told[0]
    at = {"part": "procedural", "metric": "slow", "step": "0"}
    path = tax.parent / "registrations" / "tax.json"
    register(path, (0, 1, 2), found.good[0]["study"], [forecast("sure", 0.9, **at)],
             predictions=SETTINGS["predictions"], exclusion={"bits": 0.5})  # fmt: skip
    [its] = [one for one in sections(read_results(tax)) if one["title"] == "Who was right: tax"]
    assert its["tables"][0]["head"][-1] == "seed 1", "what is left out counts for no theory"
    assert its["tables"][0]["rows"][0][2] == 1


def test_a_run_with_another_exclusion_rule_than_was_registered_is_exploratory(tax):
    for home in tax.glob("[0-9]"):
        change_run(home, study=TAX | {"base": {"bits": 0.6}})
    found = lines(tax)
    assert found["Exploratory"][0].startswith("run with other predictions or another exclusion rule than those")
    assert "0 of 4 jobs are here" in found["Registered"][0]
