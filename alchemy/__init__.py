"""Alchemy: a synthetic distribution-shift lab."""

__version__ = "0.1.0"

from alchemy.runs.moved import leave_if_moved

leave_if_moved()  # python -m alchemy.report and its like: answered here, since some are no modules any more
