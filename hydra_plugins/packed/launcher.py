"""A Hydra launcher in which one job's end costs no other: `hydra/launcher=packed`, or `launcher=local`, `slurm`, `ray`.

Hydra's own launcher ends the whole sweep when a job is killed, and so does joblib's; submitit's starts all local jobs
at once; Ray's has each job write into whatever folder is current on its node.
"""

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict

log = logging.getLogger(__name__)


@dataclass
class Settings:
    _target_: str = "hydra_plugins.packed.launcher.PackedLauncher"
    workers: int = 2  # processes at a time, on this machine
    engine: str = "local"  # or slurm, or ray
    jobs_each: int = 8  # jobs of the sweep in each Slurm job
    requeues: int = 3  # times that a cluster may stop a job and start it again
    parameters: dict[str, Any] = field(default_factory=dict)  # of Slurm jobs, as submitit names them; or of ray.init


ConfigStore.instance().store(group="hydra/launcher", name="packed", node=Settings, provider="alchemy")


class PackedLauncher(Launcher):
    """Runs the jobs of a sweep in `workers` processes, each with one job after another; or in Slurm jobs, with several
    in each; or in tasks of Ray. Raises ValueError for a setting that cannot be used.
    """

    def __init__(self, workers: int, engine: str, jobs_each: int, requeues: int, parameters: DictConfig) -> None:
        if engine not in ("local", "slurm", "ray"):
            raise ValueError(f"hydra.launcher.engine={engine} is unknown: use launcher=local, slurm or ray")
        for name, value, least in (("workers", workers, 1), ("jobs_each", jobs_each, 1), ("requeues", requeues, 0)):
            if value < least:
                raise ValueError(f"hydra.launcher.{name}={value} is too small: set it to {least} or more")
        self.workers, self.engine, self.jobs_each, self.requeues = workers, engine, jobs_each, requeues
        self.parameters: Any = OmegaConf.to_container(parameters)

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:  # noqa: ARG002 Hydra's
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        from alchemy.runs import sweep

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            configs = self.composed(job_overrides, initial_job_idx)
            sweep.announce(folder, initial_job_idx + len(configs))
            return [returned(value) for value in sweep.watch(configs, self.spread(configs, folder))]
        except BaseException:  # a wrong setting, or stopped by the user
            sweep.remove_if_unused(folder)
            raise

    def spread(self, configs: list[DictConfig], folder: Path) -> Generator[tuple[int, Any, str], None, None]:
        """Runs the jobs once all are checked, and yields as alchemy.runs.workers.spread. Raises ValueError as that."""
        from alchemy.runs import cluster, stacks, sweep, workers

        if self.engine == "local":
            if any(config.slots or str(config.device).startswith("cuda") for config in configs):
                yield from stacks.spread_stacked(sweep.run_one, configs, self.workers, sweep.check_jobs)
            else:
                yield from workers.spread(sweep.run_one, configs, self.workers, sweep.check_jobs)
            return
        for _, _, wrong in workers.spread(sweep.check_jobs, [configs], 1):
            if wrong:
                raise ValueError(wrong)
        if self.engine == "slurm":
            how = self.jobs_each, self.requeues, self.parameters, (folder / "slurm").absolute()
            yield from cluster.spread_on_slurm(sweep.run_one, configs, sweep.ended, *how)
        else:
            yield from cluster.spread_on_ray(sweep.run_one, configs, self.requeues, self.parameters)

    def composed(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[DictConfig]:
        """Returns the settings of all jobs, numbered from `first`; logs how long they take before most are composed."""
        from alchemy.runs import sweep
        from alchemy.runs.settings import audit

        numbers = range(first, first + len(job_overrides))
        found = {i: self.compose(job_overrides[i], numbers[i]) for i in sweep.one_of_each(job_overrides)}
        for config in found.values():
            audit(config)
        if found and found[0].minutes:
            for line in (sweep.foreseen([*found.values()], len(job_overrides)), *sweep.can_show([*found.values()])):
                log.info("%s", line)
        return [found.get(i) or self.compose(job_overrides[i], number) for i, number in enumerate(numbers)]

    def compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """Returns the settings of the job of this number, which takes a quarter of a second."""
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
            config.hydra.sweep.dir = self.config.hydra.sweep.dir  # named by the time of the sweep, not of the job
        return config


def returned(value: float) -> JobReturn:
    """Returns a job's result for Hydra, always as a completed one; run.json says how each job ended.

    After a failure Hydra would end the sweep without its picture.
    """
    answer = JobReturn()
    answer.status, answer.return_value = JobStatus.COMPLETED, value
    return answer
