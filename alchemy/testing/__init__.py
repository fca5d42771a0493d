"""The laws of the lab, for worlds and shifts wherever they are written: all at once, or each as a test of its own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
