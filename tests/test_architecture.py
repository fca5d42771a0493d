"""The arrows of the README's map, checked from the imports: down only, and what is heavy where it belongs."""

import ast
from itertools import chain

import pytest

from tests.conftest import ROOT

ALLOWED = {  # what each module of alchemy may import of the others
    "seeds": set(),
    "vocabulary": set(),
    "progress": set(),
    "statistics": {"seeds"},
    "errors": set(),
    "kinds": set(),
    "files": set(),
    "jsonlines": set(),
    "digests": {"files"},
    "compiled": set(),
    "records": {"files", "query", "statistics"},  # query is its command
    "runs": {"digests", "kinds", "records"},
    "query": {"digests", "errors", "files", "runs"},
    "tokenizer": {"batch", "vocabulary"},
    "kernels": {"compiled"},
    "attention": {"kernels"},
    "model": {"attention", "tokenizer"},
    "batch": {"vocabulary"},
    "noise": {"batch", "vocabulary"},
    "task": {"batch", "noise", "tokenizer", "vocabulary"},
    "shift": {"noise", "task"},
    "replay": {"batch", "seeds", "task", "vocabulary"},
    "maps": {"task"},
    "diagnosis": {"task"},
    "trace": {"batch", "task", "vocabulary"},
    "diagnose": {"batch", "diagnosis", "maps", "task", "trace", "vocabulary"},
    "discrepancy": {"batch", "seeds", "task", "vocabulary"},
    "score": {"vocabulary", "kernels"},
    "evaluate": {"model", "batch", "vocabulary"},
    "policy": {"batch", "vocabulary"},
    "trainable": {"model"},
    "likelihood": {"batch", "evaluate", "model", "vocabulary"},
    "knowledge": {"batch", "diagnose", "evaluate", "likelihood", "model", "statistics", "task", "vocabulary"},
    "information": {"batch", "likelihood", "model", "task", "trace", "vocabulary"},
    "lessons": {
        "batch",
        "diagnose",
        "evaluate",
        "likelihood",
        "model",
        "pieces",
        "policy",
        "task",
        "train",
        "vocabulary",
    },
    "restore": {"model", "trainable"},
    "forgetting": {
        "batch",
        "cells",
        "diagnose",
        "evaluate",
        "information",
        "knowledge",
        "lessons",
        "likelihood",
        "model",
        "restore",
        "seeds",
        "statistics",
        "task",
        "trace",
    },
    "pieces": {"batch", "evaluate", "model", "vocabulary"},
    "train": {"evaluate", "model", "pieces", "task", "batch", "seeds"},
    "measure": {
        "batch",
        "diagnose",
        "diagnosis",
        "discrepancy",
        "evaluate",
        "maps",
        "model",
        "records",
        "replay",
        "score",
        "seeds",
        "shift",
        "statistics",
        "cells",
        "task",
        "vocabulary",
    },
    "store": {"digests", "files", "kinds"},
    "cells": {"digests", "files", "kinds", "task"},
    "track": {"errors"},
    "heatmap": {"lettering"},
    "bars": {"lettering"},
    "curves": {"lettering"},
    "fits": {"seeds"},
    "phase": {"curves", "fits", "lettering"},
    "lettering": set(),
    "results": {"errors", "records", "runs"},
    "contrast": set(),
    "predictions": {"contrast", "kinds"},
    "tax": {"contrast", "predictions", "results"},
    "verdicts": {"contrast", "predictions", "tax"},
    "tax_style": {"contrast", "lettering", "tax"},
    "tax_panels": {"contrast", "lettering", "tax", "tax_style", "verdicts"},
    "tax_figure": {"contrast", "lettering", "tax", "tax_panels", "tax_style", "verdicts"},
    "tax_page": {"files", "results", "tax", "verdicts"},
    "findings": {"bars", "records"},
    "compare": {"findings", "records", "statistics"},
    "examples": {"cells", "digests", "results"},
    "report": {
        "bars",
        "compare",
        "errors",
        "examples",
        "files",
        "findings",
        "heatmap",
        "records",
        "results",
        "tax",
        "tax_page",
    },
    "figures": {
        "bars",
        "curves",
        "digests",
        "lettering",
        "errors",
        "files",
        "heatmap",
        "phase",
        "records",
        "report",
        "results",
        "runs",
        "tax",
        "tax_figure",
        "tax_page",
    },
    "laws": {"errors", "figures", "files", "fits", "records", "runs"},
    "plates": {"errors", "figures", "lettering"},
    "claims": {
        "diagnosis",
        "digests",
        "files",
        "interop",
        "noise",
        "runs",
        "score",
        "seeds",
        "settings",
        "task",
        "vocabulary",
    },
    "paper": {"claims", "digests", "errors", "laws", "plan", "plates", "runs", "settings", "store"},
    "released": {"jsonlines", "score"},
    "huggingface": {"batch", "digests", "errors", "vocabulary"},
    "checkpoint": {"files", "model", "vocabulary"},
    "harness": {"batch", "files", "seeds", "shift", "task", "vocabulary"},
    "interop": {
        "__main__",  # for its words on a mistaken setting
        "batch",
        "build",
        "checkpoint",
        "errors",
        "evaluate",
        "harness",
        "files",
        "plan",
        "released",
        "seeds",
        "settings",
        "store",
        "targets",
        "vocabulary",
    },
    "targets": {"kinds", "task", "train"},
    "hydra_settings": {"kinds", "targets"},
    "settings": {"hydra_settings", "kinds", "shift", "targets"},
    "build": {"targets", "task", "tokenizer"},
    "plan": {
        "build",
        "digests",
        "kinds",
        "noise",
        "predictions",
        "seeds",
        "settings",
        "shift",
        "store",
        "targets",
        "task",
        "track",
    },
    "run": {
        "cells",
        "digests",
        "errors",
        "files",
        "plan",
        "records",
        "runs",
        "shift",
        "task",
        "seeds",
        "settings",
        "model",
        "progress",
        "provenance",
        "store",
        "track",
        "train",
    },
    "workers": {"errors"},
    "cluster": {"workers"},
    "provenance": set(),
    "sweep": {"digests", "errors", "figures", "kinds", "plan", "records", "run", "runs", "settings"},
    "rerun": {"digests", "errors", "plan", "provenance", "run", "runs", "settings", "targets"},
    "__main__": {"errors", "rerun", "run", "settings", "targets"},
    "__init__": set(),
}
STUDIES = {
    "batch",
    "cells",
    "evaluate",
    "forgetting",
    "knowledge",
    "lessons",
    "measure",
    "model",
    "policy",
    "records",
    "seeds",
    "shift",
    "store",
    "task",
    "train",
    "trainable",
}
HYDRA = {"__main__", "build", "hydra_settings", "interop", "plan", "rerun", "run", "settings", "sweep", "targets"}
NO_TORCH = {
    "lettering",
    "kinds",
    "files",
    "jsonlines",
    "digests",
    "runs",
    "cells",
    "targets",
    "hydra_settings",
    "settings",
    "track",
    "errors",
    "seeds",
    "vocabulary",
    "progress",
    "records",
    "query",
    "batch",
    "noise",
    "statistics",
    "tokenizer",
    "task",
    "shift",
    "replay",
    "maps",
    "diagnosis",
    "trace",
    "diagnose",
    "discrepancy",
    "score",
    "heatmap",
    "bars",
    "curves",
    "fits",
    "phase",
    "results",
    "contrast",
    "predictions",
    "tax",
    "verdicts",
    "tax_style",
    "tax_panels",
    "tax_figure",
    "tax_page",
    "findings",
    "compare",
    "examples",
    "report",
    "figures",
    "laws",
    "plates",
    "claims",
    "paper",
    "harness",
    "interop",
    "released",
}
MODULES = sorted((ROOT / "alchemy").glob("*.py"))


def imports(path):
    """Dotted names of everything that a file imports, anywhere in it, with line numbers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "alchemy":
                yield from ((f"alchemy.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_arrows_go_down(path):
    assert path.stem in ALLOWED, f"{path.name} is not in the map: give it a place"
    for name, line in imports(path):
        assert not name.startswith("tasks"), f"{path}:{line} the lab knows a world by name"
        if name.startswith("alchemy."):
            assert name.split(".")[1] in ALLOWED[path.stem], f"{path}:{line} imports {name}"
        if name.split(".")[0] in ("hydra", "omegaconf"):
            assert path.stem in HYDRA, f"{path}:{line} knows Hydra"
        if name.split(".")[0] == "torch":
            assert path.stem not in NO_TORCH, f"{path}:{line} imports torch"


@pytest.mark.parametrize("path", sorted((ROOT / "alchemy" / "studies").glob("*.py")), ids=lambda path: path.stem)
def test_studies_stand_on_the_core_alone(path):
    for name, line in imports(path):
        assert not name.startswith("alchemy.studies"), f"{path}:{line} a study imports a study"
        if name.startswith("alchemy."):
            assert name.split(".")[1] in STUDIES, f"{path}:{line} imports {name}"
        assert name.split(".")[0] not in ("seaborn", "matplotlib", "hydra", "omegaconf", "tasks"), f"{path}:{line}"


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=lambda path: path.stem)
def test_worlds_stand_on_the_nouns_alone(path):
    for name, line in imports(path):
        top, *rest = name.split(".")
        assert top not in ("torch", "hydra", "pandas", "scipy"), f"{path}:{line} a world is numpy only"
        if top == "alchemy":
            assert rest[0] in ("batch", "jsonlines", "task", "vocabulary"), f"{path}:{line} imports {name}"


def test_files_stay_small():
    for path in chain(MODULES, (ROOT / "alchemy").glob("*/*.py"), (ROOT / "tasks").glob("*.py")):
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= 400, f"{path} has {lines} lines"


def test_the_map_names_every_module():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in MODULES:
        assert path.name in readme or path.stem == "__init__", f"{path.name} is not in the README's map"
