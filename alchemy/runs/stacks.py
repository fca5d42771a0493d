"""Trains the models of a sweep in stacks, those of one form together, and stores each as if it had been trained alone.

The jobs of the sweep find them stored. A model that another process trains meanwhile is left to that process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig

from alchemy.errors import sentence, settings_at
from alchemy.runs.job import facts_of
from alchemy.runs.plan import Plan, plan
from alchemy.runs.workers import Work, spread

if TYPE_CHECKING:
    from filelock import FileLock

    from alchemy.results.store import Partial
    from alchemy.training.fit import Progress
    from alchemy.training.population import Form, Member

log = logging.getLogger(__name__)

ROOM = 0.9  # the share of the memory that a stack may fill


@dataclass
class Waiting:
    """A model that is to be trained, the jobs of the sweep that need it, and where it is kept while it is trained."""

    plan: Plan
    jobs: list[int]
    home: Path
    partial: Partial
    step: int = 0  # steps trained so far, also before the training was stopped
    rows: int = 0  # rows trained here

    def member(self, tell: Callable[[Progress], None]) -> Member:
        """The training itself; `tell` is called with each of its checks."""
        from alchemy.training.population import Member

        def told(check: Progress) -> None:
            self.rows += (check.step - max(self.step, check.step - its.recipe.check_every)) * its.recipe.batch
            self.step = check.step
            tell(check)

        its = self.plan
        return Member(its.task, its.model, its.recipe, its.cfg.seed, told, self.partial)


def spread_stacked(
    work: Work, configs: Sequence[DictConfig], workers: int, check: Work
) -> Generator[tuple[int, Any, str], None, None]:
    """Checks all jobs of a sweep, trains what is to be trained in stacks, and then runs the jobs; it yields as
    alchemy.runs.workers.spread.

    A job whose model could not be trained is not run. If the process that trains is ended from outside, each job goes
    on with its own model. Raises ValueError as `check`, and for a stack that does not fit in memory.
    """
    for _, _, wrong in spread(check, [configs], 1):
        if wrong:
            raise ValueError(wrong)
    lost: dict[int, str] = {}
    for _, found, ended in spread(train_in_worker, [configs], 1):
        if ended:
            log.warning("models were not all trained together (%s); each job goes on with its own", ended)
            continue
        lost, refused = found
        if refused:
            raise ValueError(refused)
    yield from ((number, None, why) for number, why in lost.items())
    left = [number for number in range(len(configs)) if number not in lost]
    for number, value, wrong in spread(work, [configs[number] for number in left], workers):
        yield left[number], value, wrong


def train_in_worker(configs: Sequence[DictConfig]) -> tuple[dict[int, str], str]:
    """What `train_stacks` returns, in a process of its own, and why it refuses; "" if it does not."""
    setup_globals()
    configure_log(configs[0].hydra.hydra_logging, configs[0].hydra.verbose)
    try:
        return train_stacks(configs), ""
    except ValueError as error:
        return {}, sentence(error)


def train_stacks(configs: Sequence[DictConfig]) -> dict[int, str]:
    """Trains all models of a sweep that belong into a stack of several and are not stored yet. Returns why a job has no
    model, by its number, where a training failed. Raises ValueError for a stack that does not fit in memory, before
    anything is trained.
    """
    import torch

    lost: dict[int, str] = {}
    groups, before = grouped(configs), torch.get_num_threads()
    for (form, slots, _), waiting in groups.items():
        fits(waiting[0].plan, form, slots)
    try:
        for number, ((_, slots, threads), waiting) in enumerate(groups.items(), 1):
            torch.set_num_threads(threads)
            what = f"stack {number} of {len(groups)}: {len(waiting)} models in {slots} slots, training"
            for one, error in trained(waiting, slots, what):
                lost |= dict.fromkeys(one.jobs, error)
    finally:
        torch.set_num_threads(before)
    return lost


def grouped(configs: Sequence[DictConfig]) -> dict[tuple[Form, int, int], list[Waiting]]:
    """Models of a sweep that are to be trained in stacks of several and are not stored, by what those of one stack
    share: their form, the slots, and the threads.
    """
    from alchemy.results.store import Partial, fingerprint, partial_of
    from alchemy.training.population import form

    found: dict[str, Waiting] = {}
    groups: dict[tuple[Form, int, int], list[Waiting]] = {}
    for number, config in enumerate(configs):
        HydraConfig.instance().set_config(config)
        todo = plan(config)
        slots = todo.settings.get("slots") or 1  # a model from elsewhere has none
        home = Path(config.output) / "models" / fingerprint(todo.settings)
        if slots == 1 or home.exists():  # a stack of one is the job's own
            continue
        if home.name in found:
            found[home.name].jobs.append(number)
            continue
        found[home.name] = Waiting(todo, [number], home, Partial(partial_of(home)))
        shared = form(todo.task, todo.model, todo.recipe)
        assert shared, "plan gives such a model no slots"
        groups.setdefault((shared, slots, config.threads), []).append(found[home.name])
    return groups


def fits(todo: Plan, form: Form, slots: int) -> None:
    """Raises ValueError if a stack does not fit in the memory of its device, saying how many slots would."""
    import torch

    from alchemy.training.population import memory

    device = todo.model.tokens.weight.device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else physical()
    one = memory(todo.model, form, 1)
    if slots * one > ROOM * free:
        most = int(ROOM * free // one)
        raise ValueError(
            f"slots={slots} of this model need about {slots * one / 2**30:.1f} GiB, and {device} has "
            f"{free / 2**30:.1f}: set slots={most}" + ("" if most else ", or lower train.batch")
        )


def physical() -> float:
    """The bytes of this machine's memory; infinity where the system does not tell."""
    import os

    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def trained(waiting: list[Waiting], slots: int, what: str) -> Iterator[tuple[Waiting, str]]:
    """Trains models in one stack and stores each when it is done. Yields those that could not be trained, and why.

    A model's lock is held from when it takes a slot until it is stored.
    """
    from alchemy.runs.progress import progress
    from alchemy.training.fit import Unusable
    from alchemy.training.population import fit_population

    begun, steps, done = monotonic(), sum(one.plan.recipe.steps for one in waiting), 0
    seated: dict[int, tuple[Waiting, FileLock]] = {}  # by the id of the member
    left = list(waiting)

    def tell(_: Progress) -> None:
        rate = sum(one.rows for one in waiting) / (monotonic() - begun) / 1000
        show(sum(one.step for one in waiting), steps, f"{done} of {len(waiting)} done, {rate:.1f} K rows/s")

    def members() -> Iterator[Member]:
        while left:
            one = left.pop(0)
            if lock := locked(one, what):
                member = one.member(tell)
                seated[id(member)] = one, lock
                yield member

    with progress(what, 0) as show:
        while left:
            for member, checks in fit_population(members(), slots):
                one, lock = seated.pop(id(member))
                if isinstance(checks, Unusable):
                    log.warning("%s: %s; %s is begun anew", what, checks, one.home.name)
                    one.partial.clear()
                    left.append(one)
                elif isinstance(checks, ValueError):
                    yield one, said(one, checks)
                else:
                    one.partial.close(one.home, one.plan.model, one.plan.settings, facts_of(one.plan, checks))
                    done += 1
                lock.release()
    log.info("%s: done in %.0f s", what, monotonic() - begun)


def locked(one: Waiting, what: str) -> FileLock | None:
    """The lock of a model that is to be trained here; None if it is stored by now, or another process trains it."""
    from filelock import FileLock, Timeout

    from alchemy.results.store import lock_of

    one.home.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_of(one.home))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: another process trains %s, and it is left to that", what, one.home.name)
        return None
    if one.home.exists():
        lock.release()
        return None
    return lock


def said(one: Waiting, error: ValueError) -> str:
    """Why a model could not be trained, in one sentence, as its own job would say it."""
    try:
        with settings_at("train", vars(one.plan.recipe)):
            raise error
    except ValueError as named:
        return sentence(named)
