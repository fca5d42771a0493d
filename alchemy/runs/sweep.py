"""The jobs of a sweep, and Hydra's callback, which checks a run before it begins and finishes a run or sweep."""

import json
import logging
import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from math import nan
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, run_job, setup_globals
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from alchemy.data.kinds import check
from alchemy.errors import sentence, shortened
from alchemy.results.digests import Damaged, digest, read_json, write_json
from alchemy.results.jobs import SWEEP, jobs
from alchemy.results.records import job_folder
from alchemy.runs.job import job, job_words
from alchemy.runs.plan import device, plan
from alchemy.runs.settings import VERSION, audit, resolved, words_of

log = logging.getLogger(__name__)

# what decides a model
MADE_BY = ("task", "model", "train", "seed", "device", "precision", "threads", "tokens", "slots")


class Finish(Callback):
    """Hydra's callback that checks a run before it begins, and writes its table and pictures once its jobs have ended.

    conf/config.yaml has it as hydra.callbacks.finish. It exits with a message where something is wrong, since Hydra
    turns other exceptions in a callback into warnings.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            if "hydra.mode=RUN" not in sys.argv:  # with it typed, the user knows that nothing is swept
                itself(config, "add -m, or hydra.mode: MULTIRUN to it")
            plan(config, sketch=True)  # before Hydra makes a folder
            device(config.device)
        except Exception as error:
            sys.exit(f"alchemy: {sentence(error)}")
        refuse_used(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        refuse_used(Path(config.hydra.sweep.dir))

    def on_run_end(self, config: DictConfig, **more: Any) -> None:
        done: JobReturn = more["job_return"]
        if done.status is not JobStatus.COMPLETED:  # not even run.json could be written
            sys.exit(f"alchemy: {sentence(done._return_value)}")
        close(Path(config.hydra.run.dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.sweep.dir))


def refuse_used(folder: Path) -> None:
    """Exits with a message if `folder` holds files already, which the run would mix with its own."""
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(
            f"alchemy: {folder} holds files already: choose a new folder, or leave hydra.run.dir and sweep.dir out"
        )


def close(folder: Path) -> None:
    """Writes the table and pictures of a folder, and exits with another code than 0 if anything failed.

    The files of a run that never began are removed.
    """
    try:
        from alchemy.figures.draw import finish  # imported here, since it takes seconds: not in a training process

        status = finish(folder)
    except Exception as error:  # a fault of the lab, which Hydra would turn into a warning
        sys.exit(
            f"alchemy: {type(error).__name__}: {sentence(error)}; all is measured and kept, "
            f"and python -m alchemy draw {folder} shows where this comes from"
        )
    try:
        runs = jobs(folder) if status else {}
    except ValueError:  # `finish` has printed why
        sys.exit(status)
    if runs and all(run.get("began") is False for run in runs.values()):
        for number in runs:
            home = job_folder(folder, number)
            shutil.rmtree(home / ".hydra", ignore_errors=True)
            for name in ("run.json", "alchemy.log"):
                (home / name).unlink(missing_ok=True)
            remove_if_empty(home)
        for name in ("multirun.yaml", SWEEP):
            (folder / name).unlink(missing_ok=True)
        remove_if_empty(folder)
    if status:
        sys.exit(status)


def watch(configs: Sequence[DictConfig], ends: Generator[tuple[int, Any, str], None, None]) -> list[float]:
    """Waits for the jobs of a sweep, logs how many are done, and returns each job's distance from `target`.

    `ends` yields the jobs as they end, as `alchemy.runs.workers.spread` does. For a job that was ended from outside, a
    run.json is written that says so, as if it had failed by itself.
    """
    begun, done = monotonic(), 0
    try:
        with closing(ends):
            for number, _, lost in ends:
                if lost:
                    fail(configs[number], lost)
                done += 1
                left = (monotonic() - begun) / done * (len(configs) - done)
                log.info("%d of %d jobs done%s", done, len(configs), f", some {left:.0f} s left" if left else "")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{done} of {len(configs)} jobs done") from None
    return [distance(config) for config in configs]


def check_jobs(configs: Sequence[DictConfig]) -> None:
    """Checks all jobs of a sweep before the first one begins. Raises ValueError, naming the first that cannot run."""
    version.setbase(VERSION)
    setup_globals()
    checked = set()
    for config in configs:
        try:
            HydraConfig.instance().set_config(config)  # settings may refer to Hydra's
            itself(config)
            audit(config)
            check("seed", config.seed, int)
            its = {str(name): resolved(config, str(name)) for name in config if name not in ("hydra", "seed")}
            if (kind := digest([its, config.seed < 0])) not in checked:  # other seeds need no check
                plan(config, sketch=True)
                if config.hydra.launcher.get("engine", "local") == "local":
                    device(config.device)  # a cluster's machines may have another
            checked.add(kind)
        except (ValueError, OSError) as error:
            words = " ".join(words_of(config.hydra))
            raise ValueError(f"job {config.hydra.job.num} ({shortened(words, 90)}): {sentence(error)}") from None


def itself(config: DictConfig, instead: str = "run experiments that sweep one at a time") -> None:
    """Raises ValueError for a job whose experiment defines a sweep itself, and says what to do `instead`."""
    given = {word.lstrip("+~").partition("=")[0] for word in words_of(config.hydra)}
    if own := sorted(set(config.hydra.sweeper.get("params") or {}) - given):
        raise ValueError(
            f"experiment={config.hydra.runtime.choices.get('experiment')} sweeps {own[0]} itself: {instead}"
        )


def announce(folder: Path, jobs: int) -> None:
    """Writes the id of a sweep and its number of jobs into `folder`; a sweeper that searches adds jobs later."""
    path = folder / SWEEP
    known = read_json(path)["id"] if path.exists() else uuid4().hex
    write_json(path, {"id": known, "jobs": jobs})


def one_of_each(overrides: Sequence[Sequence[str]]) -> list[int]:
    """Returns the numbers of jobs that together have every model of a sweep.

    They are the first of each group of jobs that differ only in settings of the study or the shift.
    """
    first: dict[tuple[str, ...], int] = {}
    for number, words in enumerate(overrides):
        first.setdefault(tuple(word for word in words if not word.startswith(("study.", "shift."))), number)
    return [*first.values()]


def foreseen(configs: Sequence[DictConfig], jobs: int) -> str:
    """Returns a sentence on how long a sweep of `jobs` jobs takes at most, if nothing of it is stored.

    The time follows from the setting `minutes`; `configs` are the settings of jobs that together have all models.
    """
    made_by = [{name: config[name] for name in MADE_BY} for config in configs]
    models = len({json.dumps(OmegaConf.to_container(OmegaConf.create(one), resolve=True)) for one in made_by})
    minutes, workers = configs[0].minutes, configs[0].workers
    hours = (models * minutes.model + jobs * minutes.job) / workers / 60
    time = f"{hours:.1f} hours" if hours > 2 else f"{60 * hours:.0f} minutes"
    return (
        f"{jobs} jobs on {models} models: some {time} with workers={workers}, less what is stored; "
        "stopped, the same command goes on"
    )


def can_show(configs: Sequence[DictConfig]) -> list[str]:
    """Returns what a sweep can show of its predictions, a sentence each; none where nothing is predicted.

    `configs` are the settings of jobs that together have all seeds.
    """
    from alchemy.runs.plan import predicted

    if not (listed := predicted(configs[0])):
        return []
    from alchemy.stats.power import outlook  # its import takes time that most sweeps need not spend
    from alchemy.stats.predictions import predictions

    return outlook(predictions(listed), len({config.seed for config in configs}))


def run_one(config: DictConfig) -> None:
    """Runs one job of a sweep as Hydra would, in a process of its own."""
    logging.raiseExceptions = False  # as in alchemy.__main__
    version.setbase(VERSION)
    setup_globals()
    JobRuntime.instance().set("name", config.hydra.job.name)
    context = HydraContext(config_loader=None, callbacks=Callbacks(config))  # type: ignore[arg-type]
    done = run_job(job, config, "hydra.sweep.dir", "hydra.sweep.subdir", context)
    if done.status is not JobStatus.COMPLETED:  # not even run.json could be written
        raise done._return_value  # the property of that name would write to the screen


def folder_of(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir) / str(config.hydra.sweep.subdir)


def ended(config: DictConfig) -> bool:
    """Whether a job has ended, and so has written its run.json."""
    return (folder_of(config) / "run.json").exists()


def distance(config: DictConfig) -> float:
    """Returns a job's distance from `target`, as run.json has it; NaN if it failed."""
    try:
        return read_json(folder_of(config) / "run.json").get("distance", nan)
    except (OSError, Damaged):  # reported when the sweep ends
        return nan


def fail(config: DictConfig, error: str) -> None:
    """Writes the run.json of a job that has failed and can no longer write it."""
    folder = folder_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", job_words(config.hydra) | {"began": True, "status": "failed", "error": error})


def remove_if_unused(folder: Path) -> None:
    """Removes the folder of a sweep that no job has written into yet."""
    if all(path.name in ("multirun.yaml", SWEEP) for path in folder.iterdir()):
        for name in ("multirun.yaml", SWEEP):
            (folder / name).unlink(missing_ok=True)
        remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Removes an empty folder, and those above it that are then empty, below the current folder."""
    folder, here = folder.absolute(), Path.cwd()
    for path in (folder, *(above for above in folder.parents if here in above.parents)):
        if not path.is_dir() or any(path.iterdir()):
            return
        path.rmdir()
