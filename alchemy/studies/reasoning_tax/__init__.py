"""What becomes of knowledge when a model that knows facts is taught to reason about computing alone?

Source: the question is that of arXiv:2506.02126 and 2507.18178; the design is the lab's own (see study.py).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

NEEDS_TRAINING = True  # its arms continue the training
UNMEASURED = ("base", "label")  # settings that decide no number: changing them needs no new measurement
COORDINATES = ("load", "arm", "keep", "step", "match", "weights", "layer", "draw")  # of its records, for forecasts
