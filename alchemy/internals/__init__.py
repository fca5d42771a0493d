"""The weights of a model: how much they changed in training, and copies in which parts of them are set back."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
