"""The compiler's files: damaged ones are compiled anew, to the same bits."""

import os
import subprocess
import sys

import numpy as np
import pytest

from alchemy.models.attention_kernels import rename
from alchemy.models.compiled import CheckedFiles, keep_checked
from tests.helpers.command import environment
from tests.helpers.worlds import ROOT


@pytest.fixture
def files(tmp_path):
    return CheckedFiles(cache_path=str(tmp_path), filename_base="f", source_stamp=(1, 2))


def test_what_is_kept_comes_back(files, tmp_path):
    files.save("key", {"code": b"x"})
    files.save("other", {"code": b"y"})
    again = CheckedFiles(cache_path=str(tmp_path), filename_base="f", source_stamp=(1, 2))
    assert (again.load("key"), again.load("other"), again.load("none")) == ({"code": b"x"}, {"code": b"y"}, None)
    stale = CheckedFiles(cache_path=str(tmp_path), filename_base="f", source_stamp=(1, 3))
    assert stale.load("key") is None


@pytest.mark.parametrize("ending", [".nbi", ".1.nbc"])
@pytest.mark.parametrize("harm", ["empty", "cut", "flip", "garbage", "gone", "folder", "other's"])
def test_what_is_damaged_is_as_good_as_none(files, tmp_path, ending, harm):
    files.save("key", {"code": b"x"})
    files.save("other", {"code": b"y"})
    path = tmp_path / f"f{ending}"
    content = bytearray(path.read_bytes())
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm == "other's":
        path.write_bytes((tmp_path / "f.2.nbc").read_bytes())
    elif harm != "gone":
        content[len(content) // 2] ^= 4
        harmed = {"empty": b"", "cut": content[:40], "flip": content, "garbage": b"cos\nsystem\n(S'false'\ntR."}
        path.write_bytes(harmed[harm])
    assert files.load("key") is None
    if harm != "folder":
        files.save("key", {"code": b"z"})
        assert files.load("key") == {"code": b"z"}


def test_a_place_that_cannot_be_written_costs_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    files = CheckedFiles(cache_path=str(tmp_path / "file"), filename_base="f", source_stamp=(1, 2))
    files.save("key", {"code": b"x"})
    assert files.load("key") is None


def test_every_kernel_is_kept_so():
    assert isinstance(rename._cache._cache_file, CheckedFiles), "Numba keeps its files in another way"
    keep_checked(rename)
    rows, renamed = np.array([[5, 4, 5]], dtype=np.int16), np.zeros((1, 3), dtype=np.int16)
    rename(rows, np.array([4, 5], dtype=np.int16), renamed)
    assert renamed.tolist() == [[4, 5, 4]]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_damaged_kernels_are_compiled_anew(tmp_path, ending):
    """Whole processes, in a folder of their own for the compiler's files."""
    code = "import numpy as np; from alchemy.models.attention_kernels import rename; r = np.zeros((1, 3), np.int16); "
    code += "rename(np.array([[5, 4, 5]], np.int16), np.array([4, 5], np.int16), r); print(r.tolist())"

    def run():
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False,
            env=environment() | {"NUMBA_CACHE_DIR": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run()
    found = sorted(tmp_path.rglob(f"*.{ending}"))
    assert found
    for path in found:
        os.truncate(path, 0)
    assert run() == first == "[[4, 5, 4]]\n"
    assert all(path.stat().st_size for path in found), "compiled anew, and kept"
