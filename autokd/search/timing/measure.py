"""Seconds of one sample on this machine, measured on a few."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.rung import FORWARD
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import NothingFeasible
from autokd.execution.executor import RungJob
from autokd.execution.run_job import run_job
from autokd.networks.cost import student_cost
from autokd.search.baselines import baseline_parts
from autokd.search.population import population
from autokd.search.timing.clock import TIMED_SAMPLES, answer_seconds
from autokd.search.work import Costs
from autokd.space import Space
from autokd.spec import component_from_plain
from autokd.study.arms import baseline_kinds
from autokd.teaching import default_teacher
from autokd.types import Split, Task, Teacher

WARM_UP = 64
"""Samples trained on before those that are timed."""
TYPICAL = 0.9
"""Quantile, by multiply-accumulates, of the student that is measured: screening prefers the larger ones."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What is measured, and on what.

    Args:
      data: the dataset.
      space: resolved.
      teacher: the teacher; None: a default one is to be trained.
      device, threads: that rungs compute on.
      seed: the study's.
    """

    data: Dataset
    space: Space
    teacher: Teacher | None
    device: torch.device
    threads: int
    seed: int

    @property
    def student(self) -> dict[str, Any]:
        """A typical student, plain."""
        return typical_student(self.space, self.data.task, self.seed)

    @property
    def pipeline(self) -> dict[str, Any]:
        """The simplest baseline of the space on a typical student, plain."""
        simplest = baseline_kinds(has_teacher=False)[0]
        return {**self.space.default().plain, **baseline_parts(simplest), "student": self.student}

    def sample_seconds(self, pipeline: Mapping[str, Any]) -> float:
        """Return the seconds of training a plain pipeline without a teacher on one sample; see `sample_seconds`."""
        return sample_seconds(self.data, pipeline, self.device, self.threads)


def measure_costs(probe: Probe) -> Costs:
    """Measure what a sample costs: a typical student's training, the teacher's answer, the default teacher's training.

    Raises:
      NothingFeasible: the space's default pipeline does not train.
    """
    train = probe.sample_seconds(probe.pipeline)
    if probe.teacher is None:
        recipe = default_teacher.recipe(probe.data.task)
        each = probe.sample_seconds(recipe.pipelines[0])
        return Costs(train, FORWARD * each * recipe.members, each, recipe.members, default_teacher.compared(recipe))
    return Costs(train, answer_seconds(probe.teacher, probe.data, probe.device))


def typical_student(space: Space, task: Task, seed: int) -> dict[str, Any]:
    """Return a student that is larger, by multiply-accumulates, than most of those inside the budget."""
    inside, _ = population(space, task, seed)
    ordered = sorted(inside, key=lambda s: student_cost(component_from_plain("students", s), task).macs)
    return ordered[int(TYPICAL * (len(inside) - 1))]


def sample_seconds(data: Dataset, pipeline: Mapping[str, Any], device: torch.device, threads: int) -> float:
    """Measure the seconds of training a pipeline without a teacher on one sample, on a few.

    Raises:
      NothingFeasible: it does not train.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    job = RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=1, until=1)
    try:
        outcomes = [run_job(_few(data, count, device), job) for count in (WARM_UP, TIMED_SAMPLES)]
    finally:
        torch.set_num_threads(before)
    if outcomes[-1].result is None:
        raise NothingFeasible(f"the space's default pipeline does not train: {outcomes[-1].failure}")
    trained, evaluated = (min(TIMED_SAMPLES, len(part)) for part in (data.train, data.validation))
    return outcomes[-1].result.seconds / (trained + FORWARD * evaluated)


def _few(data: Dataset, count: int, device: torch.device) -> TrainContext:
    """A context without a teacher that trains on a few samples."""
    small = _Sample(data, Split(data.train.inputs[:count], data.train.labels[:count]))
    return TrainContext(data=small, teacher=None, device=device, bank=TeacherBank())  # type: ignore[arg-type]


class _Sample:
    """A dataset with a part of its training split."""

    def __init__(self, data: Dataset, train: Split) -> None:
        self.task: Task = dataclasses.replace(data.task, train_size=len(train))
        self.train = train
        self.validation = Split(data.validation.inputs[: len(train)], data.validation.labels[: len(train)])
