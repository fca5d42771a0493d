from .checks import check_shift as check_shift
from .checks import check_world as check_world
from .checks import laws_of as laws_of
from .checks import laws_of_shift as laws_of_shift
from .checks import parametrize_with_laws as parametrize_with_laws
from .grounds import LawBroken as LawBroken
from .options import world_of as world_of
