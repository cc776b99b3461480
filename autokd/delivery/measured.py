"""What a trained student is worth, and the temperature that makes its probabilities honest."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from autokd.calibration import calibration_error, fit_temperature, softmax
from autokd.data import Dataset
from autokd.delivery.bundle import TrainedStudent
from autokd.engine.build import build_student
from autokd.engine.evaluate import predict
from autokd.engine.views import to_device
from autokd.graphs.answers import int8_graph, predict_graph
from autokd.metrics import Metric, measure, predictions
from autokd.networks.models import seeded
from autokd.types import Split, Task


def calibrated(student: TrainedStudent, data: Dataset, device: torch.device) -> TrainedStudent:
    """Return the student with the temperature that fits the validation split best."""
    logits = _answer(student, data.task, data.validation, device)
    temperature = fit_temperature(logits.numpy(), data.validation.labels.cpu().numpy())
    return dataclasses.replace(student, temperature=temperature)


def measured(student: TrainedStudent, task: Task, split: Split, device: torch.device) -> dict[str, Any]:
    """Return what a student reaches on a split, as plain data.

    All metrics are of the logits as they are. `calibration_error` is that of the probabilities that `predict` gives,
    `calibration_error_raw` that of those without the temperature.
    """
    logits, labels = _answer(student, task, split, device), split.labels.cpu()
    errors = {
        name: calibration_error(softmax(logits.numpy() / temperature), labels.numpy())
        for name, temperature in (("calibration_error", student.temperature), ("calibration_error_raw", 1.0))
    }
    loss = float(cross_entropy(logits, labels))
    return {**measure(predictions(logits, labels)), "loss": loss, **errors, "n": len(split)}


def measured_for(
    metric: Metric, student: TrainedStudent, data: Dataset, split: Split, device: torch.device
) -> dict[str, Any]:
    """Return what `measured` does, and what a metric is that is of the student in 8 bits, if this one is."""
    found = measured(student, data.task, split, device)
    if not metric.quantised:
        return found
    graph = int8_graph(_network(student, data.task, device), data.task, data.train)
    logits = predict_graph(graph, to_device(split, data.task, device))
    return {**found, metric.name: metric.of(predictions(logits, split.labels.cpu()))}


def _answer(student: TrainedStudent, task: Task, split: Split, device: torch.device) -> Tensor:
    """The student's logits [N, C], float32, on the CPU."""
    return predict(_network(student, task, device), to_device(split, task, device))


def _network(student: TrainedStudent, task: Task, device: torch.device) -> nn.Module:
    spec = student.spec
    with seeded(0):
        module = build_student(spec.student, task, device, head=spec.head, teacher=student.teacher)
    module.load_state_dict(student.state)
    return module
