"""Where a mirror lies: a journal file in the study's folder, or a database, opened as a study of Optuna."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import sqlalchemy
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from autokd.errors import StudyError
from autokd.search.tpe.borrowed import CREATION_LOG
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
      study: Optuna's.
      held: the trials that it holds, by number in the records.
      close: lets go of it.
    """

    study: optuna.Study
    held: dict[int, FrozenTrial]
    close: Callable[[], None]


class _Journal(JournalFileBackend):
    """A journal file that is not flushed to disk at every line, since it can be written anew at any time.

    Args:
      path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._path, self._guard = Path(path), JournalFileOpenLock(path)
        super().__init__(path, lock_obj=self._guard)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in logs)
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
    path = str(store.path / "journal.log")
    with quiet_optuna():
        storage = JournalStorage(_Journal(path))
        study = optuna.create_study(study_name=store.name, storage=storage, directions=_directions(store))
    _describe(study, _facts(store))
    return Copy(study, {}, lambda: None)


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
    return Copy(study, held, close)


def _study_in(storage: RDBStorage, store: StudyStore, anew: bool) -> tuple[optuna.Study, dict[int, FrozenTrial]]:
    facts = _facts(store)
    try:
        study = optuna.load_study(study_name=store.name, storage=storage)
    except KeyError:
        return _created(storage, store, facts), {}
    trials = study.get_trials(deepcopy=False)
    _refuse_foreign(study, trials, facts)
    held = {trial.user_attrs.get("number", -1): trial for trial in trials}
    if anew or len(held) < len(trials) or -1 in held or study.user_attrs != facts:
        optuna.delete_study(study_name=store.name, storage=storage)
        return _created(storage, store, facts), {}
    return study, held


def _refuse_foreign(study: optuna.Study, trials: list[FrozenTrial], facts: Mapping[str, Any]) -> None:
    """Leave alone what somebody else keeps under this name in a shared database."""
    attributes = study.user_attrs
    ours = any(attributes.get(key) == facts[key] for key in ("autokd:created", "autokd:folder"))
    if not ours and (attributes or trials):
        raise StudyError(
            f"the database holds another study {study.study_name!r}, which is left alone; rename or delete one of them"
        )


def _created(storage: RDBStorage, store: StudyStore, facts: Mapping[str, Any]) -> optuna.Study:
    with _quiet_creation():
        study = optuna.create_study(study_name=store.name, storage=storage, directions=_directions(store))
    _describe(study, facts)
    return study


def _directions(store: StudyStore) -> list[StudyDirection]:
    """Of each objective, all told such that more is better."""
    return [StudyDirection.MAXIMIZE] * len(store.objective.names)


def _describe(study: optuna.Study, facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        study.set_user_attr(key, value)


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
