"""A sweep of twelve jobs killed at random moments, and what surviving costs: python -m benchmarks.faults [times=50]

Each time, in an empty folder: the sweep is begun, all its processes are killed (SIGKILL) at a moment drawn uniformly
over its time, and the same command is given again. Counted: how often it then ends in the undisturbed table, byte for
byte, and how many trainings that had ended before are done again. Other tests of the kind: tests/test_faults.py.
"""

import cProfile
import os
import pstats
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from alchemy.errors import sentence
from alchemy.plan import given

SWEEP = ["-m", "alchemy", "-m", "seed=0,1,2", "model.width=8,12,16,20", "shift.axis=task", "shift.levels=[0,1]"]
SWEEP += ["study.count=64", "train.mark=null", "train.steps=120", "train.check_every=4", "train.check_problems=64"]
SWEEP += ["train.batch=32", "model.layers=1", "model.heads=2"]
SURVIVING = (
    "outcomes",
    "write_parquet",
    "write_aside",
    "fingerprint",
    "code_digest",
    "provenance",
    "put_down",
    "acquire",
    "load",
    "__contains__",
)


def main() -> None:
    try:
        times = int(given(sys.argv[1:], {"times": "50"}, "a setting: use times=50")["times"])
    except ValueError as error:
        sys.exit(f"benchmarks: {sentence(error)}")
    rng = random.Random(0)  # noqa: S311 moments
    with tempfile.TemporaryDirectory() as folder:
        begun = perf_counter()
        undisturbed = table(Path(folder))
        whole = perf_counter() - begun
        print(f"undisturbed: {whole:.1f} s; {cost(Path(folder)):.1%} of a job's time goes into surviving", flush=True)
    same = again = 0
    for number in range(1, times + 1):
        with tempfile.TemporaryDirectory() as folder:
            moment = rng.uniform(0, whole)
            sweep = subprocess.Popen(  # noqa: S603 our own words
                [sys.executable, *SWEEP],
                cwd=folder,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            sleep(moment)
            os.killpg(sweep.pid, signal.SIGKILL)
            sweep.wait()
            known = trained(Path(folder))
            same += table(Path(folder)) == undisturbed
            again += sum(trained(Path(folder))[path] != written for path, written in known.items())
        print(
            f"killed {number} times: {same} same tables, {again} trainings done twice "
            f"(the last after {moment:.1f} s, with {len(known)} of 12 models trained)",
            flush=True,
        )
    sys.exit(int(same < times or again > 0))


def table(folder: Path) -> bytes:
    """Runs the sweep to its end; returns its cells.csv."""
    done = subprocess.run([sys.executable, *SWEEP], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"benchmarks: the sweep failed: {done.stderr}")
    return (folder / done.stdout.splitlines()[-1]).with_name("cells.csv").read_bytes()


def trained(folder: Path) -> dict[Path, int]:
    """When each trained model was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "models").glob("[!.]*/model.safetensors")}


def cost(folder: Path) -> float:
    """The share of a default job's time, training and measuring, that the functions of SURVIVING take."""
    from hydra import compose, initialize_config_dir

    from alchemy.plan import plan
    from alchemy.run import work
    from alchemy.settings import CONF, VERSION

    with initialize_config_dir(str(CONF), version_base=VERSION):
        cfg = compose("config", [f"output={folder}/cost", "study.count=2000"])
    todo = plan(cfg)
    profile = cProfile.Profile()
    begun = perf_counter()
    profile.runcall(work, cfg, todo, folder, 0)
    whole = perf_counter() - begun
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    ours = [(where, times[3]) for where, times in stats.items() if where[2] in SURVIVING]
    return sum(seconds for where, seconds in ours if "alchemy" in where[0] or "filelock" in where[0]) / whole


if __name__ == "__main__":
    main()
