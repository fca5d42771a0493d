"""The command of a benchmark: its settings, and one sentence where something is wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alchemy.errors import sentence
from alchemy.runs.plan import given

OUT = {"out": "outputs/bench"}


@contextmanager
def settings_of(name: str, usage: str, **known: str) -> Iterator[tuple[dict[str, str], Path]]:
    """Yields the settings of the benchmark `name`, typed as key=value, and the folder `out` that its tables go into.

    `known` are its settings besides `out`, with their defaults, and `usage` how to write all of them. A ValueError or
    an OSError within ends the process with a sentence.
    """
    try:
        settings = given(sys.argv[1:], known | OUT, f"a setting: use {usage}")
        yield settings, Path(settings["out"])
    except (OSError, ValueError) as error:
        sys.exit(f"benchmarks.{name}: {sentence(error, elsewhere='out=FOLDER')}")
