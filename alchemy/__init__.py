"""Alchemy: a synthetic distribution-shift lab."""

__version__ = "0.1.0"
