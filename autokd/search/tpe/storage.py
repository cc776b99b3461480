"""Where a mirror lies: a journal file in the study's folder, or a database, opened as a study of Optuna."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import sqlalchemy
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autokd.errors import StudyError
from autokd.objective import direction
from autokd.search.tpe.borrowed import CREATION_LOG, METRIC_NAMES, ends_at
from autokd.search.tpe.trials import quiet_optuna
from autokd.study.store import StudyStore

WAITS: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"connect_timeout": 3, "tcp_user_timeout": 5000},  # seconds; milliseconds
    "sqlite": {"timeout": 3},
}
"""How long the drivers wait for a database, unless the URL says so itself."""


class Copy(NamedTuple):
    """An open mirror.

    Args:
      storage: Optuna's.
      study: its study there.
      held: the trials that it holds, by number.
      ends_at: sets when a trial ended that has an end, by its number there; Optuna takes the time of writing.
      close: lets go of it.
    """

    storage: JournalStorage | RDBStorage
    study: int
    held: dict[int, FrozenTrial]
    ends_at: Callable[[int, datetime], contextlib.AbstractContextManager[None]]
    close: Callable[[], None]

    def bring(self, number: int, wanted: FrozenTrial) -> None:
        """Have the copy hold a trial as it is wanted; trials are brought in order, so that their numbers are ours."""
        held = self.held.get(number)
        if held is None:
            self.storage.create_new_trial(self.study, wanted)
        elif held is not wanted and held.state == TrialState.RUNNING:
            self._advance(self.storage.get_trial_id_from_study_id_trial_number(self.study, number), held, wanted)
        self.held[number] = wanted

    def _advance(self, trial: int, held: FrozenTrial, wanted: FrozenTrial) -> None:
        """Write what has happened to a trial that runs there."""
        for step in wanted.intermediate_values.keys() - held.intermediate_values.keys():
            self.storage.set_trial_intermediate_value(trial, step, wanted.intermediate_values[step])
        for key in wanted.user_attrs.keys() - held.user_attrs.keys():
            self.storage.set_trial_user_attr(trial, key, wanted.user_attrs[key])
        for key in wanted.system_attrs.keys() - held.system_attrs.keys():
            self.storage.set_trial_system_attr(trial, key, wanted.system_attrs[key])
        if wanted.state != TrialState.RUNNING and wanted.datetime_complete is not None:
            with self.ends_at(trial, wanted.datetime_complete):
                self.storage.set_trial_state_values(trial, wanted.state, wanted.values)


class _Journal(JournalFileBackend):
    """A journal file that is not flushed to disk at every line, since it can be written anew at any time.

    Args:
      path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path, self._guard = Path(path), JournalFileOpenLock(path)
        self._end: dict[str, str] = {}
        super().__init__(path, lock_obj=self._guard)

    @contextlib.contextmanager
    def ends_at(self, trial: int, when: datetime) -> Iterator[None]:
        """Have the trial that ends meanwhile end at this time."""
        self._end = {"datetime_complete": when.astimezone(UTC).isoformat(timespec="microseconds")}
        try:
            yield
        finally:
            self._end = {}

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        timed = ({**line, **self._end} if "datetime_complete" in line else line for line in logs)
        lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in timed)
        self._guard.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode())
        finally:
            self._guard.release()


def remove_journal(path: Path) -> None:
    """Delete the journal file in a study's folder; a killed search leaves its lock behind, which goes, too."""
    for name in ("journal.log", "journal.log.lock"):
        with contextlib.suppress(OSError):
            (path / name).unlink()


def open_journal(store: StudyStore, anew: bool) -> Copy:
    """Begin a journal file; what was there is gone.

    Args:
      store: the study.
      anew: it always is.
    """
    remove_journal(store.path)
    backend = _Journal(str(store.path / "journal.log"))
    with quiet_optuna():
        storage = JournalStorage(backend)
        study = storage.create_new_study(_directions(store), store.name)
    _describe(storage, study, store)
    return Copy(storage, study, {}, backend.ends_at, lambda: None)


def open_database(store: StudyStore, url: sqlalchemy.URL, anew: bool) -> Copy:
    """Open a study's mirror in a database; make it where it is missing, or holds what no study of autokd would.

    Args:
      store: the study.
      url: of the database.
      anew: empty it first.

    Raises:
      StudyError: it holds another study of this name.
    """
    waits = {key: value for key, value in WAITS[url.get_backend_name()].items() if key not in url.query}
    options = {"pool_pre_ping": True, "connect_args": waits}
    storage = RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)

    def close() -> None:
        storage.remove_session()
        storage.engine.dispose()

    try:
        study, held = _study_in(storage, store, anew)
    except BaseException:
        close()
        raise
    return Copy(storage, study, held, functools.partial(ends_at, storage), close)


def _study_in(storage: RDBStorage, store: StudyStore, anew: bool) -> tuple[int, dict[int, FrozenTrial]]:
    facts = _facts(store)
    try:
        study = optuna.load_study(study_name=store.name, storage=storage)
    except KeyError:
        return _created(storage, store), {}
    trials = study.get_trials(deepcopy=False)
    _refuse_foreign(study, trials, facts)
    ours = all(trial.user_attrs.get("number") == trial.number for trial in trials)
    if anew or not ours or study.user_attrs != facts or study.directions != _directions(store):
        optuna.delete_study(study_name=store.name, storage=storage)
        return _created(storage, store), {}
    return storage.get_study_id_from_name(store.name), {trial.number: trial for trial in trials}


def _refuse_foreign(study: optuna.Study, trials: list[FrozenTrial], facts: Mapping[str, Any]) -> None:
    """Leave alone what somebody else keeps under this name in a shared database."""
    attributes = study.user_attrs
    ours = any(attributes.get(key) == facts[key] for key in ("autokd:created", "autokd:folder"))
    if not ours and (attributes or trials):
        raise StudyError(
            f"the database holds another study {study.study_name!r}, which is left alone; rename or delete one of them"
        )


def _created(storage: RDBStorage, store: StudyStore) -> int:
    with _quiet_creation():
        study = storage.create_new_study(_directions(store), store.name)
    _describe(storage, study, store)
    return study


def _directions(store: StudyStore) -> list[StudyDirection]:
    """Of each objective."""
    return [StudyDirection[direction(name).upper()] for name in store.objective.names]


def _describe(storage: JournalStorage | RDBStorage, study: int, store: StudyStore) -> None:
    storage.set_study_system_attr(study, METRIC_NAMES, list(store.objective.names))
    for key, value in _facts(store).items():
        storage.set_study_user_attr(study, key, value)


def _facts(store: StudyStore) -> dict[str, Any]:
    """What the study is; "created" and "folder" tell it from others of its name."""
    settings = store.settings
    facts = {
        "study": store.name,
        "created": settings.created,
        "folder": f"{socket.gethostname()}:{store.path.resolve()}",
        "version": settings.versions.get("autokd"),
        "dataset": settings.data.name,
        "data_fingerprint": settings.data.task.fingerprint,
        "teacher_fingerprint": None if settings.teacher is None else settings.teacher.fingerprint,
        "rungs": list(settings.identity.rungs),
        "seed": settings.identity.seed,
    }
    return {f"autokd:{key}": value for key, value in facts.items()}


@contextlib.contextmanager
def _quiet_creation() -> Iterator[None]:
    """Keep back Optuna's line for every study made; unlike its verbosity, a filter may change in any thread."""

    def above_info(record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO

    logger = logging.getLogger(CREATION_LOG)
    logger.addFilter(above_info)
    try:
        yield
    finally:
        logger.removeFilter(above_info)
