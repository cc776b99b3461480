"""A mirror of the records for Optuna's dashboards: a journal file in the study's folder, or a database.

It is written after the records, can be rebuilt from them at any time, and its failure never stops a search. A database
is written by a thread of its own, so that one that hangs does not slow a search either; whatever it missed is written
once it is back.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from autokd.errors import StudyError, UserError
from autokd.ranges import Range
from autokd.search.tpe.database import database_url, describe_error
from autokd.search.tpe.mirrored import mirrored_trial
from autokd.search.tpe.storage import Copy, open_database, open_journal, remove_journal
from autokd.study.store import StudyStore

log = logging.getLogger("autokd")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds from a failed attempt to the next one; twice as long each time."""
LAST_WAIT = 15.0
"""Seconds that the end of a search waits for the mirror."""
FAULTS = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,
    StudyError,
    optuna.exceptions.OptunaError,
    sqlalchemy.exc.SQLAlchemyError,
)
"""What goes wrong with a file or a database."""


def rebuild(store: StudyStore, storage: str | None = None) -> int:
    """Write a study's mirror anew; return the number of its trials.

    Args:
      store: the study.
      storage: URL of a database; None: the journal file in the study's folder.

    Raises:
      UserError: no such database, it cannot be written, or it holds another study of this name.
    """
    try:
        return Mirror(store, storage).rebuild()
    except FAULTS as error:
        raise UserError(f"the Optuna mirror could not be written ({describe_error(error, storage)})") from None


class Mirror:
    """Writes trials where Optuna's dashboards find them, with our numbers and the times at which they began and ended.

    A trial is there from its beginning, as running. One that stopped early runs, too, as long as it may still go on.
    Use it in a `with` statement, or call `close`.

    Args:
      store: the study.
      storage: URL of a database; None: `journal.log` in the study's folder, which is written anew.
      clock: seconds that never go back.

    Raises:
      UserError: no such database.
    """

    def __init__(
        self, store: StudyStore, storage: str | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._storage = storage
        self._open: Callable[[bool], Copy]
        if storage is None:
            remove_journal(store.path)
            self._open = functools.partial(open_journal, store)
        else:
            self._open = functools.partial(open_database, store, database_url(storage))
        self._clock = clock
        self._wanted: dict[int, FrozenTrial] = {}
        self._known: dict[int, tuple[object, ...]] = {}
        self._count = 0
        self._copy: Copy | None = None
        self._broken = False
        self._pause, self._next = FIRST_PAUSE, -float("inf")
        self._writing = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close(finished=kind is None, wait=kind is not KeyboardInterrupt)

    def update(self) -> None:
        """Add what has happened since."""
        if not self._gather(over=False):
            return
        if self._storage is None:
            self._attempt()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_writing, name="autokd-mirror", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self, *, finished: bool = True, wait: bool = True) -> None:
        """Try a last time to write what is missing, and let go of the database.

        Args:
          finished: paused trials are pruned, when they stopped: nobody is about to go on with them.
          wait: for that attempt, a while; else, and where Ctrl-C ends the waiting, the next session writes what is
            missing.
        """
        self._gather(over=finished)
        self._closing.set()
        self._wake.set()
        thread = self._thread or threading.Thread(target=self._finish, daemon=True)
        if self._thread is None:
            thread.start()
        thread.join(LAST_WAIT if wait else 0.0)
        if wait and thread.is_alive():
            log.warning("the Optuna mirror did not answer within %.0f s; the study's records are whole", LAST_WAIT)

    def rebuild(self) -> int:
        """Write everything anew, now; return the number of trials.

        Raises:
          StudyError: the database holds another study of this name.
          Exception: one of `FAULTS`; the file or database cannot be written.
        """
        self._gather(over=True)
        with self._writing:
            try:
                self._forget()
                self._copy = self._open(True)
                self._write()
            finally:
                self._forget()
        return len(self._wanted)

    def _gather(self, *, over: bool) -> bool:
        """Take the trials from the records as they are now; whether one is new or has changed."""
        top, trials = self._store.top_rung, self._store.records.trials
        self._count = len(trials)
        known: dict[int, tuple[object, ...]] = {
            number: (trial.rungs, trial.failure, over) for number, trial in trials.items()
        }
        fresh = {
            number: mirrored_trial(self._ranges, trials[number], top, self._store.objective, over=over)
            for number in known
            if known[number] != self._known.get(number)
        }
        self._known = known
        self._wanted.update(fresh)
        return bool(fresh)

    @functools.cached_property
    def _ranges(self) -> Mapping[str, Range]:
        return self._store.ranges

    def _keep_writing(self) -> None:
        """Write whenever there is something to write, and not too often while that fails."""
        while not self._closing.is_set():
            self._wake.wait(max(0.0, self._next - self._clock()) if self._broken else None)
            self._wake.clear()
            if not self._closing.is_set():
                self._attempt()
        self._finish()

    def _finish(self) -> None:
        """The last attempt; it looks at all that a database holds once more."""
        if self._storage is not None:
            self._forget()
        self._next = -float("inf")
        self._attempt()
        self._forget()

    def _attempt(self) -> None:
        if self._clock() < self._next:
            return
        try:
            with self._writing:
                self._write()
        except FAULTS as error:
            self._failed(error)
            return
        if self._broken:
            log.warning("the Optuna mirror is back; it holds all trials")
        self._broken, self._pause = False, FIRST_PAUSE

    def _failed(self, error: Exception) -> None:
        if not self._broken:
            reason = describe_error(error, self._storage)
            log.warning("the Optuna mirror could not be written (%s); the search goes on and tries again", reason)
        self._broken = True
        self._next, self._pause = self._clock() + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._forget()

    def _write(self) -> None:
        """Add what is missing; where what is there differs from the records, write everything anew."""
        wanted = dict(self._wanted)
        copy = self._copy = self._copy or self._open(False)
        if any(n >= self._count or not _may_become(held, wanted.get(n, held)) for n, held in copy.held.items()):
            copy.close()
            copy = self._copy = self._open(True)
        for number in sorted(wanted):
            copy.bring(number, wanted[number])

    def _forget(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()


def _may_become(held: FrozenTrial, wanted: FrozenTrial) -> bool:
    """Whether a trial that is held is the one that is wanted, or an earlier state of it."""
    if held is wanted:
        return True
    goes_on = held.state == TrialState.RUNNING
    same = ("params", "distributions") if goes_on else ("params", "distributions", "state", "values", "constraints")
    values = held.intermediate_values.items()
    return (
        all(getattr(held, key) == getattr(wanted, key) for key in same)
        and values <= wanted.intermediate_values.items()
        and held.user_attrs.items() <= wanted.user_attrs.items()
        and (goes_on or len(values) == len(wanted.intermediate_values))
    )
