"""Training: next-token losses, policy gradients, and the sources of rows."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
