"""A mirror that grew with its search: our numbers, real times, named objectives; what optuna-dashboard serves of it."""

from __future__ import annotations

import json
import threading
import urllib.request
import warnings
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from autokd.objective import Objective
from autokd.search.tpe.mirror import Mirror
from autokd.study.records import RecordLog
from tests.report.conftest import FakeStore, make_study
from tests.search.mirrors import expected, told

BEGAN, STEP = 1_750_000_000.0, 10.0
"""When the first event was recorded, and seconds between two of them: all long ago."""


@pytest.fixture(scope="module", params=["journal.log", "mirror.db"])
def grown(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FakeStore, BaseStorage]]:
    """A study whose mirror was told of every event as it came."""
    path = tmp_path_factory.mktemp("grown") / "demo"
    facts = {"gain": 0.0, "teacher_test": 0.9, "n_test": 10, "dataset": "digits", "classes": ["a", "b"]}
    settings = make_study(path, trials=12, claim=False, **facts).settings  # type: ignore[arg-type]
    events = [json.loads(line) for line in (path / "trials.jsonl").read_text().splitlines()]
    (path / "trials.jsonl").unlink()
    store, file = FakeStore(path, settings, RecordLog(path / "trials.jsonl")), path / request.param
    url = None if request.param == "journal.log" else f"sqlite:///{file}"
    with Mirror(store, url) as mirror:
        for place, event in enumerate(events):
            with (path / "trials.jsonl").open("a") as lines:
                lines.write(json.dumps({**event, "time": BEGAN + STEP * place}) + "\n")
            store.log.catch_up()
            mirror._gather(over=False)
            mirror._attempt()
    storage = JournalStorage(JournalFileBackend(str(file))) if url is None else RDBStorage(url)
    yield store, storage
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def seconds(time: datetime | None) -> float:
    assert time is not None
    return time.timestamp()


def test_a_mirror_that_grew_says_what_the_records_say(grown: tuple[FakeStore, BaseStorage]) -> None:
    store, storage = grown
    trials = storage.get_all_trials(storage.get_all_studies()[0]._study_id)
    assert told(trials) == expected(store)
    assert {t.state for t in trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    for trial, record in zip(trials, store.records.trials.values(), strict=True):
        assert (trial.number, seconds(trial.datetime_start)) == (record.number, record.began)
        assert seconds(trial.datetime_complete) == record.ended  # not when the mirror was written
    failed = trials[7]
    assert failed.constraints == {"not_finite": 1.0} and "nan in epoch 2" in failed.user_attrs["failure"]
    assert store.records.trials[7].failed is not None


@pytest.fixture
def ask(grown: tuple[FakeStore, BaseStorage]) -> Iterator[Callable[[str], Any]]:
    """What the dashboard's server answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the dashboard's own
        dashboard = pytest.importorskip(
            "optuna_dashboard", reason="optuna-dashboard is not installed: pip install 'autokd[test]'"
        )
        application = dashboard.wsgi(grown[1])

        class Quiet(wsgiref.simple_server.WSGIRequestHandler):
            def log_message(self, *_: Any) -> None: ...

        with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            address = f"http://127.0.0.1:{server.server_address[1]}"

            def get(path: str) -> Any:
                with urllib.request.urlopen(address + path) as answer:
                    return json.load(answer)

            yield get
            server.shutdown()
            thread.join()


def test_the_dashboard_shows_the_study(grown: tuple[FakeStore, BaseStorage], ask: Callable[[str], Any]) -> None:
    store = grown[0]
    (listed,) = ask("/api/studies")["study_summaries"]
    assert (listed["study_name"], listed["directions"]) == ("demo", ["maximize"])
    shown = ask(f"/api/studies/{listed['study_id']}")
    assert shown["objective_names"] == ["accuracy"]
    by_number = {trial["number"]: trial for trial in shown["trials"]}
    assert list(by_number) == list(store.records.trials)
    for number, record in store.records.trials.items():
        trial = by_number[number]
        assert trial["state"] == ("Complete" if record.state(store.top_rung) == "complete" else "Pruned")
        assert {p["name"] for p in trial["params"]} == set(record.params or {})
        assert datetime.fromisoformat(trial["datetime_start"]).timestamp() == record.began
        assert datetime.fromisoformat(trial["datetime_complete"]).timestamp() == record.ended
        assert len(trial["intermediate_values"]) == len(record.rungs)


def test_a_metric_of_which_less_is_better_is_minimised(tmp_path: Path) -> None:
    facts = {"gain": 0.0, "teacher_test": 0.9, "n_test": 10, "dataset": "digits", "classes": ["a", "b"]}
    store = make_study(tmp_path / "demo", trials=3, claim=False, **facts)  # type: ignore[arg-type]

    class OfLogLoss(FakeStore):
        objective = Objective(("log_loss",))

    store = OfLogLoss(store.path, store.settings, store.log)
    Mirror(store).close()
    storage = JournalStorage(JournalFileBackend(str(store.path / "journal.log")))
    (study,) = storage.get_all_studies()
    assert [way.name for way in study.directions] == ["MINIMIZE"]
    assert study.system_attrs["study:metric_names"] == ["log_loss"]
    complete = [t for t in storage.get_all_trials(study._study_id) if t.state == TrialState.COMPLETE]
    assert complete
    for trial in complete:
        assert trial.value == -(store.records.trials[trial.number].score or 0)  # scores are negative losses
