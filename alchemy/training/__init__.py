"""How weights change: next-token training, policy gradients, and what they are shown."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
