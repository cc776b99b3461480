"""Whether a student may be tried: what it costs, the study's limits, and latencies, measured once a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from autokd import compat
from autokd.components import is_blind
from autokd.engine.build import build_student
from autokd.engine.threads import computing_on
from autokd.errors import UserError, nearest
from autokd.graphs import running
from autokd.graphs.answers import int8_size, latency_form
from autokd.metrics import Metric
from autokd.networks.cost import Cost, latency, student_cost, student_fits
from autokd.networks.models import seeded
from autokd.objective import Objective
from autokd.options import Limits
from autokd.space import Space
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


BLIND = 10.0
"""What a student that does not see its input exceeds any budget by."""


def excess_of(pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None, limits: Mapping[str, float]) -> float:
    """Return by how much the student of a plain pipeline exceeds its limits; see `over`. `BLIND` if it is of no use."""
    if is_blind(student_of(pipeline)[0]):
        return BLIND
    return over(pipeline_cost(pipeline, task, teacher), limits)


def why_outside(
    pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None, limits: Mapping[str, float]
) -> str | None:
    """Say what is wrong with the student of a plain pipeline, or None where it may be drawn; latency is measured."""
    if is_blind(student_of(pipeline)[0]):
        return "does not see its input"
    excess = over(pipeline_cost(pipeline, task, teacher), limits)
    return f"exceeds the budget, {excess:.3g} times the limit" if excess > 1 else None


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


TORCH, ONNX = "torch", "onnx"
"""What latency is measured with: PyTorch on the device of the search, or onnxruntime on the CPU."""
SIZE, INT8_SIZE, LATENCY = "size", "size_int8", "latency"
"""Names of costs: of the weights in float, of the file in 8 bits, and of one sample's time."""
BYTES_OF_FLOAT = 4
"""So many times as large as in 8 bits a student's weights may be at most: the file has at least a byte for each."""


class Measures(NamedTuple):
    """What is measured of students before they are trained.

    Args:
      latency: whether their latency counts.
      runtime: what it is measured with.
      int8: whether they are to answer in 8 bits: the size of that file counts, and under onnxruntime its latency.
    """

    latency: bool = True
    runtime: str = TORCH
    int8: bool = False

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to measure."""
        return not (self.latency or self.int8)

    @property
    def of_torch(self) -> bool:
        """Whether latencies are measured with PyTorch, as that of a teacher is."""
        return self.latency and self.runtime == TORCH

    def where(self, device: str) -> str:
        """Return what latencies are measured on, given the search's device in words."""
        if self.runtime == TORCH:
            return device
        return f"cpu with onnxruntime{' in 8 bits' if self.int8 else ''}"


OF_TORCH = Measures()
"""Latency, on the device of the search."""


@dataclass(frozen=True)
class Meter:
    """Measures what does not follow from shapes: how long students take and how large they are in 8 bits, each once.

    Args:
      task: the task.
      device: where students are to answer.
      teacher: what the teacher offers, for heads.
      threads: that a forward pass computes on.
      known: latencies that were measured before, milliseconds by `network_key`.
      record: called with a key and its milliseconds before they are used; keeps them in `known`.
      measures: what is measured, and with what.
    """

    task: Task
    device: torch.device
    teacher: Shapes | None
    threads: int
    known: Mapping[str, float]
    record: Callable[[str, float], None]
    measures: Measures = OF_TORCH

    def __call__(self, pipeline: Mapping[str, Any]) -> float:
        """Return the milliseconds that the network of a plain pipeline takes for one sample."""
        key = network_key(pipeline)
        if key not in self.known:
            self.record(key, self._measured(pipeline))
        return self.known[key]

    def int8_size(self, pipeline: Mapping[str, Any]) -> float:
        """Return the bytes of the network of a plain pipeline in 8 bits, as a file."""
        student, head = student_of(pipeline)
        return float(int8_size(student, self.task, head, self.teacher))

    def cost(self, pipeline: Mapping[str, Any]) -> dict[str, float]:
        """Return all that is measured of a plain pipeline's network, by name."""
        size = {INT8_SIZE: self.int8_size(pipeline)} if self.measures.int8 else {}
        return {**size, **({LATENCY: self(pipeline)} if self.measures.latency else {})}

    def excess(self, pipeline: Mapping[str, Any], limits: Mapping[str, float]) -> float:
        """Return the largest measured cost as a multiple of its limit; one that is too large is not timed."""
        large = self.int8_size(pipeline) / limits[INT8_SIZE] if INT8_SIZE in limits else 0.0
        return large if large > 1 or LATENCY not in limits else max(large, self(pipeline) / limits[LATENCY])

    def refuse_without_int8(self, students: Iterable[Mapping[str, Any]]) -> None:
        """Refuse plain students that have no form in 8 bits, where they are to answer in it.

        Raises:
          ComponentError: one has none; it is named.
        """
        for student in students if self.measures.int8 else ():
            self.int8_size({"student": student})

    @property
    def where(self) -> str:
        """What latencies are measured on."""
        return self.measures.where(str(self.device))

    def _measured(self, pipeline: Mapping[str, Any]) -> float:
        student, head = student_of(pipeline)
        device = self.device if self.measures.runtime == TORCH else torch.device("cpu")
        with seeded(0, device):
            network = build_student(student, self.task, device, head=head, teacher=self.teacher)
        if self.measures.runtime == ONNX:
            graph = latency_form(network, self.task, int8=self.measures.int8)
            session = running.session(graph, threads=self.threads)
            return round(running.latency(session, running.example(self.task)), 4)
        with computing_on(self.threads):
            return round(latency(network, self.task, self.device), 4)


def recorded_cost(
    pipeline: Mapping[str, Any], task: Task, teacher: Shapes | None, meter: Meter | None
) -> dict[str, float]:
    """Return what the student of a plain pipeline costs, by name; with a meter also what that measures."""
    cost = step_cost(pipeline, task, teacher)
    return cost if meter is None else {**cost, **meter.cost(pipeline)}


def checked(objective: Objective, asked: Limits) -> Objective:
    """Return an objective, or refuse a way to measure that there is not, before anything is trained.

    Args:
      objective: says whether students answer in 8 bits.
      asked: what latencies are to be measured with.

    Raises:
      UserError: nothing of that name measures latency.
      MissingDependency: onnx or onnxruntime is needed and not installed.
    """
    if asked.latency_with not in (TORCH, ONNX):
        raise UserError(f"--latency-with {asked.latency_with}: {nearest(asked.latency_with, (TORCH, ONNX))}")
    needed = objective.metric.quantised or asked.latency_with == ONNX
    for package in ("onnx", "onnxruntime") if needed else ():
        compat.import_module(package, "onnx")
    return objective


def resolve_space(
    space: Space, task: Task, teacher: Shapes | None, limits: Mapping[str, float | None], metric: Metric
) -> Space:
    """Return the space that is left for a task and a teacher, within limits; see `autokd.space.Space.resolve`.

    Args:
      space: as its file has it.
      task, teacher: the data, and what the teacher offers.
      limits: by the name of their option, in place of the file's; None keeps that.
      metric: the first objective. Where it is of students in 8 bits, the limit of the size is one of that file,
        `INT8_SIZE`, and beside it stands the largest size in float that may keep it.
    """
    most = limits[f"max_{SIZE}"] or space.constraints.get(SIZE)
    if not metric.quantised or most is None:
        return space.resolve(task, teacher, **limits)
    left = space.resolve(task, teacher, **{**limits, f"max_{SIZE}": BYTES_OF_FLOAT * most})
    return dataclasses.replace(left, constraints={**left.constraints, INT8_SIZE: most})
