"""What makes a composition that training never had come right: how often its rules were seen in their places, whether
they are connected through others, or the number of compositions alone?

Sources: arXiv:2505.20278 (coverage), 2312.15001 (connectivity), 2502.08991 (number of tasks); the design is the lab's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

COORDINATES = ("rules", "compositions", "form", "times", "anywhere", "connected", "whole")  # of its records
UNMEASURED = ("sure",)  # a setting that decides no number that is measured
