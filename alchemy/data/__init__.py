"""What a problem, a row and a shift are: integer arrays with roles, on numpy alone."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
