"""Progress and logs on stderr: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich import progress as bars
from rich.console import Console
from rich.table import Column
from rich.text import Text

from autokd.cli.streams import is_terminal
from autokd.lines import PLANS, LineNotifier, line_of, noted, to_stderr
from autokd.options.units import duration

if TYPE_CHECKING:
    from autokd.execution.executor import Stop
    from autokd.search.run import Notify
    from autokd.search.run import Progress as Stand


@contextlib.contextmanager
def logging_to_stderr(*, verbose: bool = False) -> Iterator[None]:
    """Show the log's warnings (with `verbose`, all of it) on stderr, while a command runs."""
    log = logging.getLogger("autokd")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.setLevel(logging.DEBUG if verbose else logging.WARNING)
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextlib.contextmanager
def shown(*, quiet: bool) -> Iterator[Notify]:
    """Show a search's progress while it runs; entered before `logging_to_stderr`, bars make way for the log's lines."""
    if quiet:
        yield lambda at: None
    elif is_terminal(sys.stderr):
        with _bars() as display:
            yield BarNotifier(display)
    else:
        lines = LineNotifier()
        try:
            yield lines
        finally:
            lines.finish()


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Let signals stop a search: yields what it looks at.

    The first Ctrl-C lets the rungs under way end, the second leaves them at the end of their epoch, a third ends the
    process at once; SIGTERM is like the second. Whatever happens, the same command goes on later.
    """
    from autokd.execution.executor import Stop

    stop = Stop()

    def interrupted(*_: Any) -> None:
        if stop.leaving:
            raise KeyboardInterrupt
        stop.draining, stop.leaving = True, stop.draining
        now, then = ("at the next epoch", "end now") if stop.leaving else ("once what runs is over", "wait less")
        to_stderr(f"stopping {now}; Ctrl-C again to {then}")

    def terminated(*_: Any) -> None:
        stop.draining = stop.leaving = True

    before = {number: signal.signal(number, handler) for number, handler in _handlers(interrupted, terminated)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers(interrupted: Callable[..., None], terminated: Callable[..., None]) -> list[tuple[int, Any]]:
    """Signals are the main thread's business: elsewhere there are none."""
    main = threading.current_thread() is threading.main_thread()
    return [(signal.SIGINT, interrupted), (signal.SIGTERM, terminated)] if main else []


class BarNotifier:
    """One bar a stage; until the first is known, a moving one.

    Args:
      display: the bars.
    """

    def __init__(self, display: bars.Progress) -> None:
        self._display = display
        self._tasks: dict[str, bars.TaskID] = {}
        self._moving("start")

    def __call__(self, at: Stand) -> None:
        """Show where the search stands; a plan as a line above the bars, what has no bar yet in the moving one."""
        if at.stage in ("start", "end"):
            self._display.update(self._moving(at.stage), note=at.note)
            return
        if at.stage in PLANS:
            self._display.console.print(line_of(at), markup=False, highlight=False)
            return
        if at.total == 0:
            return
        if "start" in self._tasks:
            self._display.remove_task(self._tasks.pop("start"))
        if at.stage not in self._tasks:
            self._tasks[at.stage] = self._display.add_task(at.stage, total=at.total, note="", left=None)
        display, note = self._display, noted(at)
        display.update(self._tasks[at.stage], completed=at.done, total=at.total, note=note, left=at.left)

    def _moving(self, stage: str) -> bars.TaskID:
        """A bar of a stage of which nobody knows how long it takes."""
        if stage not in self._tasks:
            self._tasks[stage] = self._display.add_task(stage, total=None, note="reading the data", left=None)
        return self._tasks[stage]


class _Counted(bars.MofNCompleteColumn):
    """Units done of how many; nothing where their number is not known."""

    def render(self, task: bars.Task) -> Text:
        return Text() if task.total is None else super().render(task)


class _Left(bars.TimeRemainingColumn):
    """The time left, with a word, as who tells it knows it, else as the bar moved; nothing where it is not known."""

    def render(self, task: bars.Task) -> Text:
        told = task.fields.get("left")
        if told is not None:
            return Text(f"left {duration(told)}", style="progress.remaining")
        known = task.total is not None and task.time_remaining is not None
        return Text("left ").append_text(super().render(task)) if known else Text()


def _bars() -> bars.Progress:
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # gives way first where a line is too long
    return bars.Progress(
        bars.TextColumn("{task.description:>8}"),
        bars.BarColumn(bar_width=14),
        _Counted(),
        bars.TimeElapsedColumn(),
        _Left(),
        bars.TextColumn("{task.fields[note]}", markup=False, table_column=note),
        console=Console(stderr=True),
        expand=True,
    )
