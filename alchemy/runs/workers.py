"""Runs the jobs of a sweep in worker processes: one that is killed loses its own job, and no other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any

from alchemy.errors import sentence

GRACE = 3.0  # seconds that a process has to end after a signal to do so

Work = Callable[[Any], Any]


class Worker:
    """A process that receives jobs, does one after another, and sends back the result of each."""

    def __init__(self) -> None:
        context = get_context("spawn")  # a fork would share PyTorch's threads
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self.number = -1  # of its current job

    def start(self, work: Work, number: int, job: Any) -> None:
        self.number = number
        self.line.send((work, job))

    def ended(self) -> str:
        """Returns how the process ended, in words."""
        self.process.join(GRACE)
        code = self.process.exitcode or 0
        if code == -signal.SIGKILL:
            return "its process was killed (signal 9), as happens when memory runs out"
        return f"its process was ended by signal {-code}" if code < 0 else f"its process left with exit code {code}"

    def stop(self) -> None:
        self.line.close()
        self.process.terminate()
        self.process.join(GRACE)
        self.process.kill()


def checked(worker: Worker, check: Work, jobs: list[Any]) -> None:
    """Has a worker check all jobs, and waits. Raises ValueError if one of them is refused, or the worker ends."""
    worker.start(check, -1, jobs)
    try:
        _, wrong = worker.line.recv()
    except (EOFError, OSError):
        wrong = worker.ended()
    if wrong:
        raise ValueError(wrong)


def serve(line: Connection) -> None:
    """Runs in a worker process: receives jobs, does them, and sends back their results.

    The worker ignores Ctrl-C, at which the parent process ends its workers; it also ends when its parent has ended.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    Thread(target=leave_with_parent, daemon=True).start()
    while True:
        try:
            work, job = line.recv()
        except EOFError:
            return
        try:
            line.send((work(job), ""))
        except Exception as error:
            line.send((None, sentence(error)))


def leave_with_parent() -> None:
    parent = parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)


def spread(
    work: Work, jobs: Sequence[Any], workers: int, check: Work | None = None
) -> Generator[tuple[int, Any, str], None, None]:
    """Calls `work(job)` for every job, each in one of `workers` processes, and yields the results as the jobs end.

    It yields the job's number, its result, and "" or why there is no result: the job's error, or how its process ended.
    `work`, jobs and results are pickled. Closing the generator ends all workers. If `check` is given, the first worker
    calls it with the list of all jobs before any of them begins; an error of that is raised as ValueError.
    """
    waiting = list(enumerate(jobs))[::-1]
    team: list[Worker] = []
    try:
        if check and jobs:
            team.append(Worker())
            checked(team[0], check, list(jobs))
            team[0].start(work, *waiting.pop())
        while waiting or team:
            while waiting and len(team) < workers:
                team.append(Worker())
                team[-1].start(work, *waiting.pop())
            ready = wait([worker.line for worker in team] + [worker.process.sentinel for worker in team])
            for worker in [worker for worker in team if worker.line in ready or worker.process.sentinel in ready]:
                try:
                    yield worker.number, *worker.line.recv()
                    if waiting:
                        worker.start(work, *waiting.pop())
                        continue
                except (EOFError, OSError):
                    yield worker.number, None, worker.ended()
                team.remove(worker)
                worker.stop()
    finally:
        for worker in team:  # all are signalled, and then each is waited for
            worker.process.terminate()
        for worker in team:
            worker.stop()
