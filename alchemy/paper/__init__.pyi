from . import claims as claims
from . import figures as figures
from . import laws as laws
from . import replicate as replicate
