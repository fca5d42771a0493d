"""Tasks, distributions, shifts, and rows as integer arrays with a role per token. Only numpy is needed."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
