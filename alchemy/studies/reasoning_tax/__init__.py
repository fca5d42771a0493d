"""What becomes of knowledge when a model that knows facts is taught to reason about computing alone."""

from alchemy.studies.reasoning_tax.study import Match, run

__all__ = ["Match", "run"]
