"""Small transformers: their weights and which of them are trained, their decoding, and their likelihoods."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
