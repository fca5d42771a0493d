"""Pictures and pages of any run or sweep, drawn from its records alone."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
