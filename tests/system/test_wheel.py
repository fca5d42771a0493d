"""The wheel, installed elsewhere, runs from another folder."""

import os
import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.helpers.command import TINY
from tests.helpers.worlds import ROOT


@pytest.mark.slow
def test_the_wheel_runs_from_another_folder(tmp_path):
    build = [sys.executable, "-m", "build", "--sdist", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True, timeout=120)
    wheel = next((tmp_path / "dist").glob("shift_alchemy-*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"alchemy", "tasks", "hydra_plugins"}
    assert "alchemy/conf/experiment/mirage.yaml" in names
    assert "tasks/cipher.py" in names
    assert {"alchemy/py.typed", "alchemy/__init__.pyi", "alchemy/data/__init__.pyi"} < set(names)
    [licence] = [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()
    with tarfile.open(next((tmp_path / "dist").glob("shift_alchemy-*.tar.gz"))) as source:
        assert {"LICENSE", "CITATION.cff"} <= {name.partition("/")[2] for name in source.getnames()}

    installed = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", "--target", str(installed)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=120)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # the installed copy stands before this checkout on the path, and must be the one that runs
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = [sys.executable, "-c", "import alchemy, tasks.cipher; print(alchemy.__file__, tasks.cipher.__file__)"]
    found = subprocess.run(where, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.count(str(installed)) == 2
    for command in ([sys.executable, "-m", "alchemy"], [str(installed / "bin" / "alchemy")]):
        done = subprocess.run(
            [*command, "shift.axis=task", "model.width=8", *TINY],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert (elsewhere / done.stdout.splitlines()[-1]).exists()
