"""Whether a student may be tried: what it costs, the study's limits, and latencies, measured once a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from autokd.engine.build import build_student
from autokd.networks.cost import Cost, latency, student_cost, student_fits
from autokd.networks.models import seeded
from autokd.spec import beside_slots, component_from_plain, fingerprint, slots
from autokd.types import Shapes, Task


def feasible(student: Mapping[str, Any], task: Task, constraints: Mapping[str, float]) -> bool:
    """Whether a plain student lies inside the budget."""
    return student_fits(component_from_plain("students", student), task, constraints)


def inside(cost: Cost, constraints: Mapping[str, float]) -> bool:
    """Whether a cost lies inside the budget, as far as it follows from the architecture: latency is measured."""
    return over(cost, constraints) <= 1


def over(cost: Cost, constraints: Mapping[str, float]) -> float:
    """Return the largest cost as a multiple of its limit: 1 and less lie inside the budget; latency is measured."""
    known = cost._asdict()
    return max((known[name] / limit for name, limit in constraints.items() if name in known), default=0.0)


def pipeline_cost(pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None) -> Cost:
    """Return what the student of a plain pipeline costs, its head included."""
    student, head = student_of(pipeline)
    return student_cost(student, task, head, teacher)


def step_cost(pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None) -> dict[str, float]:
    """Return what the student of a plain pipeline costs, by name, and with a peer beside it what a step computes.

    That is "trained_macs", the multiply-accumulates of all networks that train; no limit is on them.
    """
    cost: dict[str, float] = pipeline_cost(pipeline, task, teacher)._asdict()
    beside = [pipeline[name] for name in beside_slots(slots()) if pipeline.get(name) is not None]
    macs = [student_cost(component_from_plain("students", peer), task).macs for peer in beside]
    return {**cost, "trained_macs": cost["macs"] + sum(macs)} if macs else cost


def student_of(pipeline: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the student and the head of a plain pipeline; None for the head of one from before there were heads."""
    head = component_from_plain("heads", pipeline["head"]) if "head" in pipeline else None
    return component_from_plain("students", pipeline["student"]), head


def network_key(pipeline: Mapping[str, Any]) -> str:
    """Identify the network of a plain pipeline or of a bare student {"student": …}: the student with its head."""
    return fingerprint([dict(pipeline["student"]), dict(pipeline.get("head", {"use": "plain"}))])


@dataclass(frozen=True)
class LatencyMeter:
    """Measures how long students take, each network once; see `autokd.networks.cost.latency`.

    Args:
      task: the task.
      device: where students are to answer.
      teacher: what the teacher offers, for heads.
      threads: that a forward pass computes on.
      known: what was measured before, milliseconds by `network_key`.
      record: called with a key and its milliseconds before they are used; keeps them in `known`.
    """

    task: Task
    device: torch.device
    teacher: Shapes | None
    threads: int
    known: Mapping[str, float]
    record: Callable[[str, float], None]

    def __call__(self, pipeline: Mapping[str, Any]) -> float:
        """Return the milliseconds that the network of a plain pipeline takes for one sample."""
        key = network_key(pipeline)
        if key not in self.known:
            self.record(key, self._measured(pipeline))
        return self.known[key]

    def _measured(self, pipeline: Mapping[str, Any]) -> float:
        student, head = student_of(pipeline)
        with seeded(0, self.device):
            network = build_student(student, self.task, self.device, head=head, teacher=self.teacher)
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return round(latency(network, self.task, self.device), 4)
        finally:
            torch.set_num_threads(before)


def recorded_cost(
    pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None, meter: LatencyMeter | None
) -> dict[str, float]:
    """Return what the student of a plain pipeline costs, by name; its latency too, where there is a meter."""
    cost = step_cost(pipeline, task, teacher)
    return cost if meter is None else {**cost, "latency": meter(pipeline)}
