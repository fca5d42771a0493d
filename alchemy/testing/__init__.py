"""The laws of the lab, for worlds and shifts wherever they are written: all at once, or each as a test of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alchemy.testing.checks import check_shift as check_shift
    from alchemy.testing.checks import check_world as check_world
    from alchemy.testing.checks import laws_of as laws_of
    from alchemy.testing.checks import laws_of_shift as laws_of_shift
    from alchemy.testing.checks import parametrize_with_laws as parametrize_with_laws
    from alchemy.testing.grounds import LawBroken as LawBroken
    from alchemy.testing.options import world as world

WHERE = dict.fromkeys(("check_shift", "check_world", "laws_of", "laws_of_shift", "parametrize_with_laws"), "checks")
WHERE |= {"LawBroken": "grounds", "world": "options"}
__all__ = [*WHERE]  # noqa: PLE0604 its names are those of WHERE


def __getattr__(name: str) -> Any:
    """What is exported, from its module: the plugin, which each run of pytest loads, then costs next to nothing."""
    if name not in WHERE:
        raise AttributeError(f"alchemy.testing has no {name}: it has {', '.join(WHERE)}")
    return getattr(import_module(f"alchemy.testing.{WHERE[name]}"), name)
