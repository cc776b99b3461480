"""A graph in 8 bits: little is lost, little is left of its size, and who has no such form is named."""

from __future__ import annotations

import logging
import sys
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from autokd.errors import ComponentError, MissingDependency
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import CALIBRATION, calibration_samples, quantise
from autokd.networks.models import as_output, seeded
from autokd.spec import make
from autokd.types import BuildContext, Split, Task

IMAGE = Task(dataset="made", modality="image", input_shape=(1, 8, 8), classes=("a", "b", "c"), train_size=9)
TABLE = Task(dataset="made", modality="table", input_shape=(4,), classes=("a", "b", "c"), train_size=9)


def inputs_of(count: int, seed: int = 0, shape: tuple[int, ...] = (1, 8, 8)) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with seeded(0):
        made: nn.Module = make("students", "cnn", {"width": 16}).build(BuildContext(task=IMAGE))
        made.train()(3 * inputs_of(64, 9) + 1)
    return made.eval()


@pytest.fixture(scope="module")
def graph(network: nn.Module) -> Any:
    return network_graph(network, IMAGE)


@pytest.fixture(scope="module")
def int8(graph: Any) -> Any:
    return quantise(graph, inputs_of(200))


def weights(model: Any) -> dict[str, Any]:
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def test_it_says_nearly_what_the_float_network_says_in_a_third_of_the_bytes(network, graph, int8) -> None:
    inputs = inputs_of(300, seed=5)
    expected = as_output(network(inputs)).logits.detach().numpy()
    found = running.logits(running.session(int8, threads=1), inputs)
    off = np.sqrt(((found - expected) ** 2).mean()) / expected.std()
    assert 0 < off < 0.05
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.97
    assert len(int8.SerializeToString()) < 0.4 * len(graph.SerializeToString())
    assert int8.ir_version == graph.ir_version
    onnx.checker.check_model(int8, full_check=True)


def test_weights_have_a_scale_a_channel_and_activations_their_extremes(network, int8) -> None:
    found, given = weights(int8), inputs_of(200).numpy()
    assert found["input_scale"] == pytest.approx((given.max() - given.min()) / 255, rel=1e-5)
    assert found["input_zero_point"].dtype == np.uint8
    layer = network.get_submodule("layers.0")
    convolution, norm = layer[0], layer[1]
    folded = convolution.weight * (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None, None]
    expected = folded.detach().abs().amax((1, 2, 3)).numpy() / 127
    quantised = [name for name, each in found.items() if each.dtype == np.int8 and each.shape == (16, 1, 3, 3)]
    scale = found[quantised[0].replace("_quantized", "_scale")]
    np.testing.assert_allclose(scale, expected, rtol=1e-5)


def test_the_same_network_and_samples_give_the_same_file_and_nothing_else_changes(graph, int8) -> None:
    before, handlers = graph.SerializeToString(), list(logging.getLogger().handlers)
    assert quantise(graph, inputs_of(200)).SerializeToString() == int8.SerializeToString()
    assert quantise(graph, inputs_of(200, seed=1)).SerializeToString() != int8.SerializeToString()
    assert graph.SerializeToString() == before
    assert logging.getLogger().handlers == handlers


def test_calibration_is_on_a_fixed_draw_of_the_training_samples() -> None:
    count = CALIBRATION + 88
    rows = torch.arange(4.0 * count).reshape(count, 4)
    split = Split(rows, torch.zeros(count, dtype=torch.int64))
    drawn = calibration_samples(split, TABLE)
    assert isinstance(drawn, Tensor) and drawn.shape == (CALIBRATION, 4)
    assert torch.equal(drawn, calibration_samples(split, TABLE))  # type: ignore[arg-type]
    assert set(map(tuple, drawn.tolist())) <= set(map(tuple, rows.tolist()))
    few = calibration_samples(Split(rows[:7], split.labels[:7]), TABLE)
    assert torch.equal(few, rows[:7])  # type: ignore[arg-type]


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


def test_a_student_without_an_int8_form_is_named() -> None:
    graph = network_graph(Sine(), TABLE)
    with pytest.raises(ComponentError, match=r"^sine has no int8 form: onnxruntime quantises none .* \(Sin\)$"):
        quantise(graph, inputs_of(8, shape=(4,)), name="sine")


def test_without_onnxruntime_one_line_says_how_to_get_it(graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(MissingDependency, match=r"pip install 'autokd\[onnx\]'"):
        quantise(graph, inputs_of(8))
