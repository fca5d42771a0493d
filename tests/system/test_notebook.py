"""The example notebook, run from its first cell to its last in a kernel of its own."""

import base64
import json
import subprocess
import sys

import pytest

from tests.helpers.command import environment
from tests.helpers.worlds import ROOT

NOTEBOOK = ROOT / "examples" / "first.ipynb"
RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
nbformat.write(notebook, "run.ipynb")
"""


def cells(path):
    """The cells of code in a notebook, each with its text and its outputs."""
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def text_of(cell):
    """All that a cell answers, as plain text."""
    return "".join("".join(output.get("data", {}).get("text/plain", "")) for output in cell["outputs"])


def test_the_notebook_is_kept_without_outputs():
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells(NOTEBOOK))


@pytest.mark.slow
def test_the_notebook_runs_and_ends_in_a_picture(tmp_path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    subprocess.run([sys.executable, "-c", RUN, str(NOTEBOOK)], cwd=tmp_path, env=environment(), check=True, timeout=900)
    first, *answered = done = cells(tmp_path / "run.ipynb")
    assert len(done) == len(cells(NOTEBOOK))
    assert not first["outputs"]
    assert all(cell["outputs"] for cell in answered), "a cell has no output"
    assert "outputs/models" in text_of(done[2])
    assert "malformed" in text_of(done[5])
    assert base64.b64decode(answered[-1]["outputs"][0]["data"]["image/png"]).startswith(b"\x89PNG")
    assert list(tmp_path.glob("outputs/models/*/model.safetensors"))
