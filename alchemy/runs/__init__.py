"""Composes settings, checks them, and runs one job or a sweep of jobs into a finished folder."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
