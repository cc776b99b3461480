"""What a network's graph answers on a split, in float32 or in 8 bits, under onnxruntime."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from autokd.components import HeadComponent, StudentComponent
from autokd.engine.build import build_student
from autokd.engine.evaluate import chunks
from autokd.engine.views import DeviceData
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import calibration_samples, quantise
from autokd.networks.inputs import feed_of
from autokd.networks.models import seeded
from autokd.spec import component_to_plain
from autokd.types import Shapes, Split, Task

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


def latency_form(network: nn.Module, task: Task, *, int8: bool, name: str = "network") -> ModelProto:
    """Return a network's graph for measuring how large and how fast it is; in 8 bits its ranges are of made-up samples.

    Args:
      network: normalised inputs -> Output; it need not be trained.
      task: whose samples it takes.
      int8: whether in 8 bits.
      name: of its component, for messages.
    """
    graph = network_graph(network, task, name=name)
    return quantise(graph, feed_of(task).example(2, torch.Generator().manual_seed(0)), name=name) if int8 else graph


@functools.lru_cache(maxsize=4096)
def int8_size(
    component: StudentComponent, task: Task, head: HeadComponent | None = None, teacher: Shapes | None = None
) -> int:
    """Return the bytes of a student in 8 bits as an ONNX file, without preprocessing; they depend on its form alone.

    Args:
      component, task, head, teacher: see `autokd.networks.cost.student_cost`.

    Raises:
      MissingDependency, ComponentError: see `int8_graph`.
    """
    with seeded(0):
        network = build_student(component, task, head=head, teacher=teacher)
    name = f"the student {component_to_plain(component)['use']}"
    return len(latency_form(network, task, int8=True, name=name).SerializeToString())


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
