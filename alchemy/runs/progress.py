"""Shows how far a job is: a bar with the time left on a terminal, a log line now and then elsewhere."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

log = logging.getLogger(__name__)

EVERY = 10.0  # seconds between lines where there is no terminal


@contextmanager
def progress(what: str, row: int) -> Iterator[Callable[[int, int, str], None]]:
    """Yields a function that shows progress, to call with the steps done so far, all steps, and a note.

    `row` is the position of the bar on the terminal, which keeps the bars of several jobs apart.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(desc=what, position=row, leave=False, dynamic_ncols=True) as bar:

            def show(done: int, total: int, note: str) -> None:
                bar.total = total
                bar.set_postfix_str(note, refresh=False)
                bar.update(done - bar.n)

            yield show
        return

    begun = last = monotonic()

    def line(done: int, total: int, note: str) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= EVERY and done < total:
            last = now
            left = (now - begun) / done * (total - done)
            log.info("%s: %d of %d, %s, at most %.0f s left", what, done, total, note, left)

    yield line
