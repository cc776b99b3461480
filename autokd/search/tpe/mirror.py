"""A mirror of the records for Optuna's dashboards: a journal file in the study's folder, or a database.

It is written after the records, can be rebuilt from them at any time, and its failure never stops a search. A database
is written by a thread of its own, so that one that hangs does not slow a search either; whatever it missed is written
once it is back.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, quote_plus

import optuna
import sqlalchemy
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from autokd.errors import MissingDependency, StudyError, UserError
from autokd.ranges import Range
from autokd.search.tpe.sampler import frozen, quiet_optuna

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

log = logging.getLogger("autokd")

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}
"""What the beginning of a URL may be, and SQLAlchemy's name for it."""
WAITS: Mapping[str, Mapping[str, Any]] = {
    "postgresql": {"connect_timeout": 3, "tcp_user_timeout": 5000},  # seconds; milliseconds
    "sqlite": {"timeout": 3},
}
"""How long the drivers wait for a database, unless the URL says so itself."""
SECRETS = ("password", "sslpassword")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds from a failed attempt to the next one; twice as long each time."""
LAST_WAIT = 15.0
"""Seconds that the end of a search waits for the mirror."""
OVER = ("complete", "failed")
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
CREATION_LOG = "optuna.storages._rdb.storage"


def database_url(text: str) -> sqlalchemy.URL:
    """Return the URL of a mirror's database with the driver to be used.

    Args:
      text: postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///FILE.

    Raises:
      UserError: it is no such URL; the message does not repeat it, since it may hold a password.
      MissingDependency: the driver is not installed.
    """
    try:
        url = sqlalchemy.make_url(text)
        url = url.set(drivername=DRIVERS[url.drivername])
    except (ValueError, KeyError, sqlalchemy.exc.ArgumentError):
        scheme = text.partition("://")[0] if "://" in text else ""
        raise UserError(
            f"--storage {scheme + '://…' if scheme else '…'}: not the URL of a database that can mirror a study; "
            "use postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE"
        ) from None
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise UserError("--storage sqlite://: it names no file; use sqlite:///FILE")
    try:
        url.get_dialect().import_dbapi()
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise MissingDependency("psycopg", "postgres") from None
    return url


def masked(text: str) -> str:
    """Return a database's URL with its passwords replaced, to be shown or kept."""
    url = sqlalchemy.make_url(text)
    hidden = {key: "***" for key in SECRETS if key in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


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
        raise UserError(f"the Optuna mirror could not be written ({_reason(error, storage)})") from None


class Mirror:
    """Writes trials where Optuna's dashboards find them.

    Trials outside the space have no parameters that Optuna could show, and are left out. Use it in a `with` statement,
    or call `close`.

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
        self._open: Callable[[bool], _Copy]
        if storage is None:
            _remove_journal(store.path)
            self._open = functools.partial(_opened_journal, store)
        else:
            self._open = functools.partial(_opened_database, store, database_url(storage))
        self._clock = clock
        self._wanted: dict[int, FrozenTrial] = {}
        self._count = 0
        self._copy: _Copy | None = None
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
        """Add the trials that are over: complete or failed. Paused ones may still go on and are not shown."""
        if not self._gather(OVER):
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
          finished: paused trials are shown, too, as pruned: nobody is about to go on with them.
          wait: for that attempt, a while; else, and where Ctrl-C ends the waiting, the next session writes what is
            missing.
        """
        self._gather((*OVER, "paused") if finished else OVER)
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
        self._gather((*OVER, "paused"))
        with self._writing:
            try:
                self._forget()
                self._copy = self._open(True)
                self._write()
            finally:
                self._forget()
        return len(self._wanted)

    def _gather(self, states: tuple[str, ...]) -> bool:
        """Take trials of these states from the records; whether there are new ones."""
        top, trials = self._store.top_rung, self._store.records.trials
        self._count = len(trials)
        fresh = {
            trial.number: frozen(self._ranges, trial, top, self._store.objective)
            for trial in trials.values()
            if trial.number not in self._wanted and trial.params is not None and trial.state(top) in states
        }
        self._wanted.update(fresh)
        return bool(fresh)

    @functools.cached_property
    def _ranges(self) -> Mapping[str, Range]:
        return self._store.space.ranges()

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
            log.warning("the Optuna mirror is back; it holds all trials that are over")
        self._broken, self._pause = False, FIRST_PAUSE

    def _failed(self, error: Exception) -> None:
        if not self._broken:
            reason = _reason(error, self._storage)
            log.warning("the Optuna mirror could not be written (%s); the search goes on and tries again", reason)
        self._broken = True
        self._next, self._pause = self._clock() + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        self._forget()

    def _write(self) -> None:
        """Add what is missing; where what is there differs from the records, write everything anew."""
        wanted = dict(self._wanted)
        copy = self._copy = self._copy or self._open(False)
        if any(n >= self._count or not _same(held, wanted.get(n, held)) for n, held in copy.held.items()):
            copy.close()
            copy = self._copy = self._open(True)
        for number in sorted(wanted.keys() - copy.held.keys()):
            copy.study.add_trial(wanted[number])
            copy.held[number] = wanted[number]

    def _forget(self) -> None:
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()


class _Copy(NamedTuple):
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


def _remove_journal(path: Path) -> None:
    for name in ("journal.log", "journal.log.lock"):  # a killed search leaves its lock behind
        with contextlib.suppress(OSError):
            (path / name).unlink()


def _opened_journal(store: StudyStore, anew: bool) -> _Copy:
    _remove_journal(store.path)
    path = str(store.path / "journal.log")
    with quiet_optuna():
        storage = JournalStorage(_Journal(path))
        study = optuna.create_study(study_name=store.name, storage=storage, directions=_directions(store))
    _describe(study, _facts(store))
    return _Copy(study, {}, lambda: None)


def _opened_database(store: StudyStore, url: sqlalchemy.URL, anew: bool) -> _Copy:
    """Open a study's mirror in a database; make it where it is missing, or holds what no study of autokd would."""
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
    return _Copy(study, held, close)


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


def _same(one: FrozenTrial, other: FrozenTrial) -> bool:
    """Whether two trials say the same; when they were written, and as which Optuna number, does not count."""
    return one is other or all(
        getattr(one, key) == getattr(other, key)
        for key in ("state", "values", "params", "distributions", "user_attrs", "intermediate_values", "constraints")
    )


def _reason(error: BaseException, storage: str | None) -> str:
    """The error's first line without passwords; Optuna's own hides the database's behind it."""
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for secret in _secrets(storage):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "***")
    return text


def _secrets(storage: str | None) -> list[str]:
    if storage is None:
        return []
    url = sqlalchemy.make_url(storage)
    found = [url.password, *(url.query.get(key) for key in SECRETS)]
    return [str(secret) for secret in found if secret]
