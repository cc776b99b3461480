"""What a network's graph answers on a split, in float32 or in 8 bits, under onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from autokd.engine.evaluate import chunks
from autokd.engine.views import DeviceData
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import calibration_samples, quantise
from autokd.types import Split, Task

if TYPE_CHECKING:
    from onnx import ModelProto


def predict_graph(model: ModelProto, data: DeviceData) -> Tensor:
    """Return logits [N, C], float32, on the CPU; see `autokd.engine.evaluate.predict`.

    Args:
      model: as `network_graph` or `int8_graph` returns it.
      data: the split.
    """
    session = running.session(model)
    return torch.cat([torch.from_numpy(running.logits(session, inputs)) for _, inputs in chunks(data)])


def int8_graph(network: nn.Module, task: Task, train: Split, *, name: str = "network") -> ModelProto:
    """Return a network in 8 bits, calibrated on a fixed draw of its training split.

    Args:
      network: normalised inputs -> Output.
      task: whose samples it takes.
      train: the training split.
      name: of its component, for messages.

    Raises:
      MissingDependency: onnx or onnxruntime is not installed.
      ComponentError: it cannot be written as ONNX, or has no int8 form.
    """
    return quantise(network_graph(network, task, name=name), calibration_samples(train, task), name=name)
