"""`autokd watch`: look at a study again and again, from another terminal, without touching it."""

from __future__ import annotations

import contextlib
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from autokd.cli.console import standing as shown
from autokd.cli.console.output import document, out
from autokd.cli.streams import is_terminal
from autokd.errors import AutokdError, StudyError
from autokd.lines import LineNotifier
from autokd.search.standing import Standing, standing
from autokd.study.writer import writer_of

if TYPE_CHECKING:
    from autokd.api import Study
    from autokd.study.store import StudyStore

EVERY = 1.0
"""Seconds between two looks."""
LOG_LINES = 12
"""Lines of the log that are shown, the last ones."""


class Watched:
    """A study that another process may be writing.

    Args:
      open: opens it anew, for reading.
    """

    def __init__(self, open: Callable[[], Study]) -> None:
        self._open = open
        self.study = open()
        self._made = self._identity()

    def look(self, now: float) -> Standing:
        """Return where it stands now; of the records only what is new is read.

        Raises:
          StudyError: it is gone, or damaged.
        """
        if self._identity() != self._made:  # it goes on with other settings, or was begun anew
            self.study, self._made = self._open(), self._identity()
        self.study.store.log.catch_up()
        return standing(self.study.store, now)

    def _identity(self) -> tuple[int, int]:
        """What is another one once the search is started again."""
        try:
            told = (self.study.path / "study.yaml").stat()
        except FileNotFoundError:
            raise StudyError(f"{self.study.path} is gone; it was deleted or moved while it was watched") from None
        return told.st_ino, told.st_mtime_ns


def watch(folder: Path, open: Callable[[], Study], *, once: bool, as_json: bool) -> None:
    """Show where a study stands until nobody works on it.

    Args:
      folder: of the study; it need not hold one yet while a search makes it.
      open: opens it.
      once: show it once and return.
      as_json: once, as one JSON document.
    """
    if not _is_there(folder, waits=not (once or as_json)):
        out(document({"state": "beginning"}) if as_json else f"{folder.name}: a search is making it")
        return
    watched = Watched(open)
    if as_json:
        out(shown.as_json(watched.look(time.time()), watched.study.store))
    elif once:
        out("\n".join(shown.lines(watched.look(time.time()), watched.study.store)))
    elif is_terminal(sys.stdout) and is_terminal(sys.stdin):
        with _keys() as pressed:
            _live(watched, pressed)
    else:
        _in_lines(watched)


def _is_there(folder: Path, *, waits: bool) -> bool:
    """Whether there is a study; while a search makes one there, wait for that or say that there is none yet."""
    while not (folder / "study.yaml").is_file():
        writer = writer_of(folder)
        if writer is None or writer.alive is False:
            return True  # opening it says what is wrong
        if not waits:
            return False
        time.sleep(EVERY)
    return True


def _in_lines(watched: Watched) -> None:
    """A line now and then, as the search itself writes them where there is no terminal; notices once."""
    notify, said = LineNotifier(say=out), set[str]()
    while True:
        at = watched.look(time.time())
        for progress in (at.explore, at.confirm)[: 1 + bool(at.confirm.done)]:
            notify(progress)
        kinds = {notice.split(";")[0].split(":")[0]: notice for notice in at.notices}
        for kind in kinds.keys() - said:
            out(kinds[kind])
        said |= kinds.keys()
        if at.state != "running":
            notify.finish()
            out("\n".join(shown.lines(at, watched.study.store)))
            return
        sys.stdout.flush()
        time.sleep(EVERY)


def _live(watched: Watched, pressed: Callable[[float], str]) -> None:
    """The whole of it, again and again in place, until the user quits or nobody works on it."""
    view, note = "", ""
    with Live(console=Console(highlight=False), auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            at = watched.look(time.time())
            live.update(_screen(watched, at, view, note, live.console.width), refresh=True)
            if at.state != "running" and not view:
                return
            key = pressed(EVERY)
            if key == "q":
                return
            if key in ("l", "t"):
                view = "" if view == key else key
            note = _report(watched.study) if key == "r" else note


def _screen(watched: Watched, at: Standing, view: str, note: str, width: int) -> RenderableType:
    store = watched.study.store
    text = [
        Text(line, style="bold" if line.startswith("!") else "")
        for line in shown.lines(at, store, min(width, shown.WIDTH))
    ]
    below = {"l": _log, "t": shown.best_trials}[view](store) if view else []
    cut = [Text(line, overflow="ellipsis", no_wrap=True) for line in below]
    return Group(*text, *cut, *([Text(note)] if note else []), Text(shown.KEYS, style="dim"))


def _log(store: StudyStore) -> list[str]:
    """The last lines of a study's log."""
    try:
        written = (store.path / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return [f"log.txt: {error.strerror}"]
    return written[-LOG_LINES:] or ["log.txt: nothing yet"]


def _report(study: Study) -> str:
    """Write the report; return where it is, or why it is not."""
    try:
        return f"report: {study.report()}"
    except OSError as error:
        return f"no report: {error.filename}: {error.strerror}"
    except AutokdError as error:
        return f"no report: {error}"


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Yield what waits so many seconds for a key and returns it, "" for none; keys need no Enter meanwhile."""
    try:
        import termios
        import tty
    except ImportError:  # not Unix
        yield _no_key
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield lambda seconds: sys.stdin.read(1) if select.select([sys.stdin], [], [], seconds)[0] else ""
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _no_key(seconds: float) -> str:
    time.sleep(seconds)
    return ""
