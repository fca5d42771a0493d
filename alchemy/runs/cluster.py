"""Runs the jobs of a sweep on a cluster: on Slurm through submitit, several in each Slurm job, or on Ray."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from alchemy.errors import extra
from alchemy.runs.workers import Work

log = logging.getLogger(__name__)

PAUSE = 2.0  # seconds between two queries of Slurm's queue
LAG = 30.0  # seconds after a job left the queue until its files must be seen (network file systems are late)

Done = Callable[[Any], bool]


class Chunk:
    """Jobs of a sweep that one Slurm job runs one after another.

    When Slurm stops it (preemption, time limit), submitit calls `checkpoint` and puts what that returns into the queue
    again; when called again, it skips the jobs that are done.
    """

    def __init__(self, jobs: Sequence[Any], work: Work, done: Done) -> None:
        self.jobs, self.work, self.done = jobs, work, done

    def __call__(self) -> None:
        for job in self.jobs:
            if not self.done(job):
                self.work(job)

    def checkpoint(self) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def spread_on_slurm(
    work: Work, jobs: Sequence[Any], done: Done, size: int, requeues: int, parameters: dict[str, Any], folder: Path
) -> Generator[tuple[int, None, str], None, None]:
    """Calls `work(job)` for every job on Slurm, and yields for each, as it ends, its number, None, and "" or an error.

    The jobs run in a Slurm array, `size` of them in each Slurm job, which is put back into the queue up to `requeues`
    times when Slurm stops it. A job has ended when `done(job)`; the error says why it never was. `parameters` are those
    of submitit, such as time or partition; its files go into `folder`. Closing the generator cancels the Slurm jobs
    that have not ended. Raises ValueError if Slurm or submitit is missing, or refuses the jobs.
    """
    try:
        import submitit
    except ImportError:
        raise ValueError(f"launcher=slurm needs submitit: {extra('slurm')}") from None
    chunks = [list(range(start, min(start + size, len(jobs)))) for start in range(0, len(jobs), size)]
    try:
        executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=requeues)
        executor.update_parameters(**parameters)
        with executor.batch():
            handed = [executor.submit(Chunk([jobs[number] for number in chunk], work, done)) for chunk in chunks]
        left = {job.job_id: chunk for job, chunk in zip(handed, chunks, strict=True)}
    except (RuntimeError, TypeError, ValueError, submitit.core.utils.FailedJobError) as error:
        raise ValueError(f"Slurm did not take the sweep ({error}): correct hydra.launcher.parameters") from None
    log.info("%d jobs in %d of Slurm's, from %s on; their output is in %s", len(jobs), len(left), min(left), folder)
    seen: dict[str, float] = dict.fromkeys(left, monotonic())  # when each was last in the queue
    try:
        while left:
            sleep(PAUSE)
            seen |= dict.fromkeys(queued(list(left)), monotonic())
            for name, chunk in list(left.items()):
                for number in [number for number in chunk if done(jobs[number])]:
                    chunk.remove(number)
                    yield number, None, ""
                if chunk and monotonic() - seen[name] > LAG:
                    yield from (
                        (number, None, f"Slurm's job {name} ended without it ({folder}/{name}*)") for number in chunk
                    )
                    chunk.clear()
                if not chunk:
                    del left[name]
    finally:
        if left:
            subprocess.run(["scancel", *left], capture_output=True, check=False)  # noqa: S603, S607


def queued(names: list[str]) -> list[str]:
    """Returns those of these Slurm jobs that wait or run in the queue; all of them, if squeue does not answer."""
    try:
        words = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
        answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("squeue does not answer (%s)", error)
        return names
    return [name for name in names if name in answer.stdout.split()]


def spread_on_ray(
    work: Work, jobs: Sequence[Any], requeues: int, parameters: dict[str, Any]
) -> Generator[tuple[int, None, str], None, None]:
    """Calls `work(job)` for every job on Ray, and yields for each, as it ends, its number, None, and "" or an error.

    Each job is a task of a Ray cluster, which is started again up to `requeues` times when its process or node dies.
    `parameters` are those of ray.init. Closing the generator ends the tasks. Raises ValueError if Ray or its cluster is
    missing.
    """
    try:
        import ray
    except ImportError:
        raise ValueError(f"launcher=ray needs Ray: {extra('ray')}") from None
    try:
        ray.init(log_to_driver=False, logging_level=logging.WARNING, include_dashboard=False, **parameters)
    except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"Ray does not begin ({error}): correct hydra.launcher.parameters") from None
    task = ray.remote(num_cpus=1, max_retries=requeues)(run_there)
    left = {task.remote(work, job, str(Path.cwd())): number for number, job in enumerate(jobs)}
    try:
        while left:
            for answer in ray.wait(list(left))[0]:
                number = left.pop(answer)
                try:
                    yield number, ray.get(answer), ""
                except ray.exceptions.RayError as error:
                    yield number, None, f"Ray gave it up ({str(error).splitlines()[0]})"
    finally:
        ray.shutdown()


def run_there(work: Work, job: Any, folder: str) -> None:
    os.chdir(folder)  # a Ray node may have another current folder
    work(job)
