"""Student bundles that are made in no time: the weights are drawn, not trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autokd.data import Dataset
from autokd.delivery.bundle import TrainedStudent, write_bundle
from autokd.engine.build import build_student
from autokd.networks.models import seeded
from tests.delivery.helpers import pipeline_for


def bundle_of(folder: Path, data: Dataset, student: Any = None, *, temperature: float = 2.0) -> Path:
    """Write the bundle of a student with drawn weights and running statistics; a small one unless it is given."""
    file = pipeline_for(data)
    if student is not None:
        file = dataclasses.replace(file, spec=dataclasses.replace(file.spec, student=student))
    with seeded(5):
        network = build_student(file.spec.student, data.task)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean = torch.randn_like(module.bias)
                module.running_var = torch.rand_like(module.bias) + 0.5
    trained = TrainedStudent(spec=file.spec, teacher=None, state=network.state_dict(), temperature=temperature)
    metrics = {"validation": {"accuracy": 0.1}, "epochs": 1, "seed": 0}
    write_bundle(folder, trained, dataset=data, metrics=metrics, pipeline_doc=file.to_plain())
    return folder
