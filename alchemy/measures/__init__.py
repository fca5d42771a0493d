"""Measures of how right a completion is, why it is wrong, and what a model knows."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
