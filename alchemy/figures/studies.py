"""Pictures (figure.py) and pages (page.py) that a study brings, found by the name of the study."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from alchemy.results.runs import Results

HOOKS = {"figure": "pictures", "page": "page"}  # the function that each file has
OURS = re.compile(r"alchemy\.studies\.[a-z]\w*")


def own(results: Results, name: str) -> ModuleType | None:
    """Module `name` of the study that made these results; None if the study has none, so the general pictures are
    drawn.

    Text in a record is not enough to import a module. The study must be one of the lab's, or one that this process has
    imported already because the user's settings name it.
    """
    study = results.study
    if not (OURS.fullmatch(study) or study in sys.modules):
        return None
    try:
        found = find_spec(f"{study}.{name}")
    except (ImportError, AttributeError, ValueError):  # no such study, or one without files of its own
        return None
    module = import_module(f"{study}.{name}") if found else None
    return module if hasattr(module, HOOKS[name]) else None  # what is no study may have a file of that name
