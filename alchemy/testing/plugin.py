"""A pytest plugin: with --laws, pytest tests each world and each axis of one's own in the files of options given.

    python -m pytest --laws options

It is loaded in every run of pytest where the lab is installed, so it imports nothing until --laws needs it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("alchemy", "worlds and shifts of Alchemy")
    group.addoption(
        "--laws",
        action="store_true",
        help="test every law of the lab on the worlds (task/NAME.yaml) and axes (shift.own in experiment/NAME.yaml) of "
        "the folders of options given",
    )
    group.addoption("--learnable", action="store_true", help="with --laws: train a tiny model on each world as well")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Options | None":
    groups = {folder.name for folder in file_path.parents}
    if file_path.suffix != ".yaml" or not parent.config.getoption("laws") or not groups & {"task", "experiment"}:
        return None
    return Options.from_parent(parent, path=file_path)


class Options(pytest.File):
    """A file of options, with a test for each law of the world, or of the axes, that it names."""

    def collect(self) -> Iterator["LawItem"]:
        from alchemy.testing.options import laws_in

        try:
            found = list(laws_in(self.path, self.config.getoption("learnable")))
        except ValueError as error:
            raise self.CollectError(str(error)) from None
        for name, check in found:
            yield LawItem.from_parent(self, name=name, check=check)


class LawItem(pytest.Item):
    """A test of one law, on one world."""

    def __init__(self, *, check: Callable[[], None], **more: Any) -> None:
        super().__init__(**more)
        self.check = check

    def runtest(self) -> None:
        self.check()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Returns which law is broken, and on which row; for any other error, its trace."""
        from alchemy.testing.grounds import LawBroken

        broken = excinfo.value
        if isinstance(broken, LawBroken) and broken.__cause__ is None:
            return str(broken)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name
