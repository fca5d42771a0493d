"""Hydra's own sweeper, except that it does not compose every job before the launcher does: 0.25 s each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig


@dataclass
class Settings(BasicSweeperConf):
    _target_: str = "hydra_plugins.packed.sweeper.PackedSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="packed", node=Settings, provider="alchemy")


class PackedSweeper(BasicSweeper):
    """Sweeps over all combinations of the values given."""

    def planned(self, arguments: list[str]) -> list[DictConfig]:
        """Returns the settings of all jobs that `sweep` would launch; nothing is run and nothing is written."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        words = [job for batch in self.split_arguments(overrides, self.max_batch_size) for job in batch]
        if not (composed := getattr(self.launcher, "composed", None)):
            raise ValueError("hydra/launcher is not of the lab: leave it out, or use launcher=local, slurm or ray")
        return list(composed(words, 0))

    @staticmethod
    def split_arguments(overrides: list[Any], max_batch_size: int | None) -> list[list[list[str]]]:
        """Returns the words of all jobs, in batches. Raises ValueError if there are none."""
        if max_batch_size is not None and max_batch_size < 1:
            raise ValueError(f"hydra.sweeper.max_batch_size={max_batch_size} is too small: leave it out")
        batches: list[list[list[str]]] = BasicSweeper.split_arguments(overrides, max_batch_size)
        if not any(batches):
            raise ValueError("this sweep has no jobs: give what is swept a value, such as seed=0,1")
        return batches

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Does nothing: the packed launcher composes and checks all jobs before the first begins."""
