"""Where a search or a training stands, in lines of text: for what is no terminal, and for notebooks."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from autokd.metrics import METRICS
from autokd.options.units import duration

if TYPE_CHECKING:
    from autokd.search.request import Notify, Progress

LINE_EVERY = 30.0
"""Seconds between two lines of one stage."""
PLANS = {
    "plan": "plan",
    "past": "past studies",
    "bank": "the teacher's answers",
    "given": "teacher",
    "start": "start",
    "end": "end",
}
"""Stages that only say something, and how that is headed."""


class LineNotifier:
    """A line when a stage begins, one when it is over, and one now and then in between.

    Args:
      clock: seconds.
      say: what writes a line.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, say: Callable[[str], None] | None = None) -> None:
        self._clock = clock
        self._say = say or to_stderr
        self._last: Progress | None = None
        self._printed: Progress | None = None
        self._when = 0.0

    def __call__(self, at: Progress) -> None:
        """Write a line where the search stands; a stage without anything to do is passed over."""
        if at.total == 0:
            return
        begins = self._last is None or self._last.stage != at.stage
        if begins:
            self.finish()
        self._last = at
        if begins or at.stage in PLANS or self._clock() - self._when >= LINE_EVERY:
            self._print(at)

    def finish(self) -> None:
        """Print where the current stage ended."""
        if self._last is not None and self._last != self._printed:
            self._print(self._last)

    def _print(self, at: Progress) -> None:
        self._say(line_of(at))
        self._printed, self._when = at, self._clock()


def line_of(at: Progress) -> str:
    """Return where a search stands as a line."""
    if at.stage in PLANS:
        return f"{PLANS[at.stage]}: {at.note}"
    of = " of at most " if at.at_most else "/"
    left = f"about {duration(at.left)} left" if at.left else ""
    said = ", ".join(part for part in (noted(at), left) if part)
    return f"{at.stage}: {at.done}{of}{at.total} {said}".rstrip()


def noted(at: Progress) -> str:
    """Return best score, failures and note of a `Progress` in a few words."""
    best = "" if at.best is None else f"best {METRICS[at.metric].text(at.best)}"
    failures = f"{at.failures} failed" if at.failures else ""
    return ", ".join(part for part in (best, failures, at.note) if part)


def to_stderr(line: str) -> None:
    """Write a line to stderr; whoever read it may have had enough, which is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):  # a closed stream raises a ValueError
        print(line, file=sys.stderr, flush=True)


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython") if "ipykernel" in sys.modules else None
    return ipython is not None and ipython.get_ipython() is not None


@contextlib.contextmanager
def told(notify: Notify | None) -> Iterator[Notify]:
    """Yield whom a search called from Python tells where it stands: who was named, else in a notebook its cell.

    There the lines are plain text below the cell, which needs no widgets; elsewhere nothing is shown.
    """
    if notify is not None or not in_notebook():
        yield notify or _nobody
        return
    lines = LineNotifier(say=print)
    try:
        yield lines
    finally:
        lines.finish()


def _nobody(at: Progress) -> None:
    """Show no progress."""
