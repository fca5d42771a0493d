"""Figure 8 after fewer rows: how far curves are from the published ones, by hand."""

import pandas as pd
import pytest

from alchemy.paper import fewer_rows
from alchemy.results.digests import seal, write_json
from alchemy.results.jobs import proof_of
from alchemy.results.records import write_records
from alchemy.runs.settings import CONF
from tests.helpers.made import RUN

CLAIMS = pd.read_csv(CONF / "claims.csv", keep_default_na=False, na_values={"published": ""})
FIGURE_8 = CLAIMS[(CLAIMS["where"] == fewer_rows.FIGURE) & CLAIMS["published"].notna()]


@pytest.fixture
def folder(tmp_path):
    """Curves that are the published ones after 100 rows, and above them after 200: by .1 in seed 0, by .3 in seed 1."""
    made = []
    for rows, above in ((100, (0.0, 0.0)), (200, (0.1, 0.3))):
        for claim in FIGURE_8.to_dict("records"):
            swept = dict(word.split("=", 1) for word in claim["variant"].split(";"))
            values = [claim["published"] + more for more in above]
            made.append(
                swept
                | {"rows": rows, "axis": "composition", "level": 0, "part": "full", "metric": "exact_match"}
                | {"mean": sum(values) / 2, "by_seed": f"0={values[0]} 1={values[1]}", "setting": claim["setting"]}
            )
    table = pd.DataFrame(made).drop_duplicates(["task.training", "task.shares", "rows", "setting"])
    table.to_csv(tmp_path / "cells.csv", index=False)
    (tmp_path / "0").mkdir()
    run = RUN | {"records": write_records(tmp_path / "0" / "records.jsonl", [])}
    write_json(tmp_path / "0" / "run.json", run)
    seal(tmp_path / "cells.csv", proof_of(tmp_path))
    return tmp_path


def test_the_distance_is_the_root_of_the_mean_square(folder):
    first, second = fewer_rows.distances(folder).to_dict("records")
    assert (first["rows"], first["apart"], first["numbers"]) == (100, 0, len(FIGURE_8))
    assert second["apart"] == pytest.approx(0.2)
    assert second["by_seed"] == "0=0.1 1=0.3"


def test_the_sentence_names_where_they_are_nearest(folder, tmp_path):
    said = fewer_rows.write_distances(folder, tmp_path)
    assert said.startswith("Figure 8 after fewer rows: 0.00 from the published curves after 100 rows")
    assert said.endswith("0.20 after 200.")
    assert (tmp_path / "steps_rows.csv").is_file()
