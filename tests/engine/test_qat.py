"""Training in which the student computes as its int8 file will."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine import qat
from autokd.engine.build import build_run, build_student
from autokd.engine.checkpoint import delivered_state
from autokd.engine.evaluate import predict
from autokd.engine.qat import MOMENTUM, QuantisationAware, fake_quantised, fake_quantised_weight
from autokd.engine.views import normalise, raw_view
from autokd.errors import ComponentError
from autokd.graphs.network import network_graph
from autokd.graphs.running import logits, session
from autokd.metrics import accuracy, predictions
from autokd.networks.models import as_output
from autokd.search.baselines import matched_baseline
from autokd.spec import PipelineSpec, from_plain, make, problems, to_plain
from autokd.study.arms import ARM_KINDS
from tests.engine.helpers import CPU, assert_same, context, losses_of, pipeline, teacher, through_a_file, trained


def quantised(begin: float | None, **parts: Any) -> PipelineSpec:
    return dataclasses.replace(pipeline(**parts), qat=begin)


@pytest.fixture
def values() -> Tensor:
    return torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 2 + 0.5


@pytest.mark.parametrize(("low", "high"), [(-3.0, 5.0), (0.0, 2.5), (1.0, 2.0), (-4.0, -1.0)])
def test_values_are_what_onnxruntime_makes_of_them(values: Tensor, low: float, high: float) -> None:
    tools = pytest.importorskip("onnxruntime.quantization.quant_utils")
    ends = (np.float32(low), np.float32(high), np.array(0, np.uint8), np.array(255, np.uint8))
    zero, scale = tools.compute_scale_zp(*ends)
    there = (tools.quantize_nparray(2, values.numpy(), scale, zero, 0, 255).astype(np.float32) - zero) * scale
    assert np.unique(there).size > 20
    here = fake_quantised(values, torch.tensor(low), torch.tensor(high))
    torch.testing.assert_close(here, torch.from_numpy(there), rtol=1e-5, atol=1e-6)


def test_weights_are_what_onnxruntime_makes_of_them_channel_by_channel(values: Tensor) -> None:
    tools = pytest.importorskip("onnxruntime.quantization.quant_utils")
    here = fake_quantised_weight(values)
    for channel, row in zip(values, here, strict=True):
        zero, scale, levels = tools.quantize_data(channel.numpy().ravel(), 3, symmetric=True)[-3:]
        torch.testing.assert_close(row.flatten(), torch.from_numpy(levels.astype(np.float32) * scale))
        assert int(zero) == 0 and np.abs(levels.astype(int)).max() == 127


def test_a_weight_that_takes_in_its_batch_norm_has_the_same_levels(values: Tensor) -> None:
    """So what is quantised in training is what is quantised in a file, where the two are one."""
    factors = torch.tensor([0.01, -3.0, 1.0, 170.0]).reshape(4, 1, 1, 1)
    torch.testing.assert_close(fake_quantised_weight(values * factors), fake_quantised_weight(values) * factors)


def test_a_value_by_hand() -> None:
    """From -1 to 1.55 a step is 0.01, and 0 is level 100."""
    found = fake_quantised(torch.tensor([0.1234, -0.018, 9.0, -7.0, 0.0]), torch.tensor(-1.0), torch.tensor(1.55))
    torch.testing.assert_close(found, torch.tensor([0.12, -0.02, 1.55, -1.0, 0.0]))
    weight = fake_quantised_weight(torch.tensor([[1.27, 0.013, -0.5], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(weight, torch.tensor([[1.27, 0.01, -0.5], [0.0, 0.0, 0.0]]))


def test_the_gradient_passes_inside_the_range_and_not_outside() -> None:
    values = torch.tensor([0.3, 2.0, -2.0], requires_grad=True)
    torch.autograd.backward(fake_quantised(values, torch.tensor(-1.0), torch.tensor(1.0)).sum())
    assert values.grad is not None and values.grad.tolist() == [1.0, 0.0, 0.0]
    weight = torch.tensor([[1.27, 0.013, -1.27]], requires_grad=True)
    torch.autograd.backward(fake_quantised_weight(weight).sum())
    assert weight.grad is not None and weight.grad.tolist() == [[1.0, 1.0, 1.0]]


class Block(nn.Module):
    """A convolution with batch normalisation beside its input, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(3, 2)
        self.norm.running_mean = torch.tensor([0.3, -0.2, 0.0])
        self.norm.running_var = torch.tensor([2.0, 0.5, 1.0])

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.norm(self.conv(x)).relu()
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def test_a_block_is_computed_as_its_file_is(values: Tensor) -> None:
    """In the file the convolution has the batch normalisation in its weights, and each tensor is quantised once."""
    network, aware = Block().eval(), QuantisationAware(0.0)
    answer = aware.answer(network, values).logits
    statistics = network.norm
    assert statistics.running_var is not None and statistics.running_mean is not None

    def rounded(tensor: Tensor) -> Tensor:
        return fake_quantised(tensor, *tensor.detach().aminmax())

    factor = statistics.weight / (statistics.running_var + statistics.eps).sqrt()
    weight = fake_quantised_weight(network.conv.weight * factor.reshape(3, 1, 1, 1))
    x = rounded(values)
    inner = nn.functional.conv2d(x, weight, statistics.bias - statistics.running_mean * factor, padding=1).relu()
    x = rounded(x + rounded(inner)).mean((2, 3))
    logits = nn.functional.linear(rounded(x), fake_quantised_weight(network.fc.weight), network.fc.bias)
    torch.testing.assert_close(answer, rounded(logits))
    assert len(aware.ranges) == 5  # the input once, though two operations read it


def test_a_student_computes_as_the_file_that_onnxruntime_makes_of_it(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the file's ranges, which are those of the float network, so that nothing else is left to differ."""
    library = pytest.importorskip("onnxruntime.quantization")
    onnx, where = pytest.importorskip("onnx"), context(digits)
    student = make("students", "mobilenet", {"depth": 2, "width": 4})
    _, checkpoint = trained(where, pipeline(student=student), epochs=3)
    network = build_student(student, digits.task).eval()
    network.load_state_dict(checkpoint["student"])
    inputs = normalise(where.train_data, raw_view(where.train_data, slice(0, 64)).inputs)
    assert isinstance(inputs, Tensor)
    files = (tmp_path / "float.onnx", tmp_path / "int8.onnx")
    files[0].write_bytes(network_graph(network, digits.task).SerializeToString())
    library.quantize_static(*map(str, files), _Once(inputs), per_channel=True, activation_type=library.QuantType.QUInt8)
    graph = onnx.load(files[1]).graph
    numbers = {each.name: float(onnx.numpy_helper.to_array(each).flat[0]) for each in graph.initializer}
    rounding = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    steps = torch.tensor([[numbers[name] for name in node.input[1:]] for node in rounding])  # scale and zero point
    aware, below = QuantisationAware(0.0), -steps[:, 1] * steps[:, 0]
    aware.load(torch.stack([below, below + 255 * steps[:, 0]], 1))
    monkeypatch.setattr(qat, "MOMENTUM", 0.0)
    there = torch.from_numpy(logits(session(files[1], threads=1), inputs))
    with torch.no_grad():
        exact, here = network(inputs).logits, aware.answer(network, inputs).logits
    assert len(aware.ranges) == len(rounding)
    levels, unrounded = (((each - there) / steps[-1, 0]).abs() for each in (here, exact))
    assert (
        levels.max() < 1.1 and (levels < 0.01).float().mean() > 0.8
    )  # biases are rounded in the file, and ties differ
    assert unrounded.max() > 2


class _Once:
    """Calibration samples for onnxruntime, in one piece."""

    def __init__(self, inputs: Tensor) -> None:
        self._given = iter([{"input": inputs.numpy()}])

    def get_next(self) -> Any:
        return next(self._given, None)


def test_batch_normalisation_goes_by_the_batch_and_its_running_statistics_follow(values: Tensor) -> None:
    """With statistics that are frozen, networks of residual blocks fall apart within an epoch."""
    network, aware = Block().train(), QuantisationAware(0.0)
    before = {name: buffer.clone() for name, buffer in network.norm.named_buffers()}
    seen: list[Tensor] = []
    network.norm.register_forward_hook(lambda module, given, output: seen.append(output))
    aware.answer(network, values)
    torch.testing.assert_close(seen[0].mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    assert all(not torch.equal(buffer, before[name]) for name, buffer in network.norm.named_buffers())


def test_ranges_are_moving_averages_that_begin_with_the_first_batch() -> None:
    aware, network = QuantisationAware(0.0), nn.Linear(2, 1, bias=False)
    for largest in (1.0, 3.0):
        aware.answer(network, torch.tensor([[0.0, largest]]))
    assert aware.ranges[0].tolist() == pytest.approx([0.0, 1.0 + 2.0 * MOMENTUM])
    assert len(aware.ranges) == 2


def test_operands_may_be_given_by_name() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = torch.add(x, other=x * 2)
            return torch.matmul(input=nn.functional.linear(weight=torch.eye(2), input=x), other=torch.eye(2))

    aware = QuantisationAware(0.0)
    aware.answer(Named(), torch.ones(1, 2))
    assert len(aware.ranges) == 6  # x, 2x, their sum, what the layer gives, the matrix, the product


def test_nothing_changes_before_it_begins(digits: Dataset) -> None:
    where = context(digits)
    plain, last = trained(where, pipeline(), epochs=4)
    result, checkpoint = trained(where, quantised(0.5), epochs=4)
    assert losses_of(result)[:2] == losses_of(plain)[:2] and losses_of(result)[2:] != losses_of(plain)[2:]
    for key, value in checkpoint["student"].items():
        assert "num_batches" in key or not torch.equal(value, last["student"][key]), key
    assert checkpoint["ranges"].shape == (5, 2)  # the input, what both layers and the mean give, the logits


def test_from_one_on_is_never(digits: Dataset) -> None:
    _, plain = trained(context(digits), pipeline(), epochs=1)
    _, never = trained(context(digits), quantised(1.0), epochs=1)
    assert_same(never, plain)


@pytest.mark.parametrize("branch", [0.0, 0.25])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(digits: Dataset, branch: float) -> None:
    """With averaged weights and a teacher, too."""
    where = context(digits, teacher(digits.task))
    losses = {name: make("losses", name, {}) for name in ("ce", "kd")}
    spec = dataclasses.replace(quantised(0.4, losses=losses), ema=0.3)
    _, whole = trained(where, spec, epochs=4)
    for until in (1, 3):
        _, part = trained(where, spec, epochs=4, until=until, branch=branch)
        assert len(part["ranges"]) == (0 if until == 1 else len(whole["ranges"]))
        _, rest = trained(where, spec, epochs=4, start=through_a_file(part))
        assert_same(rest, whole)


def test_the_score_is_that_of_the_float_weights(digits: Dataset) -> None:
    where, spec = context(digits), quantised(0.0)
    result, checkpoint = trained(where, spec)
    student = build_student(spec.student, digits.task)
    student.load_state_dict(dict(delivered_state(checkpoint)))
    assert result.score == accuracy(predictions(predict(student, where.validation_data), digits.validation.labels))


def test_it_computes_in_float32(digits: Dataset) -> None:
    where = dataclasses.replace(context(digits), precision="bfloat16")
    student = build_run(where, quantised(0.5), 2 * len(digits.train)).student
    assert student.dtype == torch.bfloat16
    inputs = torch.randn(4, *digits.task.input_shape)
    before, after = (student.answer(inputs, CPU, u).logits for u in (0.4, 0.5))
    exact = as_output(student.network(inputs)).logits
    assert torch.equal(before, before.bfloat16().float()) and not torch.equal(after, after.bfloat16().float())
    torch.testing.assert_close(after, exact, rtol=0.1, atol=0.1)


def test_it_is_a_number_of_the_pipeline() -> None:
    spec = quantised(0.8)
    assert to_plain(spec)["qat"] == 0.8 and from_plain(to_plain(spec)) == spec
    assert "qat" not in to_plain(pipeline())
    line = "qat: expected a number of at least 0 and at most 1, got 2"
    assert problems({**to_plain(spec), "qat": 2}) == [line]
    with pytest.raises(ComponentError, match=line):
        from_plain({**to_plain(spec), "qat": 2})
    assert all(matched_baseline(spec, ARM_KINDS[kind]).qat == 0.8 for kind in ("alone", "kd"))
