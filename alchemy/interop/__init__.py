"""Reads and writes the files and models of other tools: the published data set, transformers, lm-evaluation-harness."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
