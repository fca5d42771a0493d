"""Tests worlds and shifts of one's own against the laws of the lab: all at once, or each as a test of its own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
