"""The training at the end of a search: its length, its bundle, and that test is read once."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from autokd.api import deliver, load_student, open_study
from autokd.delivery.recommended import train_recommended
from autokd.errors import Interrupted
from autokd.search import run
from autokd.study.store import StudyStore
from autokd.study.training import Training

SPACE = """\
description: One hidden layer, for tests.
student: {one_of: {mlp: {depth: 1, width: {int: [4, 7]}, dropout: 0.0}}}
augment: {one_of: {none: {}}}
losses: {always: {ce: {weight: 1.0, label_smoothing: 0.0}}, any_of: {at_most: 1, from: {kd: {}}}}
optimizer: {one_of: {sgd: {}}}
schedule: {one_of: {cosine: {}}}
batch_size: 32
budget: {trials: 3, epochs: 2, rungs: 1, finalists: 1, noise_seeds: 0, select_seeds: 0, choose_seeds: 2,
         claim_seeds: 2, fresh_claim: false, train_epochs: 5, teacher_epochs: 1}
"""


class Left(NamedTuple):
    """A clock that says how many seconds are left."""

    left: float


def search(folder: Path, on_end: Callable[[run.Ended], None] = deliver, **asked: Any) -> StudyStore:
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    request = run.Request(dataset="wine", space=folder / "space.yaml", studies_dir=folder / "studies", **asked)
    return run.search(request, lambda at: None, on_end)


def with_left(seconds: float) -> Callable[[run.Ended], None]:
    """What trains at the end with so many seconds left."""
    return lambda ended: train_recommended(dataclasses.replace(ended, clock=Left(seconds)))  # type: ignore[arg-type]


def test_the_bundle_is_trained_at_full_length_and_test_is_not_looked_at_again(tmp_path: Path) -> None:
    told: list[run.Progress] = []
    search(tmp_path, lambda ended: deliver(dataclasses.replace(ended, notify=told.append)), train=True)
    study = open_study("wine", studies_dir=tmp_path / "studies")
    assert study.student_path == tmp_path / "studies" / "wine" / "student"
    assert [(at.stage, at.done, at.total) for at in told] == [("train", n, 5) for n in range(1, 6)]
    metrics = json.loads((study.student_path / "metrics.json").read_text(encoding="utf-8"))
    claim = study.recommendation
    assert claim is not None and metrics["epochs"] == 5
    assert metrics["test"]["accuracy"] == pytest.approx(statistics.fmean(claim.used.test))
    assert metrics["test"]["n"] == claim.n_test and "not looked at on test" in metrics["test"]["note"]
    assert len((study.path / "test_reads.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert load_student(study.student_path).classes
    written = (study.student_path / "metrics.json").stat().st_mtime_ns
    search(tmp_path, train=True)  # it is there
    assert (study.student_path / "metrics.json").stat().st_mtime_ns == written


def test_a_search_that_is_not_asked_to_trains_nothing_more(tmp_path: Path) -> None:
    store = search(tmp_path)
    assert store.records.trainings == [] and not (store.path / "student").exists()


@pytest.mark.parametrize(("seconds", "epochs", "why"), [(0.0, 0, "0 s bear no more"), (1e6, 5, "full length")])
def test_the_length_is_what_the_time_bears_and_never_less_than_the_claims(
    tmp_path: Path, seconds: float, epochs: int, why: str
) -> None:
    [training] = search(tmp_path, with_left(seconds), time=None).records.trainings
    assert (training.epochs, training.full, training.round) == (epochs, 5, 0) and training.reason.startswith(why)
    assert (tmp_path / "studies" / "wine" / "student" / "metrics.json").exists() is bool(epochs)


def test_an_interrupted_training_goes_on_at_the_length_that_was_recorded(tmp_path: Path) -> None:
    def stop_after_two(ended: run.Ended) -> None:
        def notify(at: run.Progress) -> None:
            ended.stop.draining = at.done == 2

        train_recommended(dataclasses.replace(ended, notify=notify))

    with pytest.raises(Interrupted):
        search(tmp_path, stop_after_two)
    folder = tmp_path / "studies" / "wine" / "student"
    assert not (folder / "metrics.json").exists()
    store = search(tmp_path, with_left(0.0))  # no time is left now: what was recorded counts
    assert store.records.trainings == [
        Training(round=0, epochs=5, full=5, samples=store.settings.data.train, reason="full length")
    ]
    assert len(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["curve"]) == 5
