"""A network's graph says what the network says, whatever the batch; what cannot be written is named."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autokd import catalog, spec
from autokd.errors import BundleError, ComponentError, MissingDependency
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.networks.fusing import fused
from autokd.networks.models import as_output, seeded, shapes_of
from autokd.types import BuildContext, Task


def task_of(shape: tuple[int, ...]) -> Task:
    modality = "table" if len(shape) == 1 else "image"
    groups = (1, 4, 1, 3) if shape == (9,) else ()
    classes = ("a", "b", "c")
    return Task(dataset="made", modality=modality, input_shape=shape, classes=classes, train_size=9, groups=groups)


def trained(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The network with statistics of batch normalisation that are not those that it begins with."""
    for seed in range(3):
        network.train()(3 * inputs_of(shape, 8, seed) + 1)
    return network.eval()


def inputs_of(shape: tuple[int, ...], batch: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed))


def operators(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


CASES = [
    *(
        (name, (3, 24, 20) if "image" in catalog.load("students", name).declares.modalities else (9,))
        for name in catalog.names("students")
        if name != "mlp" and not catalog.load("students", name).declares.family
    ),
    ("resnet", (1, 136, 130)),  # behind a stride and a max-pooling
    ("mlp", (7,)),
    ("mlp", (1, 8, 8)),
]
BEHIND_OTHERS = {"convmixer": 9, "nasbench201": 1}
"""Batch normalisation that stands behind something else than a convolution, and cannot become part of it."""


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_graph_says_what_its_network_says_whatever_the_batch(name: str, shape: tuple[int, ...]) -> None:
    fields = {"resnet": {"depth": 8}, "embedding_mlp": {"frequencies": 4}}.get(name, {})
    with seeded(0):
        network = trained(spec.make("students", name, fields).build(BuildContext(task=task_of(shape))), shape)
    model = network_graph(network, task_of(shape), name=name)
    inputs = inputs_of(shape, 9, seed=7)
    expected = as_output(network(inputs)).logits.detach().numpy()
    session = running.session(model, threads=1)
    for batch_size in (1, 4, 9):
        np.testing.assert_allclose(running.logits(session, inputs, batch_size=batch_size), expected, atol=1e-5)
    assert running.logits(session, inputs[:0]).shape == (0, 3)
    folded = any(isinstance(module, nn.Conv2d) for module in network.modules())
    assert operators(model)["BatchNormalization"] == BEHIND_OTHERS.get(name, 0) or not folded
    assert operators(model)["Conv"] == sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)] and model.ir_version == 8


def test_a_student_with_the_teachers_classifier_is_written_with_it() -> None:
    task, shape = task_of((3, 12, 12)), (3, 12, 12)
    with seeded(0):
        teacher = spec.make("students", "cnn", {"width": 8}).build(BuildContext(task=task))
        student = spec.make("students", "cnn", {"width": 4}).build(BuildContext(task=task))
        head = spec.make("heads", "simkd", {})
        context = BuildContext(task=task, teacher=shapes_of(teacher, task)._replace(head=True))
        network = trained(head.build(context)(student), shape)
    inputs = inputs_of(shape, 5)
    found = running.logits(running.session(network_graph(network, task)), inputs)
    np.testing.assert_allclose(found, as_output(network(inputs)).logits.detach().numpy(), atol=1e-5)


class Branches(nn.Module):
    """Two branches that are one layer once they are trained."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x)

    def fuse(self) -> nn.Module:
        one = nn.Linear(self.left.in_features, self.left.out_features)
        with torch.no_grad():
            one.weight.copy_(self.left.weight + self.right.weight)
            one.bias.copy_(self.left.bias + self.right.bias)
        return one


def test_what_can_be_fused_is_and_the_network_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Sequential(Branches(7), nn.ReLU()), Branches(7), nn.Linear(7, 3))
    model = network_graph(network, task_of((7,)))
    assert operators(model) == {"Gemm": 3, "Relu": 1}
    assert sum(isinstance(module, Branches) for module in network.modules()) == 2
    inputs = inputs_of((7,), 4)
    found = running.logits(running.session(model), inputs)
    np.testing.assert_allclose(found, network(inputs).detach().numpy(), atol=1e-6)
    assert isinstance(fused(Branches(7)), nn.Linear)


class Bessel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i0e(self.fc(x))


@pytest.mark.parametrize("other", [True, False])
def test_an_operator_that_onnx_lacks_is_named_with_the_student(
    other: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exporting = torch.onnx.export

    def export(*given: Any, dynamo: bool, **options: Any) -> Any:
        if dynamo:
            raise RuntimeError("this one has none either")
        return exporting(*given, dynamo=False, **options)

    monkeypatch.setattr("torch.onnx.export", export)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: "there" if other else None)
    hint = "take another student" if other else "pip install onnxscript"
    with pytest.raises(ComponentError, match=rf"^bessel cannot .*: there is no ONNX operator for aten::spec.*{hint}"):
        network_graph(Bessel(), task_of((7,)), name="bessel")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_package_there_is_the_line_that_brings_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependency, match=rf"{package} is not installed.*pip install 'autokd\[onnx\]'"):
        running.session(network_graph(nn.Linear(7, 3), task_of((7,))).SerializeToString())


def test_what_is_no_model_is_said(tmp_path: Any) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(BundleError, match=r"m\.onnx is no ONNX model that onnxruntime runs"):
        running.session(tmp_path / "m.onnx")


def test_the_latency_of_a_graph_is_measured_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        def __init__(self) -> None:
            self.runs = 0

        def run(self, outputs: None, given: running.Arrays) -> None:
            assert given["input"].shape == (1, 7)
            self.runs += 1
            clock[0] += 1.0 if self.runs <= 5 else 0.002

    clock = [0.0]
    monkeypatch.setattr("autokd.graphs.running.time.perf_counter", lambda: clock[0])
    slow = Slow()
    assert running.latency(slow, running.example(task_of((7,))), repeats=5) == pytest.approx(2.0)
    assert slow.runs == 10
