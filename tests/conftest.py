"""Every world in turn, one thread, and what many files of tests ask for."""

import sys

import pytest
import torch

from tests.helpers.worlds import WORLDS


@pytest.fixture(params=list(WORLDS.values()), ids=list(WORLDS))
def task(request):
    return request.param


@pytest.fixture
def cipher():
    return WORLDS["cipher"]


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A module whose import, and whose function, leave a file; returns whether either has been used."""
    (tmp_path / "trap.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'sprung')!r}).touch()\n\ndef spring(*a, **k):\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("trap", None)
    yield lambda: (tmp_path / "sprung").exists() or "trap" in sys.modules
    sys.modules.pop("trap", None)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The table of the sweep of tests/system/test_faults.py, in one process that nothing happens to."""
    from tests.helpers.command import alchemy
    from tests.helpers.sweeps import SWEEP, table

    folder = tmp_path_factory.mktemp("undisturbed")
    done = alchemy(folder, *SWEEP, "workers=1")
    assert done.returncode == 0, done.stderr
    return table(folder, done)
