"""docs/testing.md: its examples are run, in order, what they print is what it shows, and it names every law."""

import re

import pytest

from alchemy.testing.laws_of_shifts import SHIFT_LAWS
from alchemy.testing.laws_of_worlds import WORLD_LAWS
from alchemy.testing.learnable import LEARNABLE
from tests.helpers.worlds import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_examples_run_and_print_what_it_shows(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    space = {"__name__": __name__}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M):
        exec(block, space)
    [shown] = re.findall(r"^```text\n(.*?)^```$", PAGE, re.S | re.M)
    assert capsys.readouterr().out == shown
    [marked] = space["test_worlds"].pytestmark
    ids = dict(zip(marked.kwargs["ids"], marked.args[1], strict=True))
    ids["cipher: length: rows are well formed"]()
    ids["cold: narrow: level 0 is training"]()
    space["test_every_row_ends_once"]()


def test_it_names_every_law_in_order():
    told = re.findall(r"^- (.*?)(?: \(.*)?$", PAGE.partition("## The laws")[2], re.M)
    assert told == [law.name for law in (*WORLD_LAWS, LEARNABLE, *SHIFT_LAWS)]
