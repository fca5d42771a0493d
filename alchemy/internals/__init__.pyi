from .weights import change as change
from .weights import changed as changed
from .weights import mixed as mixed
from .weights import parts as parts
