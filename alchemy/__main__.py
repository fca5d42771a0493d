"""`python -m alchemy`, and the script `alchemy`: one command for runs and sweeps, with subcommands for all else."""

import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is first imported; a second thread slows small models

from alchemy.errors import exit_code_of, fault
from alchemy.runs.words import GOES_ON, WORDS


def main() -> int:
    """Runs the command as it was typed, and returns its exit code. Imports look in the current folder, too."""
    with suppress(OSError):  # the current folder may have been removed
        if not sys.flags.safe_path and (folder := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, folder)  # as python -m does, but a script does not
    return answer(sys.argv[1:])


def answer(words: list[str]) -> int:
    """Runs the command with these words, and returns its exit code; a failure is one sentence on stderr, and 1."""
    if words and (word := WORDS.get(words[0])):
        return exit_code_of(partial(word.act, words[1:]), partial(fault, elsewhere=word.elsewhere), word.kept)
    return exit_code_of(partial(run, words), explained, GOES_ON)


def run(words: list[str]) -> int:
    from alchemy.runs.command import run_with_hydra as with_hydra

    return with_hydra(words)


def explained(error: Exception) -> str:
    from alchemy.runs.mistakes import explain

    return explain(error)


if __name__ == "__main__":
    sys.exit(main())
