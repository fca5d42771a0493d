from .design import design as design
from .practice import Practice as Practice
from .study import Match as Match
from .study import run as run

NEEDS_TRAINING: bool
UNMEASURED: tuple[str, ...]
COORDINATES: tuple[str, ...]
