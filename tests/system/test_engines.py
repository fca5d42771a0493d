"""A sweep on a real Ray cluster, and Optuna's search, each for real. Optuna's sweeper pins an old Optuna, so they have
an environment of their own: make ray.
"""

import importlib.util
import json
import os
import re
import signal

import pytest

from tests.helpers.command import alchemy
from tests.helpers.sweeps import SWEEP, finished, holders, start, table, wait_for

LACKING = [name for name in ("ray", "optuna") if not importlib.util.find_spec(name)]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(LACKING), reason=f"needs {LACKING}: see the head of this file")]


def test_a_sweep_on_a_ray_cluster_of_two_nodes_ends_in_the_same_table(undisturbed, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        done = alchemy(tmp_path, *SWEEP, "launcher=ray", f"hydra.launcher.parameters.address={cluster.address}")
    finally:
        cluster.shutdown()
    assert done.returncode == 0, done.stderr
    assert len(finished(tmp_path)) == 4
    assert table(tmp_path, done) == undisturbed


def test_a_killed_ray_worker_is_replaced(undisturbed, tmp_path):
    sweep = start(tmp_path, *SWEEP, "launcher=ray", "+hydra.launcher.parameters.num_cpus=2")
    lock = wait_for(lambda: list((tmp_path / "outputs" / "models").glob(".*.lock")))[0]
    os.kill(wait_for(lambda: holders(lock))[0], signal.SIGKILL)
    stdout, stderr = sweep.communicate(timeout=600)
    assert sweep.returncode == 0, stderr
    assert (tmp_path / stdout.splitlines()[-1]).with_name("cells.csv").read_text() == undisturbed


def test_optuna_hunts_for_the_level_at_which_a_shift_breaks(tmp_path):
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.n_jobs=2"]
    words += ["hydra.sweeper.direction=minimize", "shift.levels=range(1,7)", "shift.axis=format", "shift.kind=insert"]
    words += ["seed=0", "study.count=200", "target=0.3"]
    done = alchemy(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    [best] = (tmp_path / "outputs").rglob("optimization_results.yaml")
    value = float(re.search(r"best_value: (\S+)", best.read_text()).group(1))
    found = [json.loads(path.read_text())["distance"] for path in best.parent.glob("*/run.json")]
    assert len(found) == 6
    assert value == min(found)
    assert len(finished(tmp_path)) == 1, "the model is the same throughout"
