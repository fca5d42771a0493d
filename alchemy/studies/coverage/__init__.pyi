from .design import design as design
from .study import check as check
from .study import run as run

COORDINATES: tuple[str, ...]
UNMEASURED: tuple[str, ...]
