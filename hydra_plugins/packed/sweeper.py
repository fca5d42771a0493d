"""Hydra's own sweeper, without its composing of every job before the launcher does: a quarter of a second each."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore


@dataclass
class Settings(BasicSweeperConf):
    _target_: str = "hydra_plugins.packed.sweeper.PackedSweeper"


ConfigStore.instance().store(group="hydra/sweeper", name="packed", node=Settings, provider="alchemy")


class PackedSweeper(BasicSweeper):
    """All combinations of what is swept."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Nothing: the packed launcher composes all jobs before the first begins, and refuses what cannot be."""
