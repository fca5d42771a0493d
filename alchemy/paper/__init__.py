"""Replicates the published paper: its experiments, its claims, its figures and its laws of degradation."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
