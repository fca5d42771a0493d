"""Hydra's hooks: check a run before anything is written, and finish a run or sweep once its jobs have ended."""

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
from alchemy.runs.job import asked_for, job
from alchemy.runs.plan import device, plan
from alchemy.runs.settings import VERSION, audit, resolved, words_of

log = logging.getLogger(__name__)

MADE_BY = ("task", "model", "train", "seed", "device", "precision", "threads", "tokens")  # what decides a model


class Finish(Callback):
    """Hydra turns exceptions in hooks into warnings, but lets SystemExit through."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            if "hydra.mode=RUN" not in sys.argv:  # who says so knows that nothing is swept
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
    """Leaves if `folder` has files of something else, which a run would mix with its own."""
    if folder.is_dir() and any(folder.iterdir()):
        sys.exit(
            f"alchemy: {folder} holds files already: choose a new folder, or leave hydra.run.dir and sweep.dir out"
        )


def close(folder: Path) -> None:
    """Finishes a folder, and leaves with its exit code if anything failed; a run that never began leaves no files."""
    try:
        from alchemy.figures.draw import finish  # drawing takes seconds to import: not in a training process

        status = finish(folder)
    except Exception as error:  # a fault of ours, which Hydra would pass over
        sys.exit(
            f"alchemy: {type(error).__name__}: {sentence(error)}; all is measured and kept, "
            f"and python -m alchemy.figures.draw {folder} shows where this comes from"
        )
    try:
        runs = jobs(folder) if status else {}
    except ValueError:  # it has said so
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
    """Follows the jobs of a sweep to their ends, as `alchemy.runs.workers.spread` gives them, and says how far it is;
    returns the distance that each found. One that was ended from outside is failed by its run.json, like one that
    failed of itself.
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
    """Checks all jobs of a sweep, before the first one begins. Raises ValueError, naming the first that cannot be."""
    version.setbase(VERSION)
    setup_globals()
    checked = set()
    for config in configs:
        try:
            HydraConfig.instance().set_config(config)  # for what refers to it
            itself(config)
            audit(config)
            check("seed", config.seed, int)
            its = {str(name): resolved(config, str(name)) for name in config if name not in ("hydra", "seed")}
            if (kind := digest([its, config.seed < 0])) not in checked:  # jobs that differ in their seed are alike
                plan(config, sketch=True)
                if config.hydra.launcher.get("engine", "local") == "local":
                    device(config.device)  # a cluster's machines may have another
            checked.add(kind)
        except (ValueError, OSError) as error:
            words = " ".join(words_of(config.hydra))
            raise ValueError(f"job {config.hydra.job.num} ({shortened(words, 90)}): {sentence(error)}") from None


def itself(config: DictConfig, instead: str = "run experiments that sweep one at a time") -> None:
    """Raises ValueError for a job whose own options would sweep, and say what to do `instead`."""
    given = {word.lstrip("+~").partition("=")[0] for word in words_of(config.hydra)}
    if own := sorted(set(config.hydra.sweeper.get("params") or {}) - given):
        raise ValueError(
            f"experiment={config.hydra.runtime.choices.get('experiment')} sweeps {own[0]} itself: {instead}"
        )


def announce(folder: Path, jobs: int) -> None:
    """Writes which sweep a folder is of, and that it has so many jobs; a sweeper that searches asks for more later."""
    path = folder / SWEEP
    known = read_json(path)["id"] if path.exists() else uuid4().hex
    write_json(path, {"id": known, "jobs": jobs})


def one_of_each(overrides: Sequence[Sequence[str]]) -> list[int]:
    """The numbers of jobs that between them have every model of a sweep: of those that differ in settings of the study
    or the shift alone, the first.
    """
    first: dict[tuple[str, ...], int] = {}
    for number, words in enumerate(overrides):
        first.setdefault(tuple(word for word in words if not word.startswith(("study.", "shift."))), number)
    return [*first.values()]


def foreseen(configs: Sequence[DictConfig], jobs: int) -> str:
    """How long a sweep of so many `jobs` takes at most, if nothing of it is stored, by the `minutes` of a core that its
    settings say; `configs` are those of jobs that have all its models.
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


def run_one(config: DictConfig) -> None:
    """Hydra's way with one job, in a process of its own."""
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
    """Whether a job has written how it ended."""
    return (folder_of(config) / "run.json").exists()


def distance(config: DictConfig) -> float:
    """What run.json says of a job's distance from `target`; NaN if it failed."""
    try:
        return read_json(folder_of(config) / "run.json").get("distance", nan)
    except (OSError, Damaged):  # it is told when the sweep ends
        return nan


def fail(config: DictConfig, error: str) -> None:
    """Writes the run.json of a job that cannot do so itself."""
    folder = folder_of(config)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "run.json", asked_for(config.hydra) | {"began": True, "status": "failed", "error": error})


def remove_if_unused(folder: Path) -> None:
    """Removes the folder of a sweep that no job has written into yet."""
    if all(path.name in ("multirun.yaml", SWEEP) for path in folder.iterdir()):
        for name in ("multirun.yaml", SWEEP):
            (folder / name).unlink(missing_ok=True)
        remove_if_empty(folder)


def remove_if_empty(folder: Path) -> None:
    """Removes a folder without files; and those above it that are then empty, below the one that we stand in."""
    folder, here = folder.absolute(), Path.cwd()
    for path in (folder, *(above for above in folder.parents if here in above.parents)):
        if not path.is_dir() or any(path.iterdir()):
            return
        path.rmdir()
