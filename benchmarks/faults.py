"""Kills, stops and starves a sweep many times, and measures what is lost and what the protection costs.

    python -m benchmarks.faults [times=60] [out=FILE.csv]

Each trial begins in an empty folder: a fault hits the sweep at a random moment, and then the same command runs again.
Counted, by kind of fault: how often it ended in the undisturbed table, byte for byte; how many trainings that had ended
before the fault were repeated; and how often an error was printed as a trace instead of a sentence.

    group     all its processes are killed (SIGKILL)            worker    one of its workers is killed
    drawing   killed while table, page and pictures are drawn   two       two sweeps at once, one killed and begun again
    sixteen   sixteen runs need one model; the one that trains it is killed, three times
    stopped   the process that holds a model's lock is suspended (SIGSTOP) for a while, another waits
    memory    too little memory to begin, or to draw            64        more workers allowed than there are jobs
"""

import cProfile
import csv
import os
import pstats
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, perf_counter, sleep

from alchemy.errors import sentence
from alchemy.runs.plan import given

SWEEP = ["-m", "seed=0,1", "model.width=8,16", "shift.axis=task", "shift.levels=[0,1]", "study.count=64"]
SWEEP += ["train.mark=null", "train.steps=120", "train.check_every=4", "train.check_problems=64", "train.batch=32"]
SWEEP += ["model.layers=1", "model.heads=2"]
ONE = [word for word in SWEEP if word not in ("-m", "seed=0,1", "model.width=8,16")] + ["train.steps=1500"]
SHARES = {"group": 0.5, "worker": 0.2, "drawing": 0.2, "two": 0.1}  # of the trials
ONCE = ("sixteen", "stopped", "memory", "64")


SURVIVING = ["outcomes", "write_parquet", "write_aside", "write_json", "fingerprint", "code_digest", "provenance"]
SURVIVING += ["save", "acquire", "load", "__contains__"]
CHECKING = (("plan", "examine"), ("store", "read"), ("cells", "read"))  # by file and function


@dataclass
class Outcome:
    """Results of the trials of one kind of fault: how many, in how many the table was the `same`, trainings done
    `twice`, `traces` printed, processes killed, and what was `said` of failures.
    """

    trials: int = 0
    same: int = 0
    twice: int = 0
    traces: int = 0
    kills: int = 0
    said: list[str] = field(default_factory=list)


def start(folder: Path, words: list[str], limit: int = 0) -> subprocess.Popen[str]:
    """Starts the command in a process group of its own, with at most `limit` bytes of address space (0: no limit)."""
    with (folder / "said.txt").open("a") as said:
        return subprocess.Popen(  # noqa: S603 our own words
            [sys.executable, "-m", "alchemy", *words],
            cwd=folder,
            start_new_session=True,
            stdout=said,
            stderr=said,
            text=True,
            preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))) if limit else None,  # noqa: PLW1509
        )


def killed(process: subprocess.Popen[str]) -> int:
    """Kills a group of processes; returns 1 if its first process still ran, 0 if that had ended."""
    alive = process.poll() is None
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return int(alive)


def finish(folder: Path, words: list[str]) -> bytes:
    """Runs the command to its end; returns its cells.csv, or its stderr if it failed."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "alchemy", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    with (folder / "said.txt").open("a") as said:
        said.write(done.stderr)
    if done.returncode:
        return done.stderr.encode()
    return (folder / done.stdout.splitlines()[-1]).with_name("cells.csv").read_bytes()


def trained(folder: Path) -> dict[Path, int]:
    """Returns the time at which each trained model was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "outputs" / "models").glob("[!.]*/model.safetensors")}


def children(pid: int) -> list[int]:
    """Returns the process ids of the workers of a sweep."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in found if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    except OSError:
        return []


def owners(folder: Path) -> list[int]:
    """Returns the ids of processes that hold the lock of a model, as the kernel lists them."""
    locks = {str(path.stat().st_ino) for path in (folder / "outputs" / "models").glob(".*.lock")}
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [int(words[4]) for words in lines if words[1] != "->" and words[5].rpartition(":")[2] in locks]


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    end = monotonic() + seconds
    while not what() and monotonic() < end:
        sleep(0.05)


def group(folder: Path, rng: random.Random, whole: float) -> int:
    sweep = start(folder, SWEEP)
    sleep(rng.uniform(0, whole))
    return killed(sweep)


def worker(folder: Path, rng: random.Random, whole: float) -> int:
    sweep = start(folder, SWEEP)
    sleep(rng.uniform(0.1, 0.7) * whole)
    wait_for(lambda: bool(children(sweep.pid)) or sweep.poll() is not None)
    team = children(sweep.pid)
    if team:
        os.kill(rng.choice(team), signal.SIGKILL)
    sweep.wait()
    return int(bool(team))


def drawing(folder: Path, rng: random.Random, whole: float) -> int:
    sweep = start(folder, SWEEP)
    wait_for(lambda: len(list((folder / "outputs").glob("run/*/*/run.json"))) == 4 or sweep.poll() is not None)
    sleep(rng.uniform(0, 0.3 * whole))
    return killed(sweep)


def two(folder: Path, rng: random.Random, whole: float) -> int:
    sweeps = [start(folder, SWEEP) for _ in range(2)]
    sleep(rng.uniform(0, whole))
    kills = killed(sweeps[0])
    again = start(folder, SWEEP)
    for sweep in (sweeps[1], again):
        sweep.wait()
    return kills


def sixteen(folder: Path, rng: random.Random, whole: float) -> int:  # noqa: ARG001
    """Starts sixteen runs that need one model, and three times kills the one that trains it; the others must end."""
    team = [start(folder, [*ONE, f"name=run{number}"]) for number in range(16)]
    kills = 0
    for _ in range(3):
        wait_for(lambda: any(pid in owners(folder) for pid in (one.pid for one in team if one.poll() is None)))
        sleep(rng.uniform(0.5, 2))
        for pid in owners(folder):
            if pid in {one.pid for one in team if one.poll() is None} and kills < 3:
                os.kill(pid, signal.SIGKILL)
                kills += 1
                break
    for one in team:
        one.wait()
    tables = {path.read_bytes() for path in (folder / "outputs").glob("run*/*/cells.csv")}
    ended = sum(one.returncode == 0 for one in team)
    if len(tables) != 1 or ended != 16 - kills or (folder / "said.txt").read_text().count("rows in") != 1:
        raise RuntimeError(f"{ended} of 16 ended, with {len(tables)} tables")
    return kills


def stopped(folder: Path, rng: random.Random, whole: float) -> int:  # noqa: ARG001
    """Suspends the process that holds a lock for 15 seconds: the other must log that it waits, and both must end."""
    pair = [start(folder, [*ONE, f"name=run{number}"]) for number in range(2)]
    wait_for(lambda: any(pid in owners(folder) for pid in (one.pid for one in pair)))
    owner = next(pid for pid in owners(folder) if pid in {one.pid for one in pair})
    os.kill(owner, signal.SIGSTOP)
    sleep(15)
    os.kill(owner, signal.SIGCONT)
    for one in pair:
        one.wait()
    said = (folder / "said.txt").read_text()
    if any(one.returncode for one in pair) or said.count("rows in") != 1 or "waiting for it" not in said:
        raise RuntimeError("the other did not wait, or did not say so")
    return 0


def memory(folder: Path, rng: random.Random, whole: float) -> int:  # noqa: ARG001
    for megabytes in (400, 800, 1200, 1600):
        start(folder, SWEEP, limit=megabytes << 20).wait()
    return 0


def workers(folder: Path, rng: random.Random, whole: float) -> int:  # noqa: ARG001
    done = start(folder, [*SWEEP, "workers=64"])
    done.wait()
    if done.returncode:
        raise RuntimeError("workers=64 failed")
    return 0


FAULTS = {"group": group, "worker": worker, "drawing": drawing, "two": two, "sixteen": sixteen, "stopped": stopped}
FAULTS |= {"memory": memory, "64": workers}


def trial(kind: str, rng: random.Random, whole: float, undisturbed: bytes, outcome: Outcome) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            outcome.kills += FAULTS[kind](folder, rng, whole)
        except RuntimeError as error:
            outcome.said.append(str(error))
        known = trained(folder)
        table = finish(folder, SWEEP)
        outcome.trials += 1
        outcome.same += table == undisturbed
        if table != undisturbed:
            outcome.said.append(table.decode(errors="replace")[-300:])
        outcome.twice += sum(trained(folder).get(path) != written for path, written in known.items())
        outcome.traces += len(re.findall("^Traceback", (folder / "said.txt").read_text(), re.M))


def cost(folder: Path) -> tuple[float, float]:
    """Returns the shares of a default job's time that storing results safely takes, and that checking takes."""
    from hydra import compose, initialize_config_dir

    from alchemy.runs.job import work
    from alchemy.runs.plan import plan
    from alchemy.runs.settings import CONF, VERSION

    with initialize_config_dir(str(CONF), version_base=VERSION):
        cfg = compose("config", [f"output={folder}/cost", "study.count=2000"])
    plan(cfg)  # imports are not counted
    profile = cProfile.Profile()
    begun = perf_counter()
    profile.runcall(lambda: work(cfg, plan(cfg), folder, 0))
    whole = perf_counter() - begun
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    took = {(Path(where[0]).stem, where[2]): times[3] for where, times in stats.items()}
    surviving = sum(seconds for (_, name), seconds in took.items() if name in SURVIVING)
    checking = sum(took.get(where, 0.0) for where in CHECKING)
    return surviving / whole, checking / whole


def main() -> None:
    try:
        settings = given(sys.argv[1:], {"times": "60", "out": ""}, "a setting: use times=60, out=FILE.csv")
        times = int(settings["times"])
    except ValueError as error:
        sys.exit(f"benchmarks: {sentence(error)}")
    rng = random.Random(0)  # noqa: S311 for moments
    with tempfile.TemporaryDirectory() as folder:
        finish(Path(folder), ONE)  # compiles what is compiled at first use
        begun = perf_counter()
        undisturbed = finish(Path(folder), SWEEP)
        whole = perf_counter() - begun
        costs = dict(zip(("surviving", "checking"), cost(Path(folder)), strict=True))
    said = ", ".join(f"{share:.2%} is {name}" for name, share in costs.items())
    print(f"undisturbed: {whole:.1f} s; of a default job's time {said}", flush=True)
    kinds = [kind for kind, share in SHARES.items() for _ in range(round(share * times))] + [*ONCE]
    outcomes = {kind: Outcome() for kind in FAULTS}
    for kind in kinds:
        trial(kind, rng, whole, undisturbed, outcomes[kind])
        outcome = outcomes[kind]
        print(
            f"{kind}: {outcome.trials} trials, {outcome.kills} kills, {outcome.same} same tables, {outcome.twice} "
            f"trainings done twice, {outcome.traces} traces {outcome.said or ''}",
            flush=True,
        )
    if settings["out"]:
        with Path(settings["out"]).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(
                ["what", "trials", "kills", "same_tables", "trainings_done_twice", "traces", "share_of_a_job"]
            )
            table.writerows(
                [kind, its.trials, its.kills, its.same, its.twice, its.traces, ""] for kind, its in outcomes.items()
            )
            table.writerows([name, *[""] * 5, f"{share:.4f}"] for name, share in costs.items())
    wrong = [kind for kind, its in outcomes.items() if its.same < its.trials or its.twice or its.traces or its.said]
    sys.exit(f"benchmarks: not as it must be: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
