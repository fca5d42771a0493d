from .compose import compose_settings as compose_settings
from .plan import Plan as Plan
from .sweep import Finish as Finish
