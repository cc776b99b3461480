"""The mirror for Optuna's dashboards: readable by Optuna, rebuilt at will, never in the way."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from autokd.data import Dataset
from autokd.errors import UserError
from autokd.execution.executor import Outcome, RungJob
from autokd.search.tpe import mirror as mirror_module
from autokd.search.tpe.database import database_url, describe_error, mask_passwords
from autokd.search.tpe.mirror import Mirror, rebuild
from autokd.study.settings import TeacherFacts
from autokd.study.store import StudyStore
from tests.search.executors import fixed_score
from tests.search.mirrors import expected, in_database, told
from tests.search.records import EPOCHS
from tests.search.spaces import SPACE, context, resolved
from tests.search.stages import explore, explorer
from tests.study.helpers import settings


@pytest.fixture
def store(digits: Dataset, tmp_path: Path) -> StudyStore:
    """A study of eight trials; those with KD fail at the second rung."""

    def score(job: RungJob) -> float | Outcome | None:
        return None if job.until > 1 and "kd" in job.pipeline["losses"] else fixed_score(job)

    space, teacher = resolved(digits), context(digits).teacher
    assert teacher is not None
    made = explorer(tmp_path / "explored", space, digits.task, score)
    asked = settings(rungs=EPOCHS)
    taught = TeacherFacts(
        origin="made", fingerprint="t", validation={}, params=1, may_have_seen_validation=False, offers=teacher.offers
    )
    data = dataclasses.replace(asked.data, task=made.proposer.task)
    identity = dataclasses.replace(asked.identity, space=space.identity())
    asked = dataclasses.replace(asked, identity=identity, data=data, teacher=taught)
    explore(made, 8)
    created = StudyStore.create(tmp_path / "mine", asked, SPACE)
    created.log.records = made.log.records
    return created


def mirrored(store: StudyStore) -> list[FrozenTrial]:
    storage = JournalStorage(JournalFileBackend(str(store.path / "journal.log")))
    study = optuna.load_study(study_name="mine", storage=storage)
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    return study.trials


def test_optuna_reads_complete_and_failed_trials(store: StudyStore) -> None:
    Mirror(store).update()
    seen = {t.user_attrs["number"]: t for t in mirrored(store) if t.state != TrialState.RUNNING}
    over = {
        t.number: t
        for t in store.records.trials.values()
        if t.params is not None and (t.failure is not None or len(t.rungs) == 3)
    }
    assert set(seen) == set(over) and {t.failure is None for t in over.values()} == {True, False}
    for number, t in over.items():
        assert seen[number].params == t.params and seen[number].user_attrs["source"] == t.source
        if t.failure is None:
            assert (seen[number].state, seen[number].value) == (TrialState.COMPLETE, t.score)
        else:
            assert seen[number].state == TrialState.PRUNED and seen[number].constraints == {"not_finite": 1.0}
    best = max((t for t in over.values() if t.failure is None), key=lambda t: t.score or 0)
    assert max(t.value or 0 for t in seen.values() if t.state == TrialState.COMPLETE) == best.score


def test_each_trial_is_mirrored_once_and_the_mirror_is_rebuilt(store: StudyStore) -> None:
    mirror = Mirror(store)
    mirror.update()
    count = len(mirrored(store))
    mirror.update()
    assert len(mirrored(store)) == count > 0
    (store.path / "journal.log").write_text("nonsense\n")
    (store.path / "journal.log.lock").touch()  # a search killed while it wrote leaves its lock
    mirror = Mirror(store)
    assert not (store.path / "journal.log.lock").exists()  # Optuna would wait for it
    mirror.update()
    assert len(mirrored(store)) == count


def test_a_mirror_that_breaks_is_told_once_and_stops_nothing(
    store: StudyStore, caplog: pytest.LogCaptureFixture
) -> None:
    (store.path / "journal.log").mkdir()
    with caplog.at_level(logging.WARNING, "autokd"):
        mirror = Mirror(store)
        mirror.update()
        mirror.update()
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "the Optuna mirror could not be written"
    ]


def test_an_error_of_optunas_own_stops_nothing(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise optuna.exceptions.StorageInternalError("no")

    monkeypatch.setattr(optuna, "create_study", broken)
    level = optuna.logging.get_verbosity()
    Mirror(store).update()
    assert optuna.logging.get_verbosity() == level


def url_of(path: Path) -> str:
    return f"sqlite:///{path / 'mirror.db'}"


def test_a_database_mirrors_the_records(store: StudyStore, tmp_path: Path) -> None:
    level = optuna.logging.get_verbosity()
    with Mirror(store, url_of(tmp_path)) as mirror:
        mirror.update()
        mirror.update()
    said = told(in_database(url_of(tmp_path)))
    assert said == expected(store) and {state for state, *_ in said.values()} == {"COMPLETE", "PRUNED"}
    assert expected(store, over=False) != said
    assert optuna.logging.get_verbosity() == level and not (store.path / "journal.log").exists()
    storage = RDBStorage(url_of(tmp_path))
    facts = optuna.load_study(study_name="mine", storage=storage).user_attrs
    storage.engine.dispose()
    assert (facts["autokd:study"], facts["autokd:dataset"]) == ("mine", "digits")
    assert facts["autokd:rungs"] == [1, 2, 4]
    assert facts["autokd:data_fingerprint"] == store.settings.data.task.fingerprint


def test_paused_trials_run_until_the_search_is_finished(store: StudyStore, tmp_path: Path) -> None:
    mirror = Mirror(store, url_of(tmp_path))
    mirror.update()
    mirror.close(finished=False)
    assert told(in_database(url_of(tmp_path))) == expected(store, over=False)
    with Mirror(store) as journal:
        journal.update()
    assert told(mirrored(store)) == expected(store)


def changed_in(url: str, change: Callable[[RDBStorage, int], object]) -> None:
    storage = RDBStorage(url)
    change(storage, storage.get_study_id_from_name("mine"))
    storage.remove_session()
    storage.engine.dispose()


def test_what_is_missing_is_added_and_what_differs_is_written_anew(store: StudyStore, tmp_path: Path) -> None:
    url = url_of(tmp_path)
    whole = dict(store.records.trials)
    store.records.trials = {number: whole[number] for number in range(5)}
    Mirror(store, url).close()
    few = {t.user_attrs["number"]: t._trial_id for t in in_database(url)}
    assert told(in_database(url)) == expected(store) and 0 < len(few) < len(whole)
    store.records.trials = whole
    Mirror(store, url).close()
    more = {t.user_attrs["number"]: t._trial_id for t in in_database(url)}
    went_on = [n for n in few if expected(store)[n][3] != {r.rung: r.score for r in whole[n].rungs}]
    assert told(in_database(url)) == expected(store) and went_on == []
    assert {number: more[number] for number in few} == few  # they were left as they were

    number, first = next((n, t) for n, t in whole.items() if t.failure is None and len(t.rungs) == 3)
    top = dataclasses.replace(first.rungs[2], score=0.125)
    store.records.trials = {**whole, number: dataclasses.replace(first, rungs=(*first.rungs[:2], top))}
    Mirror(store, url).close()
    assert told(in_database(url)) == expected(store) and told(in_database(url))[number][1] == 0.125
    changed_in(url, lambda storage, study: storage.create_new_trial(study))  # somebody's own trial
    Mirror(store, url).close()
    assert told(in_database(url)) == expected(store)
    changed_in(url, lambda storage, study: storage.create_new_trial(study, in_database(url)[0]))  # twice
    Mirror(store, url).close()
    assert told(in_database(url)) == expected(store)
    store.records.trials = {number: whole[number] for number in range(5)}  # a fresh study has fewer
    assert rebuild(store, url) == len(few)
    assert told(in_database(url)) == expected(store)


def test_another_study_of_the_name_is_left_alone(
    store: StudyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = url_of(tmp_path)
    storage = RDBStorage(url)
    optuna.create_study(study_name="mine", storage=storage).set_user_attr("whose", "not ours")
    storage.engine.dispose()
    Mirror(store, url).close()
    assert "the database holds another study 'mine', which is left alone" in caplog.text
    with pytest.raises(UserError, match="another study 'mine'"):
        rebuild(store, url)
    assert in_database(url) == []


class Ticks:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_database_that_breaks_is_told_once_tried_less_and_less_and_told_again_when_back(
    store: StudyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, clock, attempts = tmp_path / "later", Ticks(), []
    whole = dict(store.records.trials)
    mirror = Mirror(store, url_of(folder), clock=clock)
    opened = mirror._open

    def noted(anew: bool) -> Any:
        attempts.append(clock.now)
        return opened(anew)

    monkeypatch.setattr(mirror, "_open", noted)
    mirror._gather(over=False)
    for now in np.arange(100.0, 110.0, 0.5):
        clock.now = float(now)
        mirror._attempt()
    assert attempts == [100.0, 101.0, 103.0, 107.0]
    assert len(caplog.records) == 1 and "unable to open database file" in caplog.text
    folder.mkdir()
    clock.now = 115.0
    mirror._attempt()
    assert [r.message.partition(" (")[0] for r in caplog.records] == [
        "the Optuna mirror could not be written",
        "the Optuna mirror is back; it holds all trials",
    ]
    mirror.close()
    assert len(caplog.records) == 2 and store.records.trials == whole
    assert told(in_database(url_of(folder))) == expected(store)


def test_a_database_out_of_reach_costs_the_search_nothing(store: StudyStore, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'autokd[postgres]'")
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes the connection and says nothing
        mirror = Mirror(store, f"postgresql://me:hush%21@127.0.0.1:{server.getsockname()[1]}/db?connect_timeout=120")
        mirror.update()
        assert not caplog.records  # it did not wait for an answer: there was none yet, nor an error
    mirror.close()  # the server is gone, which ends the waiting of its thread
    assert len(caplog.records) == 1 and "could not be written" in caplog.text and "hush" not in caplog.text


def test_one_that_hangs_does_not_keep_the_search_from_ending(
    store: StudyStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mirror_module, "LAST_WAIT", 0.2)
    mirror, answer = Mirror(store, url_of(tmp_path)), threading.Event()
    opened = mirror._open
    monkeypatch.setattr(mirror, "_open", lambda anew: (answer.wait(), opened(anew))[1])
    mirror.update()
    mirror.close()
    assert [r.message for r in caplog.records] == [
        "the Optuna mirror did not answer within 0 s; the study's records are whole"
    ]
    answer.set()
    assert mirror._thread is not None
    mirror._thread.join()
    assert told(in_database(url_of(tmp_path))) == expected(store)


@pytest.fixture
def hanging(store: StudyStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror whose database never answers; the end of a search would wait for it for a minute."""
    answers = threading.Event()

    def opened(*_: object) -> None:
        answers.wait()
        raise OSError("gone")

    monkeypatch.setattr(mirror_module, "LAST_WAIT", 60.0)
    monkeypatch.setattr(mirror_module, "open_database", opened)
    yield Mirror(store, "sqlite:////nowhere.db")
    answers.set()


def test_a_third_ctrl_c_does_not_wait_for_a_mirror_that_hangs(hanging: Mirror) -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), hanging:
        hanging.update()
        raise KeyboardInterrupt
    assert time.monotonic() - began < 30


def test_ctrl_c_ends_the_wait_for_a_mirror_that_hangs(hanging: Mirror) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    press = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt), hanging:
            hanging.update()
            press.start()
        assert time.monotonic() - began < 30
    finally:
        press.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("url", ["me:hush@host/db", "postgresql://me:hush@host:port/db"])
def test_a_bad_url_is_refused_in_one_line_that_does_not_repeat_it(store: StudyStore, url: str) -> None:
    with pytest.raises(UserError, match=r"^--storage .*: not the URL of a database") as refused:
        Mirror(store, url)
    shown = "".join(traceback.format_exception(refused.value))
    assert "hush" not in shown and "\n" not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_plain_forms_of_a_url_mean_psycopg(scheme: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'autokd[postgres]'")
    assert str(database_url(f"{scheme}://host/db")) == "postgresql+psycopg://host/db"


def test_passwords_in_a_query_and_in_what_the_driver_says_are_masked() -> None:
    url = "postgresql://me:hush%21@host/db?password=secret&sslmode=require"
    assert mask_passwords(url) == "postgresql://me:***@host/db?password=%2A%2A%2A&sslmode=require"
    error = OSError('login of "me" with hush! or hush%21 and secret failed\nmore')
    assert describe_error(error, url) == 'login of "me" with *** or *** and *** failed'
