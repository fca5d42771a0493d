"""Shows a training live in TensorBoard or MLflow: every check, as it comes, at x = rows seen.

`track=tensorboard` writes event files into the run's own folder, `track=mlflow` a run into the SQLite file
<output>/mlflow.db. Nothing leaves the machine, and no tracker is imported unless it is selected.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import time
from typing import Any, Protocol

from alchemy.errors import extra, sentence, shortened

log = logging.getLogger(__name__)

NEEDED: dict[str, tuple[str, ...]] = {
    "none": (),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic", "sqlparse"),
}
PATIENCE = 30.0  # seconds that a job waits while another writes into mlflow's file
BUSY = 5.0  # seconds that it waits for another program that has locked the file
MAKING = 300.0  # seconds that it waits while another job makes the file, which takes some ten
AT_ONCE = 100  # settings that mlflow takes in one go
LONGEST = 6000  # characters of a setting that mlflow takes
WHY = 180  # characters of the reason why a tracker failed
BROKEN = {  # SQLite's words: what to do about mlflow's file
    "locked": "end what else is writing into it",
    "readonly": "let it be written",
    "unable to open": "make it a file that can be written",
}

Check = dict[str, Any]  # an alchemy.training.fit.Progress as it is stored
Tell = Callable[[Sequence[Check]], None]  # called with all checks so far, each time


def available(track: str) -> None:
    """Raises ValueError if `track` is no tracker, or one whose packages are not installed."""
    if track not in NEEDED:
        raise ValueError(f"track={track} is unknown: use {', '.join(list(NEEDED)[:-1])} or {list(NEEDED)[-1]}")
    if lacking := [name for name in NEEDED[track] if find_spec(name) is None]:
        raise ValueError(f"track={track} needs {' and '.join(lacking)}: {extra('track')}, or leave track=none")


@dataclass(frozen=True)
class Job:
    """What a tracker shows of a job: its `folder`, all its `settings`, and the `fingerprint` of its model."""

    folder: Path
    settings: dict[str, Any]
    fingerprint: str

    @property
    def output(self) -> Path:
        return Path(self.settings["output"]).resolve()

    @property
    def name(self) -> str:
        """The job's folder below the output folder, such as run/TIME/0; a folder elsewhere in full."""
        folder = self.folder.resolve()
        return str(folder.relative_to(self.output) if folder.is_relative_to(self.output) else folder)


@dataclass(frozen=True)
class Point:
    """What a tracker shows of one check: the rows seen, and values by name."""

    rows: int
    values: dict[str, float]


def points(checks: Sequence[Check], reported: int) -> list[Point]:
    """Returns the points of all checks after the first `reported`; the speed at each is since the check before it."""
    start: Check = {"rows": 0, "seconds": 0.0}
    return [
        Point(
            check["rows"],
            {
                "loss": check["loss"],
                "exact_match": check["exact_match"],
                "rows_per_second": (check["rows"] - before["rows"]) / max(check["seconds"] - before["seconds"], 1e-9),
            },
        )
        for before, check in pairwise([start, *checks][reported:])
    ]


class Tracker(Protocol):
    def write(self, new: Sequence[Point]) -> None: ...
    def close(self, finished: bool) -> None: ...


@contextmanager
def tracking(track: str, job: Job) -> Iterator[Tell]:
    """Yields a function to call with all checks of the job's training so far; the tracker shows those that are new.

    After a failure the tracker is left alone, with one warning, and the training goes on.
    """
    if track == "none":
        yield lambda _: None
        return
    curve = Curve(TensorBoard if track == "tensorboard" else Mlflow, job)
    curve.attempt(lambda tracker: tracker.write([]))  # creates the run before its first point
    finished = False
    try:
        yield curve.tell
        finished = True
    finally:
        curve.attempt(lambda tracker: tracker.close(finished))


@dataclass
class Curve:
    """Sends the checks of one training to a tracker, until the tracker fails."""

    begin: Callable[[Job], Tracker]
    job: Job
    tracker: Tracker | None = None
    reported: int = 0
    given_up: bool = False

    def tell(self, checks: Sequence[Check]) -> None:
        if new := points(checks, self.reported):
            self.attempt(lambda tracker: tracker.write(new))
        self.reported = len(checks)

    def attempt(self, act: Callable[[Tracker], None]) -> None:
        if self.given_up:
            return
        try:
            self.tracker = self.tracker or self.begin(self.job)
            act(self.tracker)
        except Exception as error:
            self.given_up = True
            log.warning("%s", said_of(self.job.settings["track"], error))


def said_of(track: str, error: Exception) -> str:
    """Returns one sentence on why a tracker failed, without what its libraries add about themselves."""
    plain = error if isinstance(error, OSError) else ValueError(re.split(r"\s*\[SQL|\s*\(Background", str(error))[0])
    why = shortened(sentence(plain if str(plain) else error), WHY)
    return shortened(
        f"track={track} failed ({why}); the job goes on without it, and once that is mended the same command shows the "
        "whole curve"
    )


@dataclass(frozen=True)
class Reporting:
    """A checkpointer that also reports every check to a tracker, including those restored on resume."""

    checkpointer: Any
    tell: Tell

    def resume(self) -> tuple[dict[str, Any], list[Check]] | None:
        found = self.checkpointer.resume()
        self.tell(found[1] if found else [])
        return found

    def save(self, state: dict[str, Any], checks: list[Check]) -> None:
        self.checkpointer.save(state, checks)
        self.tell(checks)

    def snapshot(self, rows: int, weights: dict[str, Any]) -> None:
        self.checkpointer.snapshot(rows, weights)

    def clear(self) -> None:
        self.checkpointer.clear()


class TensorBoard:
    """Writes one event file into <run folder>/tensorboard; each point is on disk once it is written."""

    def __init__(self, job: Job) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = job.folder / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        for before in folder.glob("events.out.tfevents.*"):  # of the same job, which was queued again
            before.unlink()
        path = folder / f"events.out.tfevents.{time():.0f}.{os.getpid()}"
        self.file = RecordWriter(path.open("wb", buffering=0))  # its usual writer has a thread, whose errors come late
        self.file.write(Event(wall_time=time(), file_version="brain.Event:2").SerializeToString())

    def write(self, new: Sequence[Point]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        for point in new:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()]
            event = Event(wall_time=time(), step=point.rows, summary=Summary(value=values))
            self.file.write(event.SerializeToString())

    def close(self, _: bool) -> None:
        self.file.close()


class Mlflow:
    """Writes one run into <output>/mlflow.db, in the experiment of the job's name; jobs take turns by a lock."""

    def __init__(self, job: Job) -> None:
        from filelock import FileLock

        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
        from mlflow import MlflowClient
        from mlflow.entities import Param

        for name in ("mlflow", "alembic"):  # once imported, each logs every table that it makes
            logging.getLogger(name).setLevel(logging.WARNING)
        job.output.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(job.output / ".mlflow.lock", timeout=PATIENCE)
        params = [Param(key, value[:LONGEST]) for key, value in flat(job.settings)]
        with self.lock.acquire(timeout=MAKING):
            check(job.output / "mlflow.db")
            try:
                self.client = MlflowClient(f"sqlite:///{job.output / 'mlflow.db'}")
                self.experiment = self.experiment_of(job)
            except Exception as error:
                if "mlflow db upgrade" in str(error):
                    raise ValueError(
                        f"{job.output / 'mlflow.db'} is of another version of mlflow: move it away, or "
                        "run mlflow db upgrade on it"
                    ) from error
                raise
            quote = "'" if '"' in job.name else '"'
            for run in self.client.search_runs([self.experiment], f"attributes.run_name = {quote}{job.name}{quote}"):
                self.client.delete_run(run.info.run_id)  # of the same job, which was queued again
            tags = {"fingerprint": job.fingerprint}
            self.run = self.client.create_run(self.experiment, run_name=job.name, tags=tags).info.run_id
            for start in range(0, len(params), AT_ONCE):
                self.client.log_batch(self.run, params=params[start : start + AT_ONCE])

    def experiment_of(self, job: Job) -> str:
        """Returns the id of the experiment of the job's name, made if it is new, restored if somebody deleted it."""
        name = job.settings["name"]
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return self.client.create_experiment(name, (job.output / "mlflow").as_uri())
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
            log.info("mlflow's experiment %s had been deleted, and is restored with its runs", name)
        return found.experiment_id

    def write(self, new: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        now = int(time() * 1000)
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            metrics = [Metric(name, value, now, point.rows) for point in some for name, value in point.values.items()]
            self.attempt(partial(self.client.log_batch, self.run, metrics))

    def close(self, finished: bool) -> None:
        self.attempt(lambda: self.client.set_terminated(self.run, "FINISHED" if finished else "FAILED"))

    def attempt(self, act: Callable[[], object]) -> None:
        """Calls `act`; if somebody had deleted the run or its experiment, restores that and calls it again."""
        with self.lock:
            try:
                act()
            except Exception as error:
                if "deleted" not in str(error):
                    raise
                if self.client.get_experiment(self.experiment).lifecycle_stage == "deleted":
                    self.client.restore_experiment(self.experiment)
                elif self.client.get_run(self.run).info.lifecycle_stage == "deleted":
                    self.client.restore_run(self.run)
                else:
                    raise
                act()


def check(file: Path) -> None:
    """Raises ValueError if mlflow's file cannot be written, or is no database; mlflow itself would try for minutes."""
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, BUSY, isolation_level=None)) as found:
            found.execute("BEGIN IMMEDIATE")
            found.execute("SELECT count(*) FROM sqlite_master").fetchall()
            found.execute("ROLLBACK")
    except sqlite3.Error as error:
        todo = next((words for said, words in BROKEN.items() if said in str(error)), "move it away")
        raise ValueError(f"{file} cannot be used ({error}): {todo}") from error


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted name and the value of every setting, as text."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
