"""What is on disk: records, models, cells and their checksums; and the table of it all."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
