"""`python -m alchemy`, and the script `alchemy`: one command, for runs and sweeps, and with a word for all else."""

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported; a second thread slows small models

from alchemy.errors import answered, fault
from alchemy.runs.words import GOES_ON, WORDS


def main() -> int:
    """The command as it was typed; returns its exit code. Worlds and studies are found in the current folder, too."""
    with suppress(OSError):  # a folder that is there no more holds none
        if not sys.flags.safe_path and (folder := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, folder)  # as python -m does, and a script does not
    return answer(sys.argv[1:])


def answer(words: list[str]) -> int:
    """The exit code of the command with these words; every failure is one sentence on stderr, and not 0."""
    if words and (word := WORDS.get(words[0])):
        return answered(partial(word.act, words[1:]), partial(fault, elsewhere=word.elsewhere), word.kept)
    return answered(partial(run, words), explained, GOES_ON)


def run(words: list[str]) -> int:
    from alchemy.runs.command import run as with_hydra

    return with_hydra(words)


def explained(error: Exception) -> str:
    from alchemy.runs.mistakes import explain

    return explain(error)


if __name__ == "__main__":
    sys.exit(main())
