"""A model's predictions on a split; `autokd.metrics` says what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd.engine.views import DeviceData, ask, normalise, raw_view
from autokd.networks.models import as_output
from autokd.networks.settling import Settling
from autokd.types import Inputs, Output, Teacher

CHUNK = 256


def settle(model: nn.Module, data: DeviceData) -> None:
    """Let a network that chooses how it answers do so on a split that it was not trained on; its mode is restored."""
    if not isinstance(model, Settling):
        return
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        model.settle((inputs for _, inputs in chunks(data)), data.labels)
    model.train(was_training)


def predict(model: nn.Module, data: DeviceData) -> Tensor:
    """Return logits [N, C], float32, on the CPU, in eval mode; the model's mode is restored."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        logits = [as_output(model(inputs)).logits for _, inputs in chunks(data)]
    model.train(was_training)
    return torch.cat(logits).float().cpu()


def predict_teacher(teacher: Teacher, data: DeviceData) -> Tensor:
    """Return the teacher's logits [N, C], float32, on the CPU."""
    return answers_on(teacher, data).outputs.logits


class Answered(NamedTuple):
    """A teacher's outputs on a whole split, on the CPU, float32, and the labels [N].

    The outputs hold logits [N, C] and, where the teacher offers it, pooled [N, D].
    """

    outputs: Output
    labels: Tensor


def answers_on(teacher: Teacher, data: DeviceData) -> Answered:
    """Ask a teacher about a whole split, as it is."""
    answers = (ask(teacher, data, rows, inputs) for rows, inputs in chunks(data.of_teacher))
    outputs = [output._replace(features=(), tokens=(), attention=()) for output in answers]
    kept = [output.map(lambda tensor: tensor.float().cpu()) for output in outputs]
    pooled = [output.pooled for output in kept if output.pooled is not None]
    logits = torch.cat([output.logits for output in kept])
    return Answered(Output(logits, pooled=torch.cat(pooled) if pooled else None), data.labels.cpu())


def chunks(data: DeviceData) -> Iterator[tuple[slice, Inputs]]:
    """Yield a whole split in its order, some samples at a time: which ones, and they as a network takes them."""
    for start in range(0, len(data.labels), CHUNK):
        rows = slice(start, start + CHUNK)
        yield rows, normalise(data, raw_view(data, rows).inputs)
