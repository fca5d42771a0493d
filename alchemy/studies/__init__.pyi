from . import coverage as coverage
from . import degradation as degradation
from . import reasoning_tax as reasoning_tax
from . import recovery as recovery
from . import trajectory as trajectory
