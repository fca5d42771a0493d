"""Registrations: what is one, and which results were registered in time."""

import json
import shutil

import pytest

from alchemy.results.digests import Damaged, read_json, write_json
from alchemy.results.registrations import (
    LATE,
    NOT_REGISTERED,
    OTHERWISE,
    TRAINED_BEFORE,
    account,
    key_in,
    only,
    read_registration,
)
from alchemy.results.runs import read_results
from tests.helpers.made import change_run, make
from tests.helpers.registered import BEFORE, deciding, keyed, register


@pytest.fixture
def folder(tmp_path):
    """A sweep of three seeds whose jobs have their keys."""
    return keyed(make(tmp_path / "run"))


@pytest.fixture
def known(tmp_path):
    return tmp_path / "registrations"


def standings(folder, known):
    return {one.run["seed"]: one.why or "registered" for one in account(read_results(folder), known).standings}


def test_a_job_is_known_by_what_decides_its_numbers_and_by_nothing_else(folder, known):
    register(known / "two.json", (0, 1))
    assert standings(folder, known) == {0: "registered", 1: "registered", 2: NOT_REGISTERED}
    change_run(folder / "0", overrides=["seed=0", "workers=2"])
    assert standings(folder, known)[0] == "registered"
    change_run(folder / "0", measured_by=deciding(0)["measured_by"] | {"code": "other"})
    assert standings(folder, known)[0] == NOT_REGISTERED, "its key is not that of its settings"


def test_a_run_from_before_there_were_keys_is_exploratory(tmp_path, known):
    register(known / "two.json", (0, 1, 2))
    assert set(standings(make(tmp_path / "old"), known).values()) == {NOT_REGISTERED}
    assert key_in({}) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"began_at": BEFORE}, LATE),
        ({"began_at": "yesterday"}, LATE),
        ({"began_at": None}, LATE),
        ({"trained_at": BEFORE}, TRAINED_BEFORE),
        ({"trained_at": None}, "registered"),  # of a model that is not trained here
        ({"predictions": [{"name": "another"}]}, OTHERWISE),
        ({"study": {"_target_": "alchemy.studies.degradation.run", "count": 10, "base": {"bits": 0.5}}}, OTHERWISE),
        ({"study": {"_target_": "elsewhere.run", "count": 10}}, "registered"),  # a module may move
    ],
)
def test_what_was_not_so_when_it_was_registered_is_exploratory(change, why, folder, known):
    register(known / "all.json", (0, 1, 2))
    change_run(folder / "1", **change)
    assert standings(folder, known) == {0: "registered", 1: why, 2: "registered"}
    found = account(read_results(folder), known)
    lacking = [(job["seed"], reason) for job, reason in found.lacking[found.concerned[0].sha256]]
    assert lacking == ([] if why == "registered" else [(1, why)])


def test_the_earliest_registration_in_time_counts(folder, known):
    register(known / "b.json", (0,), date="2026-01-02T12:00:00+00:00")
    register(known / "a.json", (0,), date="2026-01-02T13:00:00+00:00")
    register(known / "late.json", (0, 1), date="2026-02-01T00:00:00+00:00")
    found = account(read_results(folder), known)
    assert [one.by and one.by.path.stem for one in found.standings] == ["b", None, None]
    assert [one.why for one in found.standings] == ["", LATE, NOT_REGISTERED]


def test_jobs_that_lack_or_failed_are_named_with_the_reason(folder, known):
    register(known / "five.json", (0, 1, 2, 3, 4))
    write_json(folder / "1" / "run.json", {"overrides": ["seed=1"], "status": "failed", "error": "was killed"})
    change_run(folder / "2", status="failed", error="diverged")
    shutil.copytree(folder / "0", folder / "3")
    change_run(folder / "3", **deciding(3), seed=3, overrides=["seed=3"])
    found = account(read_results(folder), known)
    lacking = {job["seed"]: why for job, why in found.lacking[found.concerned[0].sha256]}
    assert lacking == {1: "failed: was killed", 2: "failed: diverged", 4: "not in this folder"}
    assert [one.run["seed"] for one in found.registered()] == [0, 3]


def test_jobs_that_differ_in_what_decides_no_number_are_told_apart(folder, known):
    path = register(known / "labels.json", (0,))
    content = read_json(path)
    [job] = content["jobs"]
    labelled = job | {"words": ["seed=0", "study.label=x"], "study": job["study"] | {"label": "x"}}
    write_json(path, content | {"jobs": [job, labelled]})
    found = account(read_results(folder), known)
    assert [one.run["seed"] for one in found.registered()] == [0]
    assert [job["words"] for job, _ in found.lacking[found.concerned[0].sha256]] == [["seed=0", "study.label=x"]]
    change_run(folder / "0", study=labelled["study"])
    found = account(read_results(folder), known)
    assert [job["words"] for job, _ in found.lacking[found.concerned[0].sha256]] == [["seed=0"]]


def test_a_registration_of_other_jobs_says_nothing_here(folder, known):
    register(known / "others.json", (7, 8))
    found = account(read_results(folder), known)
    assert (found.concerned, found.damaged) == ((), ())
    assert len(found.exploratory) == 3
    assert account(read_results(folder), known / "nowhere").exploratory


@pytest.mark.parametrize("key", ["date", "seeds", "jobs", "predictions", "commit"])
def test_a_registration_that_has_changed_counts_for_nothing(key, folder, known):
    path = register(known / "all.json", (0, 1, 2))
    content = json.loads(path.read_text())
    content[key] = content[key][:-1] if len(content[key]) else ["x"]
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match="has changed since it was written"):
        read_registration(path)
    found = account(read_results(folder), known)
    assert len(found.exploratory) == 3
    assert len(found.damaged) == 1


def test_a_file_with_a_right_checksum_must_still_be_a_registration(known):
    path = register(known / "all.json", (0, 1))
    content = read_json(path)
    wrong = [
        ({"jobs": [content["jobs"][0] | {"key": "0" * 64}]}, "not those of its key"),
        ({"jobs": [content["jobs"][0] | {"settings": {"seed": 9}}]}, "not those of its key"),
        ({"date": "some day"}, "has no date"),
        ({"jobs": "none"}, "is no registration"),
    ]
    for change, said in wrong:
        write_json(path, content | change)
        with pytest.raises(Damaged, match=said):
            read_registration(path)
    write_json(path, content)
    assert read_registration(path).sha256[:12] in read_registration(path).name


def test_results_can_be_narrowed_to_some_jobs(folder):
    narrow = only(read_results(folder), [1])
    assert [*narrow.good] == [1]
    assert set(narrow.table["seed"]) == {1}
    assert set(narrow.cells["seeds"]) == {1}
