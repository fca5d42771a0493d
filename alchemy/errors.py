"""Turns errors into what users read: one sentence that says what to change, and an exit code other than 0."""

import os
import re
import signal
import sys
import threading
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

LONGEST = 300  # characters of a sentence
LONG_WORD = 80  # characters of a word, above which it is cut where the sentence is too long
COMMAND = "python -m alchemy"


def sentence(error: BaseException, elsewhere: str = "output=DIR") -> str:
    """Returns what went wrong, in one line of at most LONGEST characters.

    `elsewhere` is what to type so that the command writes to another place.
    """
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or "a file of this run"
        return shortened(f"{name} cannot be used ({error.strerror}): mend that, or write elsewhere with {elsewhere}")
    if isinstance(error, MemoryError):
        return "there is not enough memory: lower workers or study.count, or use a smaller model"
    return shortened(str(error) or type(error).__name__)


def shortened(text: str, longest: int = LONGEST) -> str:
    """Returns the text in one line; if that is too long, its longest words are cut, and then its middle."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    words = line.split()
    if len(" ".join(words)) > longest:
        words = [word if len(word) <= LONG_WORD else f"{word[:40]}…{word[-20:]}" for word in words]
    line = " ".join(words)
    third = longest // 3
    return line if len(line) <= longest else f"{line[: longest - third - 3]} … {line[-third:]}"


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Has SIGTERM raise KeyboardInterrupt within, as Ctrl-C does, so that half-written files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Parser(ArgumentParser):
    """Parses what is typed after one subcommand. Raises ValueError for a mistake, which `answered` prints."""

    def __init__(self, word: str, about: str, example: str) -> None:
        super().__init__(
            prog=f"{COMMAND} {word}",
            description=about,
            epilog=f"such as: {COMMAND} {word} {example}",
            formatter_class=RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}: {self.prog} --help shows how to write it")


def exit_code_of(act: Callable[[], int], explain: Callable[[Exception], str], kept: str) -> int:
    """Calls `act` and returns its exit code, or 1 after an error, which is printed to stderr as one sentence.

    The sentence is what `explain` makes of the error, or, where the user stopped it, says what is `kept`. With
    HYDRA_FULL_ERROR=1 in the environment the error is raised, with its trace.
    """
    tracing = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        with stopped_by_sigterm():
            return act()
    except KeyboardInterrupt as stop:
        said = f"stopped{f' with {stop}' if str(stop) else ''}; {kept}"
    except BrokenPipeError:  # the program that reads the output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if tracing:
            raise
        said = explain(error)
    print(f"alchemy: {said}", file=sys.stderr)
    return 1


def fault(error: Exception, elsewhere: str) -> str:
    """Returns one sentence on an error; for errors of unexpected types it names the type."""
    if isinstance(error, ValueError | OSError | MemoryError):
        return sentence(error, elsewhere)
    return shortened(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")


@contextmanager
def settings_at(path: str, names: Iterable[str]) -> Iterator[None]:
    """Puts `path` before the message of a ValueError raised within that begins with one of `names`.

    The message then names a setting in full, and the code that checks it need not know where the setting stands. A name
    after that of the group, as in `task.length`, is replaced as well.
    """
    try:
        yield
    except ValueError as error:
        group = path.partition(".")[0]
        found = re.match(r"([^\W\d]\w*)\b", said := str(error).removeprefix(f"{group}."))
        if not found or found[1] not in names:
            raise
        raise ValueError(f"{path}.{said}") from error.__cause__


def extra(name: str) -> str:
    """Returns how to install an extra of the lab, from a checkout: the lab is in no package index."""
    return f"pip install '.[{name}]' in the lab's checkout"
