"""Executors that answer at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from autokd.engine.build import build_student
from autokd.execution.executor import Outcome, RungJob
from autokd.files import write_tensors
from autokd.networks.models import seeded
from autokd.spec import component_from_plain, fingerprint
from autokd.study.choice import ScreenedStudent
from autokd.types import RungResult, Task


class Screened:
    """Screens by the width of the student alone."""

    proxies = sizes = ()

    def rate(self, students: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> list[ScreenedStudent]:
        return [self.screened(student, names) for student in students]

    def screened(self, student: Mapping[str, Any], names: Sequence[str] | None = None) -> ScreenedStudent:
        width = int(student.get("width", 1))
        return ScreenedStudent(student=dict(student), params=100 * width, macs=1000 * width, proxies={}, score=0.0)


Score = Callable[[RungJob], float | Outcome | None]


class Instant:
    """An executor that trains nothing: `score` says what comes of a job, a number or an outcome of its own.

    An untrained student is kept where a job asks for one, so that its predictions can be measured.
    """

    capacity = 1

    def __init__(self, task: Task, score: Score) -> None:
        self.task = task
        self.score = score
        self.jobs: list[RungJob] = []
        self._waiting: list[RungJob] = []

    def submit(self, job: RungJob) -> None:
        self._waiting.append(job)

    def collect(self) -> Outcome:
        job = self._waiting.pop(0)
        self.jobs.append(job)
        score = self.score(job)
        if isinstance(score, Outcome):
            return score
        if score is None:
            return Outcome(failure={"kind": "not_finite", "reason": "made up"})
        with seeded(job.seed):
            student = build_student(component_from_plain("students", job.pipeline["student"]), self.task)
        curve = tuple({"epoch": k + 1, "loss": 1.0, "score": score} for k in range(job.until))
        result = RungResult(score, 1 - score, job.until, 0.5, curve)
        if job.student is not None:
            write_tensors(job.student, student.state_dict())
        return Outcome(result=result)

    def close(self) -> None:
        """There is nothing to let go of."""


def fixed_score(job: RungJob) -> float:
    """A score that depends on the pipeline and grows with its length."""
    share = int(fingerprint(dict(job.pipeline)), 16) / 16**16
    return 0.5 + 0.3 * share + 0.02 * job.until
