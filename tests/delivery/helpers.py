"""Small pipelines and teachers, and one way to train them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from autokd.data import Dataset
from autokd.delivery.full_training import Given, train
from autokd.delivery.pipeline_file import PipelineFile
from autokd.delivery.teller import Listeners, nobody
from autokd.engine.build import build_student
from autokd.engine.loop import OnEpoch
from autokd.networks.models import NetworkTeacher, seeded
from autokd.spec import PipelineSpec, make

CPU = torch.device("cpu")


class Trained(NamedTuple):
    """A finished bundle and what it was made from."""

    directory: Path
    data: Dataset
    file: PipelineFile
    metrics: dict[str, Any]


def pipeline_for(data: Dataset, *, epochs: int = 3, distil: bool = True) -> PipelineFile:
    """A small pipeline with all that has state: momentum, dropout or batch norm, views, a loss with parameters."""
    image = data.task.modality == "image"
    student = make("students", "cnn", {"layers": 2, "width": 4}) if image else make("students", "mlp", {"dropout": 0.2})
    hint = {"hint": make("losses", "hint", {})} if image else {}
    losses = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {}), **hint}
    return PipelineFile(
        spec=PipelineSpec(
            student=student,
            augment=make("augments", "mixup", {}),
            losses=losses if distil else {"ce": losses["ce"]},
            optimizer=make("optimizers", "adamw", {}),
            schedule=make("schedules", "cosine", {}),
            batch_size=64,
        ),
        data=data.reference,
        data_fingerprint=data.task.fingerprint,
        teacher={"use": "autokd", "file": "teacher.safetensors"} if distil else None,
        teacher_fingerprint=None,
        epochs=epochs,
        seed=3,
        provenance=None,
    )


def teacher_for(_: object, data: Dataset) -> NetworkTeacher:
    """A frozen network, the same at every call."""
    image = data.task.modality == "image"
    component = make("students", "cnn", {"width": 8}) if image else make("students", "mlp", {"width": 16})
    with seeded(1):
        return NetworkTeacher([build_student(component, data.task)], data.task, origin="test")


def run(
    file: PipelineFile,
    out: Path,
    data: Dataset,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    on_epoch: OnEpoch = nobody,
    **listeners: Any,
) -> dict[str, Any]:
    """Train a pipeline file into a folder; return the bundle's metrics."""
    file = file.with_training(epochs=epochs, seed=seed)
    told = Listeners(on_epoch=on_epoch, **listeners)
    return train(file, out, Given(data, teacher_for), device=CPU, listeners=told)
