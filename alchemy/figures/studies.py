"""What a study brings of its own: its pictures (figure.py) and its page (page.py), found by the name of the study."""

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from alchemy.results.runs import Results

OURS = re.compile(r"alchemy\.studies\.[a-z]\w*")


def own(results: Results, name: str) -> ModuleType | None:
    """The module `name` of the study that these results are of; None if it has none, and the general one does.

    A record alone imports nothing: the study is one of the lab's, or one that this process has imported already, since
    the user's settings name it.
    """
    study = results.study
    if not (OURS.fullmatch(study) or study in sys.modules):
        return None
    try:
        found = find_spec(f"{study}.{name}")
    except (ImportError, AttributeError, ValueError):  # no such study, or one without files of its own
        return None
    return import_module(f"{study}.{name}") if found else None
