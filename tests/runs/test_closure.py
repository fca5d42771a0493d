"""No model and no cell outlives the code that made it: what is digested has every module that decides it, as found from
the imports.
"""

from importlib import import_module

import pytest
from hydra import compose, initialize_config_dir

from alchemy.results.store import MEASURING, TRAINING
from alchemy.runs.plan import plan
from tests.helpers.imports import imports
from tests.helpers.worlds import ROOT

NO_NUMBERS = {  # what is imported and not digested, and why it decides no number
    "alchemy.results.cells": "says where measured cells lie",
    "alchemy.models.compiled": "keeps what was compiled",
    "alchemy.results.digests": "says whether a file is what was written",
    "alchemy.errors": "makes sentences of errors",
    "alchemy.results.files": "writes files whole",
    "alchemy.data.kinds": "says whether what is read is of its kind",
    "alchemy.results.records": "writes down what was measured",
    "alchemy.results.store": "says where trained models lie",
}
STUDIES = [f"alchemy.studies.{path.stem}" for path in sorted((ROOT / "alchemy" / "studies").glob("[!_]*.py"))]
TASKS = [path.stem for path in sorted((ROOT / "conf" / "task").glob("*.yaml"))]


def file_of(name):
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


def closure(*names):
    """These modules of ours, and all that they import, directly or not, wherever in a file it stands."""
    found, more = set(), set(names)
    while more:
        found |= more
        uses = {name for one in more for name, _ in imports(file_of(one)) if name.split(".")[0] in ("alchemy", "tasks")}
        more = {name for name in uses if file_of(name).is_file()} - found
    return found


def test_a_closure_holds_what_is_imported_in_functions_and_from_the_package():
    assert closure("alchemy.data.seeds") == {"alchemy.data.seeds"}
    assert closure("alchemy.data.noise") == {f"alchemy.data.{name}" for name in ("noise", "batch", "vocabulary")}
    assert "alchemy.models.attention_kernels" in closure("alchemy.measures.scores")  # imported where it is used
    assert {"tasks.published", "alchemy.data.task"} < closure("tasks.cipher")


def test_a_model_is_named_for_all_code_that_decides_its_weights():
    assert closure("alchemy.training.fit") - set(TRAINING) <= set(NO_NUMBERS)


def test_a_cell_is_named_for_all_code_that_decides_its_numbers():
    assert closure("alchemy.measures.cell") - set(MEASURING) <= set(NO_NUMBERS)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_names_what_decides_its_numbers_besides(study):
    """Its cells lie under the model's fingerprint, which has the code that trains."""
    own = getattr(import_module(study), "MADE_OF", ())
    assert closure(study) - {study, *MEASURING, *TRAINING, *own} <= set(NO_NUMBERS)


def test_nothing_is_left_out_that_is_not_there():
    assert set(NO_NUMBERS) <= closure(*STUDIES, "alchemy.measures.cell")
    assert not set(NO_NUMBERS) & {*TRAINING, *MEASURING}


@pytest.mark.parametrize("name", TASKS)
def test_a_plan_names_all_modules_of_its_world(name):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", [f"task={name}", "shift.axis=task", "shift.levels=[0]", "model.context=256"])
    worlds = set(plan(cfg).worlds)
    assert worlds
    assert closure(*worlds) - worlds - set(TRAINING) <= set(NO_NUMBERS)
