"""The paper's programme: what it is told, what it runs again, and a real run of one experiment."""

import numpy as np
import pandas as pd
import pytest

from alchemy.__main__ import answer
from alchemy.paper import laws
from alchemy.paper import replicate as paper
from alchemy.results.digests import write_json
from alchemy.results.records import Record, write_records
from tests.helpers.made import RUN


@pytest.mark.parametrize("word", ["fast=true", "quick", "quick=yes", "workers=0", "workers=x", "output="])
def test_a_wrong_setting_is_one_sentence(word, capsys):
    assert answer(["paper", word]) == 1
    said = capsys.readouterr().err
    assert said.startswith("alchemy: ")
    assert said.count("\n") == 1


def test_finished_is_what_ended_well_with_today_s_code(tmp_path):
    home = tmp_path / "tasks"
    (home / "now" / "0").mkdir(parents=True)
    done = home / "done.json"
    assert paper.finished(done, quick=False) is None
    change = {"records": write_records(home / "now" / "0" / "records.jsonl", [])}
    write_json(home / "now" / "0" / "run.json", RUN | change)
    write_json(done, {"key": paper.key("tasks", quick=False), "folder": "now"})
    assert paper.finished(done, quick=False) is None
    (home / "now" / "cells.csv").touch()
    assert paper.finished(done, quick=False) == home / "now"
    assert paper.finished(done, quick=True) is None
    write_json(home / "now" / "0" / "run.json", {"status": "failed", "overrides": [], "error": "no room"})
    assert paper.finished(done, quick=False) is None
    done.write_text("{oops")
    assert paper.finished(done, quick=False) is None


def test_an_experiment_that_fails_is_named_and_the_others_go_on(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(paper, "MINUTES", {"nonsense": 1.0, "oddity": 1.0})
    assert paper.run(["nonsense", "oddity"], quick=True, workers=1, output=str(tmp_path)) == 1
    err = capfd.readouterr().err
    assert "experiment=paper/oddity is not an option" in err
    assert "not finished: nonsense, oddity" in err


@pytest.mark.slow
def test_one_experiment_for_real(tmp_path, capsys):
    """One seed of the noise experiment: trained, measured, judged and drawn; and not run a second time."""
    assert paper.run(["format_kinds"], quick=True, workers=2, output=str(tmp_path)) == 0
    home = tmp_path / "paper_quick"
    table = pd.read_csv(home / "claims.csv")
    mine = table[table["where"] == "Figure 9a (noise kinds)"]
    inserted = mine[mine["series"] == "insert"]["ours"].to_numpy()
    assert 0 < inserted[0] < inserted[-1] < 1
    assert (home / "figure_9a.png").exists()
    assert capsys.readouterr().out.splitlines()[-1] == str(home / "claims.html")
    before = (home / "format_kinds" / "done.json").stat().st_mtime_ns
    assert paper.run(["format_kinds"], quick=True, workers=2, output=str(tmp_path)) == 0
    assert (home / "format_kinds" / "done.json").stat().st_mtime_ns == before


def test_laws_are_fitted_to_every_cell_of_every_seed(tmp_path):
    """A sweep whose exact match falls exponentially with novelty, and whose edit distance is noise."""
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        run = RUN | {"overrides": [f"seed={seed}"], "seed": seed, "reached": True, "exact_match": 1.0}
        rows = []
        for level in range(5):
            at = {"axis": "places", "kind": "-", "domain": "-", "level": level, "setting": str(level), "seed": seed}
            measures = {"novelty": level, "length_gap": 0, "total_variation": level > 0, "alignment": 1 - level / 7}
            rows += [
                Record(name, float(value), 0, 9, at | {"part": "discrepancy"}, "share")
                for name, value in measures.items()
            ]
            scores = {"exact_match": 2.0**-level, "edit_distance": (level * 7 + seed * 3) % 5 / 5}
            rows += [Record(name, value, 0, 9, at | {"part": "full"}, "share") for name, value in scores.items()]
        write_json(folder / "run.json", run | {"records": write_records(folder / "records.jsonl", rows)})
    said = laws.report([tmp_path], tmp_path)
    assert "exponential: kappa = 0.693" in said[0]
    assert "No law fits" in said[1]
    table = pd.read_csv(tmp_path / "laws.csv")
    assert set(table["measure"]) == {"novelty"}
    kappa = table[(table["parameter"] == "kappa") & (table["success"] == "exact_match")].iloc[0]
    assert kappa[["value", "lowest", "highest"]].tolist() == pytest.approx([np.log(2)] * 3, rel=1e-3)  # seeds agree
    assert (tmp_path / "laws.png").read_bytes().startswith(b"\x89PNG")
