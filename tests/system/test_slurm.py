"""A sweep on a real Slurm: its daemons with two nodes on this machine, started here and stopped again.

Needs root and Debian's packages: apt-get install --no-install-recommends slurm-wlm slurmctld slurmd slurm-client munge
"""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess

import pytest

from tests.helpers.command import alchemy
from tests.helpers.sweeps import SWEEP, finished, start, table, wait_for

LACKING = [name for name in ("slurmctld", "slurmd", "munged", "squeue") if not shutil.which(name)]
LACKING += ["submitit"] * (importlib.util.find_spec("submitit") is None) + ["root"] * (os.geteuid() != 0)
WITHOUT = pytest.mark.skipif(bool(LACKING), reason=f"Slurm cannot start here without {LACKING}")
pytestmark = [pytest.mark.slow, WITHOUT]

ON_SLURM = [*SWEEP, "launcher=slurm", "hydra.launcher.jobs_each=2", "hydra.launcher.parameters.mem=2GB"]
ON_SLURM += ["hydra.launcher.parameters.time=10"]


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60, **more).stdout


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A controller and two nodes of one core each, on the loopback, accounting off."""
    home, host = tmp_path_factory.mktemp("slurm"), socket.gethostname()
    settings = [
        "ClusterName=lab", f"SlurmctldHost={host}(127.0.0.1)", "SlurmUser=root", "AuthType=auth/munge",
        "ProctrackType=proctrack/linuxproc", "TaskPlugin=task/none", "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core", "JobAcctGatherType=jobacct_gather/none", "MpiDefault=none", "JobRequeue=1",
        "SlurmctldPort=17100", f"StateSaveLocation={home}/state", f"SlurmdSpoolDir={home}/spool-%n", "KillWait=5",
        f"SlurmctldPidFile={home}/controller.pid", f"SlurmctldLogFile={home}/controller.log",
        f"SlurmdPidFile={home}/%n.pid", f"SlurmdLogFile={home}/%n.log", "MaxNodeCount=2", "ReturnToService=2",
        f"NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17101-17102] CPUs=1 RealMemory=4000",
        "PartitionName=lab Nodes=ALL Default=YES State=UP",
    ]  # fmt: skip
    (home / "slurm.conf").write_text("\n".join(settings) + "\n")
    os.environ["SLURM_CONF"] = str(home / "slurm.conf")
    try:
        run("install", "-d", "-o", "munge", "-g", "munge", "/run/munge")
        if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode:
            run("runuser", "-u", "munge", "--", "munged")
        run("slurmctld")
        for node in ("n1", "n2"):
            run("slurmd", "-N", node)
        wait_for(lambda: run("sinfo", "--noheader", "--format=%T %D").split() == ["idle", "2"])
    except (AssertionError, subprocess.SubprocessError) as error:
        pytest.skip(f"Slurm does not start on this machine: {error} {getattr(error, 'stderr', '')}")
    yield home
    for name in ("n1", "n2", "controller"):
        os.kill(int((home / f"{name}.pid").read_text()), signal.SIGTERM)
    del os.environ["SLURM_CONF"]


def test_a_sweep_on_slurm_ends_in_the_same_table(slurm, undisturbed, tmp_path):
    done = alchemy(tmp_path, *ON_SLURM)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "4 jobs in 2 of Slurm's" in done.stdout
    assert table(tmp_path, done) == undisturbed


def running():
    lines = run("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
    return [line.split()[0] for line in lines if line.endswith("RUNNING")]


def test_a_preempted_job_is_queued_again_and_goes_on(slurm, undisturbed, tmp_path):
    sweep = start(tmp_path, *ON_SLURM)
    known = wait_for(lambda: finished(tmp_path))
    run("scancel", "--signal=USR2", running()[0])  # what Slurm sends before it stops a job
    stdout, stderr = sweep.communicate(timeout=700)
    assert sweep.returncode == 0, stderr
    logs = "".join(path.read_text() for path in tmp_path.rglob("slurm/*log.*"))
    assert "requeue" in logs.lower()
    assert (tmp_path / stdout.splitlines()[-1]).with_name("cells.csv").read_text() == undisturbed
    assert {path: path.stat().st_mtime_ns for path in known} == known


def test_a_killed_job_is_named_and_the_others_are_done(slurm, undisturbed, tmp_path):
    sweep = start(tmp_path, *ON_SLURM)
    wait_for(lambda: list((tmp_path / "outputs" / "models").glob(".*.lock")))
    os.kill(int(run("pgrep", "--newest", "--full", f"submitit.core._submit {tmp_path}")), signal.SIGKILL)
    _, stderr = sweep.communicate(timeout=700)
    assert sweep.returncode == 1
    assert "ended without it" in stderr
    again = alchemy(tmp_path, *ON_SLURM)
    assert again.returncode == 0, again.stderr
    assert table(tmp_path, again) == undisturbed


def test_a_stopped_sweep_leaves_nothing_in_the_queue(slurm, tmp_path):
    sweep = start(tmp_path, *ON_SLURM)
    wait_for(running)
    os.killpg(sweep.pid, signal.SIGINT)
    _, stderr = sweep.communicate(timeout=120)
    assert sweep.returncode == 1
    assert "the same command goes on from there" in stderr
    wait_for(lambda: not run("squeue", "--noheader").strip())


def test_what_slurm_refuses_is_said_in_a_sentence(slurm, tmp_path):
    done = alchemy(tmp_path, *ON_SLURM, "+hydra.launcher.parameters.partition=nowhere")
    assert done.returncode == 1
    assert "Slurm did not take the sweep" in done.stderr
    assert "Traceback" not in done.stderr
