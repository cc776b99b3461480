"""Worker processes: the same outcomes as in this process, and nothing that a trial does to one is the search's end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file

from autokd import catalog
from autokd.data import Dataset
from autokd.engine.checkpoint import load_state
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import Interrupted, StudyError
from autokd.execution.executor import (
    Outcome,
    RungJob,
    Stop,
    job_from_plain,
    job_to_plain,
    outcome_from_plain,
    outcome_to_plain,
)
from autokd.execution.inline import InlineExecutor
from autokd.execution.workers import Launch, WorkerExecutor, describe_exit
from tests.execution import forked
from tests.processes import start
from tests.search.plugins import plugin
from tests.search.processes import wait_until
from tests.search.spaces import CPU, resolved

pytestmark = pytest.mark.slow
GB = 2**30


@pytest.fixture(scope="module", autouse=True)
def plugin_file() -> Iterator[Path]:
    with plugin() as path:
        yield path


def taken() -> int:
    """Bytes that this process holds, which a worker that is forked from it begins with; 0 where it is not told."""
    return int(getattr(psutil.Process().memory_info(), "data", 0))


def setup(data: Dataset, folder: Path) -> dict[str, Any]:
    return {
        "data": data.reference,
        "data_fingerprint": data.task.fingerprint,
        "teacher": None,
        "teacher_fingerprint": None,
        "device": "cpu",
        "threads": 1,
        "memory": taken() + GB,
        "bank": {"folder": str(folder / "bank"), "max_bytes": GB, "features": False},
        "parts": [],
        "metric": "accuracy",
        "views": 0,
        "artefacts": None,
        "plugins": catalog.plugin_files(),
        "profile": True,
    }


@pytest.fixture(scope="module", autouse=True)
def forked_workers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autokd.execution.workers.subprocess", forked)
        yield


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers") / "workers.log"


@pytest.fixture(scope="module")
def executor(digits: Dataset, log_file: Path, forked_workers: None) -> Iterator[WorkerExecutor]:
    """One for all tests, as a search has one: whatever a test does to its worker, the next one trains."""
    made = WorkerExecutor(setup(digits, log_file.parent), 1, launch=Launch(log_file=log_file))
    yield made
    made.close()


def job(data: Dataset, *losses: str, until: int = 2, **places: Any) -> RungJob:
    plain = resolved(data).default().plain
    bad = {name: {"use": name} for name in losses}
    student = {"use": "cnn", "width": 4, "layers": 2}
    ce = {"ce": {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}}
    chosen = {**plain, "student": student, "losses": {**ce, **bad}}
    return RungJob(pipeline=chosen, seed=1, view_seed=2, horizon=max(4, until), until=until, **places)


def outcome(executor: Any, wanted: RungJob) -> Outcome:
    executor.submit(wanted)
    found: Outcome = executor.collect()
    return found


def decided(found: Outcome) -> Any:
    assert found.result is not None, found.failure
    return found.result.score, found.result.loss, found.result.seen, found.result.curve


def worker(executor: WorkerExecutor) -> Any:
    return executor._workers[0]


def test_outcomes_are_those_of_this_process(
    executor: WorkerExecutor, digits: Dataset, log_file: Path, tmp_path: Path
) -> None:
    inline = InlineExecutor(TrainContext(data=digits, teacher=None, device=CPU, bank=TeacherBank()))
    found = {}
    for where, runner in {"here": inline, "there": executor}.items():
        first = job(digits, "t_chatters", save=tmp_path / where / "rung0.pt")
        second = job(digits, "t_chatters", until=4, load=first.save, student=tmp_path / where / "s.safetensors")
        found[where] = [decided(outcome(runner, wanted)) for wanted in (first, second)]
    assert found["here"] == found["there"]
    one, other = (load_file(tmp_path / where / "s.safetensors") for where in found)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert executor._profile.seconds["forward"] > 0
    assert "a loss that prints" in log_file.read_text()


def test_failures_come_back_as_they_are_here(executor: WorkerExecutor, digits: Dataset) -> None:
    for loss, kind in (("t_nan", "not_finite"), ("t_raises", "error"), ("t_memory", "out_of_memory")):
        failure = outcome(executor, job(digits, loss)).failure
        assert failure is not None and failure["kind"] == kind


def test_memory_without_end_fails_the_trial_and_not_its_worker(executor: WorkerExecutor, digits: Dataset) -> None:
    failed = outcome(executor, job(digits, "t_eats"))
    pid = worker(executor).process.pid
    assert failed.failure is not None and failed.failure["kind"] == "out_of_memory"
    assert decided(outcome(executor, job(digits))) and worker(executor).process.pid == pid


def test_a_killed_workers_rung_is_trained_again(executor: WorkerExecutor, digits: Dataset) -> None:
    executor.submit(job(digits, until=4))
    while not worker(executor).ready:
        executor._poll()
    os.kill(worker(executor).process.pid, signal.SIGKILL)
    inline = InlineExecutor(TrainContext(data=digits, teacher=None, device=CPU, bank=TeacherBank()))
    assert decided(executor.collect()) == decided(outcome(inline, job(digits, until=4)))


def test_a_segfault_costs_its_trial_alone(executor: WorkerExecutor, digits: Dataset) -> None:
    for wanted in (job(digits, "t_segfault"), job(digits)):
        executor.submit(wanted)
    failed = executor.collect()
    assert failed.failure == {"kind": "crash", "reason": "it cost 2 workers: it was killed by SIGSEGV"}
    assert decided(executor.collect())


def test_a_trial_that_hangs_is_given_up_with_its_whole_group(
    executor: WorkerExecutor, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "_launch", dataclasses.replace(executor._launch, lease=1.0))
    executor.submit(job(digits, "t_hangs"))
    began, pids = time.monotonic(), set()
    while executor._tasks[0].outcome is None:
        executor._poll()
        pids |= {w.process.pid for w in executor._workers if w is not None}
    failure = executor.collect().failure
    assert failure == {"kind": "timeout", "reason": "it cost 2 workers: it gave no sign of life for 1 s"}
    assert len(pids) == 2 and not any(psutil.pid_exists(pid) for pid in pids)
    assert time.monotonic() - began < 60


def test_draining_ends_what_runs_and_leaving_cuts_it(digits: Dataset, tmp_path: Path) -> None:
    stop = Stop()
    executor = WorkerExecutor(setup(digits, tmp_path), 1, stop=stop)
    cut = tmp_path / "cut.pt"
    try:
        for wanted in (job(digits), job(digits, until=3000, cut=cut)):
            executor.submit(wanted)
        stop.draining = True
        assert decided(executor.collect())
        with pytest.raises(Interrupted):
            executor.collect()
        stop.draining = False
        executor._dispatch()
        time.sleep(0.5)
        stop.draining = stop.leaving = True
        with pytest.raises(Interrupted):
            executor.collect()
    finally:
        executor.close()
    kept = load_state(cut, CPU)
    assert kept is not None and kept["curve"]


def test_workers_end_with_their_coordinator(digits: Dataset, tmp_path: Path) -> None:
    code = (
        "import sys, json; from autokd.execution.executor import *; from autokd.execution.workers import *; "
        "e = WorkerExecutor(json.loads(sys.argv[1]), 1); e.submit(job_from_plain(json.loads(sys.argv[2])))\n"
        "while not e._workers[0].ready: e._poll()\n"
        "print(e._workers[0].process.pid, flush=True); e.collect()"
    )
    arguments = [json.dumps(setup(digits, tmp_path)), json.dumps(job_to_plain(job(digits, "t_hangs")))]
    coordinator, said = start(code, *arguments, folder=tmp_path), tmp_path / "output.txt"
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"), tmp_path, coordinator)
    pid = int(said.read_text())
    assert psutil.pid_exists(pid)
    coordinator.kill()
    coordinator.wait()
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)


def test_a_worker_with_other_data_refuses(digits: Dataset, tmp_path: Path) -> None:
    other = {**setup(digits, tmp_path), "data_fingerprint": "something else"}
    executor = WorkerExecutor(other, 1)
    executor.submit(job(digits))
    with pytest.raises(StudyError, match="a worker cannot take part: the data have changed since the search began"):
        executor.collect()
    executor.close()


def test_workers_that_do_not_start_end_the_search(digits: Dataset, tmp_path: Path) -> None:
    executor = WorkerExecutor({"threads": 1}, 2, launch=Launch(command=(sys.executable, "-c", "raise SystemExit(7)")))
    executor.submit(job(digits))
    with pytest.raises(StudyError, match=r"workers do not start \(it ended with code 7\)"):
        executor.collect()
    executor.close()


def test_jobs_and_outcomes_as_json(digits: Dataset, tmp_path: Path) -> None:
    wanted = job(digits, save=tmp_path / "a", cut=tmp_path / "b")
    assert job_from_plain(job_to_plain(wanted)) == wanted
    failed = Outcome(failure={"kind": "error", "reason": "bad luck"})
    assert outcome_from_plain(outcome_to_plain(failed)) == failed
    assert describe_exit(3) == "it ended with code 3"
    assert describe_exit(-9) == "it was killed by SIGKILL, as the system does where memory runs out"
