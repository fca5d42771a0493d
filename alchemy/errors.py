"""Errors as people read them: one sentence that says what to change, and an exit code other than 0."""

import os
import signal
import sys
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn

LONGEST = 300  # characters of a sentence
LONG_WORD = 80  # characters, from which a word is cut where the sentence is too long
Main = Callable[..., int]


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
    """Reads the words of a command; what is mistyped is raised, for `answering` to say."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}: {self.prog} --help shows how to write it")


def answering(name: str, elsewhere: str) -> Callable[[Main], Main]:
    """Makes a command of a function that returns an exit code: whatever it raises is one sentence on stderr, after the
    command's `name`, and exit code 1. A fault of ours has its type in the sentence, and with HYDRA_FULL_ERROR=1 its
    trace on the screen.
    """

    def decorate(main: Main) -> Main:
        @wraps(main)
        def command(*words: list[str] | None) -> int:
            try:
                with stopped_by_sigterm():
                    return main(*words)
            except KeyboardInterrupt:
                said = "stopped; nothing half-written is left"
            except BrokenPipeError:  # the reader of our output has gone
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 1
            except (ValueError, OSError, MemoryError) as error:
                said = sentence(error, elsewhere)
            except Exception as error:
                if os.environ.get("HYDRA_FULL_ERROR") == "1":
                    raise
                said = shortened(f"{type(error).__name__}: {error} (HYDRA_FULL_ERROR=1 shows where)")
            print(f"{name}: {said}", file=sys.stderr)
            return 1

        return command

    return decorate
