"""`autokd watch`: what it says of studies that begin, run, stall, stop and are over, without touching them."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
from rich.console import Console

from autokd.api import Study
from autokd.cli import watch as watching
from autokd.cli.console.standing import WIDTH, lines
from autokd.search.standing import standing
from autokd.study.records import RecordLog
from autokd.study.settings import Setting
from autokd.study.store import StudyStore
from tests.report.conftest import make_study

OLD = Path(__file__).parents[1] / "old" / "studies"


def make(path: Path, *, trials: int = 12, claim: bool = False) -> StudyStore:
    classes = [str(digit) for digit in range(10)]
    return make_study(
        path,
        trials=trials,
        claim=claim,
        gain=0.012,
        teacher_test=0.991,
        n_test=540,
        dataset="digits",
        classes=classes,
    )


def held_by(path: Path, pid: int, host: str = "") -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    note = {"host": host or socket.gethostname(), "pid": pid, "since": since}
    (path / "holder.json").write_text(json.dumps(note), encoding="utf-8")


@pytest.fixture
def running(tmp_path: Path) -> StudyStore:
    """A study that this process writes, with a rung under way."""
    store = make(tmp_path / "demo")
    held_by(store.path, os.getpid())
    store.log.append("seconds", stage="prepare", seconds=2.0)
    store.log.append("seconds", stage="screen", seconds=1.0)
    store.log.append("promote", number=3, rung=1)
    return store


def with_settings(store: StudyStore, **values: object) -> StudyStore:
    told = {name: Setting(value, "asked") for name, value in values.items()}
    settings = dataclasses.replace(store.settings, settings={**store.settings.settings, **told})
    return type(store)(store.path, settings, store.log)


def text_of(store: StudyStore, now: float) -> str:
    told = lines(standing(store, now), store)
    assert all(len(line) <= WIDTH for line in told)
    return "\n".join(told)


def test_what_runs_is_told_with_what_is_under_way(running: StudyStore) -> None:
    now = running.records.times[-1] + 3
    at = standing(running, now)
    assert (at.state, at.stage, at.quiet, at.notices) == ("running", "baselines", 3.0, ())
    assert [(flight.trial, flight.begin, flight.end, flight.seconds) for flight in at.under_way] == [(3, 3, 9, 3.0)]
    assert at.explore.done == 12 and at.explore.failures == 1 and at.left is not None and at.left > 0
    best = running.best
    assert best is not None and at.leader is not None and at.leader.trial == best.number
    text = text_of(running, now)
    assert f"process {os.getpid()} on" in text and "last event 3.0 s ago" in text
    assert "trial 3, 3 to 9 epochs, 3.0 s of about 2.4 s" in text and "flatters" in text


def test_values_of_test_are_not_told_while_arms_are_confirmed(running: StudyStore) -> None:
    run = {"stage": "claim", "round": 0, "variant": "", "pipeline": {}, "loss": 0.2, "seconds": 1.0, "failure": None}
    for seed, score in ((1, 0.9), (2, 0.94)):
        running.log.append("run", arm="pick", seed=seed, score=score, **run)
    at = standing(running, time.time())
    assert [(arm.stage, arm.arm, arm.seeds) for arm in at.arms] == [("claim", "Search's pick", 2)]
    assert at.arms[0].validation == pytest.approx(0.92)
    assert "Search's pick: 2 seeds, 92.0 % on validation" in text_of(running, time.time())
    assert "test" not in text_of(running, time.time())


def test_a_search_that_records_nothing_for_long_is_called_stalled(running: StudyStore) -> None:
    usual = standing(running, time.time()).usual
    last = running.records.times[-1]
    assert standing(running, last + 4.9 * usual).notices == ()
    (notice,) = standing(running, last + 5.1 * usual).notices
    assert notice.startswith("stalled?") and "autokd search --study demo" in notice


def test_a_writer_that_died_is_told_with_the_command_that_goes_on(running: StudyStore) -> None:
    held_by(running.path, 2**22 + 1)  # above the largest number of a process
    at = standing(
        with_settings(running, dataset="my data", fresh=True, time=90.0, plugins=["a.py", "b.py"]), time.time()
    )
    assert at.state == "stopped" and at.under_way == () and at.left is None
    assert at.resume == "autokd search --dataset 'my data' --time 90 --plugins a.py --plugins b.py --study demo"
    assert at.notices[0].endswith(f"is gone; go on with: {at.resume}")


def test_a_younger_process_of_the_same_number_is_not_the_writer(running: StudyStore) -> None:
    note = {"host": socket.gethostname(), "pid": os.getpid(), "since": "2001-01-01T00:00:00+00:00"}
    (running.path / "holder.json").write_text(json.dumps(note), encoding="utf-8")
    assert standing(running, time.time()).state == "stopped"


def test_of_a_writer_elsewhere_nobody_knows_whether_it_lives(running: StudyStore) -> None:
    held_by(running.path, 1, host="elsewhere")
    at = standing(running, time.time())
    assert at.state == "running" and at.writer is not None and at.writer.alive is None
    assert "on another machine" in text_of(running, time.time())


def test_time_that_is_over_and_failures_of_one_kind_are_told(running: StudyStore) -> None:
    for number in (2, 4):
        running.log.append("failure", number=number, kind="not_finite", reason=f"the loss became nan in epoch {number}")
    assert not any("failed the same way" in notice for notice in standing(running, time.time()).notices)
    reason = "the training loss became nan in epoch 9"  # trial 7 failed in epoch 2
    for number in (5, 6):
        running.log.append("failure", number=number, kind="not_finite", reason=reason)
    over, failed = standing(with_settings(running, time=60.0), time.time()).notices
    assert over.startswith("over its time: ") and "of 60 s" in over
    assert failed.startswith("3 trials failed the same way (not_finite: ") and "lower the learning rates" in failed


def test_what_was_added_is_read_and_a_line_half_written_is_waited_for(running: StudyStore) -> None:
    seen = RecordLog(running.path / "trials.jsonl", read_only=True)
    assert not seen.catch_up()
    line = json.dumps({"event": "failure", "time": 1.0, "number": 3, "kind": "error", "reason": "x"}) + "\n"
    with (running.path / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write(line[:20])
        file.flush()
        assert not seen.catch_up() and seen.records.trials[3].failure is None
        file.write(line[20:])
    assert seen.catch_up() and seen.records.trials[3].failed == 1.0 and seen.records.in_flight == []
    running.log.catch_up()
    running.log.append("seconds", stage="explore", seconds=1.0)
    assert seen.catch_up() and seen.records == running.records


def test_a_study_of_an_earlier_version(run) -> None:
    for name in ("old-wine", "old-front"):
        ran = run("watch", str(OLD / name), "--once")
        assert ran.code == 0 and ran.out.startswith(f"{name} · finished") and "result    " in ran.out
        told = json.loads(run("watch", str(OLD / name), "--json").out)
        assert told["checks"]["pass"] > 4 and f"✕ {told['checks']['stop']} ▲ {told['checks']['warn']};" in ran.out
        assert told["state"] == "finished" and told["result"] and told["leader"]["epochs"] == 4


def test_a_study_that_begins_and_one_that_is_not_there(run, here: Path) -> None:
    assert run("watch", "nothing").code == 2
    folder = here / "studies" / "new"
    folder.mkdir(parents=True)
    held_by(folder, os.getpid())
    assert run("watch", "new", "--once") == (0, "new: a search is making it\n", "")
    assert json.loads(run("watch", "new", "--json").out) == {"state": "beginning"}


def test_without_a_terminal_lines_are_written_until_nobody_works_on_it(run, here: Path, monkeypatch) -> None:
    store = make(here / "studies" / "demo")
    shutil.copy(OLD / "old-wine" / "study.yaml", store.path)  # what a command opens is read from files
    held_by(store.path, os.getpid())
    monkeypatch.setattr(time, "sleep", lambda seconds: (store.path / "holder.json").unlink())
    before = {file: file.stat().st_mtime_ns for file in store.path.rglob("*") if file.name != "holder.json"}
    ran = run("watch", "demo")
    assert ran.code == 0 and ran.out.startswith("explore: 12/12 best ") and "\x1b" not in ran.out
    assert ran.out.count("explore: ") == 1 and "nobody works on it; go on with: autokd search" in ran.out
    assert {file: file.stat().st_mtime_ns for file in store.path.rglob("*")} == before


def test_keys_show_log_and_trials_write_the_report_and_quit(running: StudyStore, monkeypatch) -> None:
    study = Study(running, running.path / "reports")
    (running.path / "study.yaml").touch()
    monkeypatch.setattr(Study, "report", lambda self: Path("there.html"))
    asked: list[tuple[str, str]] = []

    def screen(watched, at, view, note, width) -> str:
        asked.append((view, note))
        return ""

    monkeypatch.setattr(watching, "_screen", screen)
    keys = iter("lltr")
    watching._live(watching.Watched(lambda: study), lambda seconds: next(keys, "q"))
    assert asked == [("", ""), ("l", ""), ("", ""), ("t", ""), ("t", "report: there.html")]


def test_the_screen_shows_log_or_trials_below(running: StudyStore) -> None:
    study = Study(running)
    (running.path / "study.yaml").touch()
    watched = watching.Watched(lambda: study)
    console = Console(width=100, height=200)

    def screen(view: str) -> str:
        with console.capture() as captured:
            console.print(watching._screen(watched, watched.look(time.time()), view, "said", 100))
        return captured.get()

    assert "log.txt: No such file" in screen("l")
    (running.path / "log.txt").write_text("[red]a line[/red] of the log\n", encoding="utf-8")
    assert "[red]a line[/red] of the log" in screen("l") and "q quit" in screen("l") and "said" in screen("")
    assert "not_finite" in screen("t")


def test_a_report_that_cannot_be_written_is_told(running: StudyStore, monkeypatch) -> None:
    def refuse(self: Study) -> Path:
        raise PermissionError(13, "Permission denied", "reports")

    monkeypatch.setattr(Study, "report", refuse)
    assert watching._report(Study(running)) == "no report: reports: Permission denied"
