"""What a training step of a student takes on this device, measured before its trial, once a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from autokd.engine.build import build_student
from autokd.engine.precision import threads_for
from autokd.engine.threads import computing_on
from autokd.networks.models import seeded
from autokd.networks.step_time import step_time
from autokd.search.limits import network_key, student_of
from autokd.search.timing.pace import STEP
from autokd.spec import from_plain
from autokd.study.records import TrialRecord
from autokd.types import Shapes, Task


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """Measures training steps; what the records of a study's trials know is not measured again.

    Args:
      task: the task.
      device, threads: that rungs compute on.
      teacher: what the teacher offers, for heads.
      trials: of the study so far.
    """

    task: Task
    device: torch.device
    threads: int
    teacher: Shapes | None
    trials: Mapping[int, TrialRecord]

    def __call__(self, pipeline: Mapping[str, Any], macs: float) -> dict[str, float]:
        """Return {"step": milliseconds} of a training step of a plain pipeline's network; {} where it does not train.

        Args:
          pipeline: plain.
          macs: the network's multiply-accumulates of one sample.
        """
        key = network_key(pipeline)
        known = (
            trial.cost for trial in self.trials.values() if STEP in trial.cost and network_key(trial.pipeline) == key
        )
        cost = next(known, None)
        if cost is not None:
            return {STEP: cost[STEP]}
        student, head = student_of(pipeline)
        threads = threads_for(from_plain(pipeline), self.task, self.threads)
        try:
            with computing_on(threads), seeded(0, self.device):
                network = build_student(student, self.task, self.device, head=head, teacher=self.teacher)
                return {STEP: round(step_time(network, self.task, self.device, macs), 3)}
        except (RuntimeError, ValueError, MemoryError):  # its trial will say why
            return {}
