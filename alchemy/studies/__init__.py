"""Studies: each file answers one question, with a function `run` that yields records."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
