"""Alchemy: a synthetic distribution-shift lab.

`import alchemy as al` is for people, in a notebook or a script: what the stub `__init__.pyi` beside this file names is
loaded when it is first used, so that the import itself takes neither PyTorch nor pandas.
"""

import lazy_loader as lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
