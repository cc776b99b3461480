"""A mirror of the records for Optuna's dashboards: a journal file in the study's folder.

It is written after the records, can be rebuilt from them at any time, and its failure never stops a search.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from autokd.ranges import Range
from autokd.search.sampler import frozen, quiet_optuna

if TYPE_CHECKING:
    from autokd.search.store import StudyStore

log = logging.getLogger("autokd")


class Mirror:
    """Writes finished trials to `journal.log`.

    Args:
      store: the study. A journal that does not hold what the records hold is written anew.
    """

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._written: set[int] = set()
        self._broken = False
        self._study: optuna.Study | None = None
        for name in ("journal.log", "journal.log.lock"):  # a killed search leaves its lock behind
            with contextlib.suppress(OSError):
                (store.path / name).unlink()

    def update(self) -> None:
        """Add the trials that are over: complete or failed. Paused ones may still go on and are not shown."""
        top = self._store.top_rung
        over = [t for t in self._store.records.trials.values() if t.state(top) in ("complete", "failed")]
        fresh = [t for t in over if t.number not in self._written and t.params is not None]
        if not fresh:
            return
        try:
            self._study = self._study or self._opened()
            self._study.add_trials([frozen(self._ranges, trial, top) for trial in fresh])
            self._written.update(trial.number for trial in fresh)
        except (OSError, KeyError, ValueError, RuntimeError, optuna.exceptions.OptunaError) as error:
            if not self._broken:
                log.warning("the Optuna mirror could not be written (%s); the study goes on without it", error)
            self._broken = True
            self._study = None

    @functools.cached_property
    def _ranges(self) -> Mapping[str, Range]:
        return self._store.space.ranges()

    def _opened(self) -> optuna.Study:
        path = str(self._store.path / "journal.log")
        storage = JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
        with quiet_optuna():
            return optuna.create_study(
                study_name=self._store.name, storage=storage, direction="maximize", load_if_exists=True
            )
