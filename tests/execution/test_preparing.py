"""What jobs need beforehand is made by whoever submits them."""

from __future__ import annotations

import dataclasses
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from autokd.data import Dataset
from autokd.engine import prepare
from autokd.engine.artefacts import Artefacts
from autokd.engine.context import TrainContext
from autokd.engine.prepare import Prepared
from autokd.execution.executor import Outcome, RungJob
from autokd.execution.inline import InlineExecutor
from autokd.execution.preparing import PreparingExecutor
from autokd.execution.run_job import run_job
from autokd.spec import make, to_plain
from tests.engine.helpers import context, pipeline, teacher


class Waiting:
    """An executor that trains nothing."""

    capacity = 3

    def __init__(self) -> None:
        self.jobs: deque[RungJob] = deque()
        self.closed = False

    def submit(self, job: RungJob) -> None:
        self.jobs.append(job)

    def collect(self) -> Outcome:
        self.jobs.popleft()
        return Outcome(failure={"kind": "error", "reason": "nobody trains"})

    def close(self) -> None:
        self.closed = True


def job(**parts: Any) -> RungJob:
    return RungJob(pipeline=to_plain(pipeline(**parts)), seed=1, view_seed=2, horizon=1, until=1)


def where(digits: Dataset, folder: Path, **changed: Any) -> TrainContext:
    here = dataclasses.replace(context(digits, teacher(digits.task)), artefacts=Artefacts(folder))
    return dataclasses.replace(here, **changed)


SELECTED = {"selection": make("selections", "difference_sampling", {})}


def test_each_is_made_once_recorded_and_found_by_who_trains(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "reference_epochs", lambda rows: 1)
    made: list[Prepared] = []
    inner = Waiting()
    executor = PreparingExecutor(inner=inner, context=where(digits, tmp_path), record=made.append)
    jobs = [job(**SELECTED), job(losses={"lelp": make("losses", "lelp", {})}), job(**SELECTED, batch_size=64), job()]
    for each in jobs:
        executor.submit(each)
    assert [each.component for each in made] == ["selection.difference_sampling", "losses.lelp"]
    assert list(inner.jobs) == jobs and executor.capacity == 3
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert len(before) == 2
    assert run_job(where(digits, tmp_path), jobs[0]).failure is None
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")} == before
    executor.close()
    assert inner.closed


def test_what_cannot_be_made_fails_its_own_job_with_the_reason(digits: Dataset, tmp_path: Path) -> None:
    here = where(digits, tmp_path, teacher=None)
    executor = PreparingExecutor(inner=InlineExecutor(here), context=here, record=lambda made: None)
    executor.submit(job(**SELECTED))
    executor.submit(job())
    first, second = executor.collect(), executor.collect()
    assert first.failure is not None and "reads the teacher, and there is none" in first.failure["reason"]
    assert second.result is not None
