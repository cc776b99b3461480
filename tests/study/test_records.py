"""The file of events: what it adds up to, and what damage does to it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from autokd.errors import StudyError
from autokd.study.choice import Candidate, Choice, ScreenedStudent
from autokd.study.records import RecordLog, RungRecord, RunRecord, TrialRecord
from tests.search.records import trial
from tests.study.helpers import claim

PIPELINE = {"format": 1, "student": {"use": "cnn"}}
TRIAL: dict[str, Any] = {
    "source": "tpe",
    "seed": 9,
    "pipeline": PIPELINE,
    "params": {"x": 1},
    "cost": {"params": 5, "macs": 7},
}
RUNG = {"rung": 0, "epochs": 3, "score": 0.5, "loss": 1.5, "seconds": 2.0, "curve": [{"epoch": 1, "loss": 2.0}]}
RUN: dict[str, Any] = {
    "stage": "claim",
    "round": 0,
    "arm": "kd",
    "variant": "",
    "seed": 4,
    "pipeline": PIPELINE,
    "score": 0.25,
    "loss": 2.0,
    "seconds": 3.0,
    "failure": None,
}
SCREENED: dict[str, Any] = {
    "student": {"use": "cnn", "width": 3},
    "params": 5,
    "macs": 7,
    "size": 20,
    "proxies": {"nwot": 1.0, "diswot": None},
    "score": 1.0,
}
CANDIDATE = Candidate(
    trial=0, scores=[0.5, 0.75], mean=0.625, dropped_after=None, tied=True, losses=2, params=5, macs=7
)
CHOICE = Choice(round=0, trial=0, candidates=(CANDIDATE,), most_seeds=3, reason="best", trials=2)
CLAIM = claim()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Records with every kind of event."""
    log = RecordLog(tmp_path / "trials.jsonl")
    log.append("screen", students=[SCREENED])
    log.append("trial", number=0, **TRIAL)
    log.append("rung", number=0, **RUNG)
    log.append("rung", number=0, **{**RUNG, "rung": 1, "epochs": 9, "score": 0.75, "seconds": 4.0})
    log.append("trial", number=1, **{**TRIAL, "params": None})
    log.append("failure", number=1, kind="error", reason="boom")
    log.append("run", **RUN)
    log.append("choice", **CHOICE.to_plain())
    log.append("claim", **CLAIM.to_plain())
    log.append("seconds", stage="explore", seconds=1.5)
    log.append("seconds", stage="explore", seconds=2.0)
    return log.path


def test_events_add_up(path: Path) -> None:
    records = RecordLog(path, read_only=True).records
    first = TrialRecord(
        number=0,
        **TRIAL,
        rungs=(
            RungRecord(rung=0, epochs=3, score=0.5, loss=1.5, seconds=2.0, curve=({"epoch": 1, "loss": 2.0},)),
            RungRecord(rung=1, epochs=9, score=0.75, loss=1.5, seconds=4.0, curve=({"epoch": 1, "loss": 2.0},)),
        ),
    )
    second = TrialRecord(number=1, **{**TRIAL, "params": None}, failure={"kind": "error", "reason": "boom"})
    assert records.trials == {0: first, 1: second}
    assert (first.score, first.seconds, second.score, second.seconds) == (0.75, 6.0, None, 0)
    assert records.runs == [RunRecord(**RUN)]
    assert records.screen == [ScreenedStudent(**SCREENED)]
    assert records.choices == [CHOICE]
    assert records.claims == [CLAIM] and records.claim == CLAIM
    assert records.seconds == {"explore": 3.5}


def test_what_is_appended_is_what_is_read(path: Path) -> None:
    log = RecordLog(path)
    log.append("trial", number=2, **TRIAL)
    assert log.records == RecordLog(path, read_only=True).records
    assert log.records.trials[2].number == 2


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (trial(0), "running"),
        (trial(0, 0.5), "paused"),
        (trial(0, 0.5, 0.5), "paused"),
        (trial(0, 0.5, 0.5, 0.5), "complete"),
        (trial(0, 0.5, 0.5, 0.5, failure="error"), "failed"),
        (trial(0, failure="error"), "failed"),
    ],
)
def test_the_state_of_a_trial(made: TrialRecord, state: str) -> None:
    assert made.state(top_rung=2) == state


@pytest.mark.parametrize("torn", [b'{"event": "seco', b"\x00\x00\x00\n", b'{"no": "event"}\n', b"[1]\n", b"\xff\xfe\n"])
def test_a_torn_last_line_is_dropped(path: Path, torn: bytes) -> None:
    whole, records = path.read_bytes(), RecordLog(path, read_only=True).records
    path.write_bytes(whole + torn)
    assert RecordLog(path, read_only=True).records == records
    assert path.read_bytes() == whole + torn  # a reader changes nothing
    log = RecordLog(path)
    assert log.records == records and path.read_bytes() == whole
    log.append("seconds", stage="explore", seconds=1.0)
    assert RecordLog(path, read_only=True).records.seconds == {"explore": 4.5}


@pytest.mark.parametrize(
    "damaged",
    [b'{"event": "tri\n', b'{"event": "rung", "number": 77}\n', b'{"event": "dream"}\n', b'{"event": "run"}\n'],
)
def test_a_damaged_line_in_the_middle_is_refused_by_its_place(path: Path, damaged: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    before = b"".join(lines[:3])
    path.write_bytes(before + damaged + b"".join(lines[3:]))
    for read_only in (True, False):
        with pytest.raises(StudyError, match=rf"trials.jsonl: the line at byte {len(before)} is damaged") as error:
            RecordLog(path, read_only=read_only)
        assert error.value.exit_code == 2 and "\n" not in str(error.value)
    assert path.read_bytes() == before + damaged + b"".join(lines[3:])


def test_an_event_is_on_disk_before_it_counts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RecordLog(path)
    seen: list[tuple[str, int]] = []

    def fsync(file: int) -> None:
        seen.append((path.read_text().splitlines()[-1], len(log.records.trials)))

    monkeypatch.setattr(os, "fsync", fsync)
    log.append("trial", number=2, **TRIAL)
    assert [(json.loads(line)["number"], known) for line, known in seen] == [(2, 2)]
    assert len(log.records.trials) == 3


def test_a_promotion_reaches_the_file_and_is_flushed_with_the_next_event(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(len(path.read_bytes().splitlines())))
    log = RecordLog(path)
    before = len(path.read_bytes().splitlines())
    log.append("promote", number=0, rung=1)
    assert RecordLog(path, read_only=True).records.in_flight == log.records.in_flight
    assert flushed == [] and (0, 1) in log.records.in_flight
    log.append("seconds", stage="explore", seconds=1.0)
    assert flushed == [before + 2]


def test_an_event_that_cannot_be_written_leaves_no_trace(path: Path) -> None:
    log = RecordLog(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        log.append("seconds", stage="explore", seconds=float("nan"))
    assert path.read_bytes() == before and log.records.seconds == {"explore": 3.5}


def test_a_reader_makes_no_file(tmp_path: Path) -> None:
    assert RecordLog(tmp_path / "trials.jsonl", read_only=True).records.trials == {}
    assert list(tmp_path.iterdir()) == []
