"""Errors as people read them: one sentence that says what to change, and an exit code other than 0."""

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
LONG_WORD = 80  # characters, from which a word is cut where the sentence is too long
COMMAND = "python -m alchemy"


def sentence(error: BaseException, elsewhere: str = "output=DIR") -> str:
    """What went wrong, in one line of at most LONGEST characters. `elsewhere` is how the command is told to write to
    another place.
    """
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or "a file of this run"
        return shortened(f"{name} cannot be used ({error.strerror}): mend that, or write elsewhere with {elsewhere}")
    if isinstance(error, MemoryError):
        return "there is not enough memory: lower workers or study.count, or use a smaller model"
    return shortened(str(error) or type(error).__name__)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text in one line. If that is too long its longest words are cut, and then its middle."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    words = line.split()
    if len(" ".join(words)) > longest:
        words = [word if len(word) <= LONG_WORD else f"{word[:40]}…{word[-20:]}" for word in words]
    line = " ".join(words)
    third = longest // 3
    return line if len(line) <= longest else f"{line[: longest - third - 3]} … {line[-third:]}"


@contextmanager
def stopped_by_sigterm() -> Iterator[None]:
    """Within, SIGTERM is what Ctrl-C is: files that are being written are removed on the way out."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Parser(ArgumentParser):
    """Reads what stands after one word of the command; what is mistyped is raised, for `answered` to say."""

    def __init__(self, word: str, about: str, example: str) -> None:
        super().__init__(
            prog=f"{COMMAND} {word}",
            description=about,
            epilog=f"such as: {COMMAND} {word} {example}",
            formatter_class=RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}: {self.prog} --help shows how to write it")


def answered(act: Callable[[], int], explain: Callable[[Exception], str], kept: str) -> int:
    """The exit code of `act`. Whatever it raises is one sentence on stderr and exit code 1: what `explain` makes of it,
    or, where somebody stopped it, what is `kept`. With HYDRA_FULL_ERROR=1 an error has its trace on the screen.
    """
    tracing = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        with stopped_by_sigterm():
            return act()
    except KeyboardInterrupt as stop:
        said = f"stopped{f' with {stop}' if str(stop) else ''}; {kept}"
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if tracing:
            raise
        said = explain(error)
    print(f"alchemy: {said}", file=sys.stderr)
    return 1


def fault(error: Exception, elsewhere: str) -> str:
    """The sentence on an error; one that nobody has thought of has its type in it."""
    if isinstance(error, ValueError | OSError | MemoryError):
        return sentence(error, elsewhere)
    return shortened(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")


@contextmanager
def settings_at(path: str, names: Iterable[str]) -> Iterator[None]:
    """Within, a ValueError that begins with the name of one of these settings begins with its place, `path`, instead:
    what checks a setting need not know where it stands. A name after that of the group, as in `task.length`, is one.
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
    """How to install what an extra of the lab needs; it is in no index under its own name."""
    return f"pip install '.[{name}]' in the lab's checkout"
