"""Files on disk (records, models and measured cells, each with its checksum), and the tables made from them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
