from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import nn

from autokd import spec
from autokd.networks import cost
from autokd.types import BuildContext, Output, Task

DIGITS = Task(
    dataset="none", modality="image", input_shape=(1, 8, 8), classes=tuple("0123456789"), train_size=10, mean=(0.3,)
)
CIFAR = Task(dataset="none", modality="image", input_shape=(3, 32, 32), classes=tuple("0123456789"), train_size=10)


def student(name: str, **fields: Any) -> Any:
    return spec.make("students", name, fields)


class Net(nn.Module):
    """Convolution and linear layer around a batch norm and a dropout, with 2 buffers' worth of state."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 64, 10)

    def forward(self, x: torch.Tensor) -> Output:
        return Output(self.fc(self.drop(self.bn(self.conv(x))).flatten(1)))


def test_params_counts_shared_parameters_once_and_frozen_ones_too() -> None:
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    first.requires_grad_(False)
    assert cost.params(nn.Sequential(first, second, nn.BatchNorm1d(3))) == 9 + 3 + 3 + 6


def test_macs_of_resnet20_at_32_pixels() -> None:
    # stem 442,368; six convolutions of 2,359,296 in stage 1; in stages 2 and 3 1,179,648, five of 2,359,296, and a
    # projection of 131,072; classifier 640.
    network = student("resnet", depth=20).build(BuildContext(task=CIFAR))
    assert cost.macs(network, CIFAR) == 40_813_184


@pytest.mark.parametrize(
    ("component", "task", "expected"),
    [
        (student("cnn", width=4, layers=2), DIGITS, (438, 4 * 9 * 64 + 8 * 4 * 9 * 16 + 80)),
        (student("mlp", width=8, depth=1), DIGITS, (64 * 8 + 8 + 90, 64 * 8 + 80)),
        # stem; depthwise and pointwise at 8x8; depthwise and pointwise at 4x4; classifier
        (
            student("mobilenet", width=4, depth=2),
            DIGITS,
            (554, 36 * 64 + (36 + 32) * 64 + (72 + 128) * 16 + 160),
        ),
    ],
)
def test_student_cost(component: Any, task: Task, expected: tuple[int, int]) -> None:
    assert cost.student_cost(component, task)[:2] == expected


def test_student_cost_agrees_with_the_built_student() -> None:
    component = student("resnet", depth=14, width=8)
    network = component.build(BuildContext(task=CIFAR))
    expected = (cost.params(network), cost.macs(network, CIFAR), cost.size_bytes(network))
    assert cost.student_cost(component, CIFAR) == expected


def test_student_cost_leaves_random_state_and_default_device_alone() -> None:
    state = torch.get_rng_state()
    cost.student_cost(student("cnn", width=12, layers=2), DIGITS)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.empty(1).device.type == "cpu"
    assert torch.get_default_device().type == "cpu"


def test_student_cost_is_cheap_for_small_students() -> None:
    cost.student_cost(student("cnn", width=16, layers=2), DIGITS)
    seconds = []
    for width in range(20, 64, 4):
        start = time.process_time()
        cost.student_cost(student("cnn", width=width, layers=2), DIGITS)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05  # about 0.005 on an idle core


def test_macs_changes_nothing_in_the_network() -> None:
    network = Net()
    network.drop.eval()
    network.conv.weight.grad = torch.ones_like(network.conv.weight)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    assert cost.macs(network, DIGITS) == 36 * 64 + 256 * 10
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert (network.training, network.bn.training, network.drop.training) == (True, True, False)
    assert network.conv.weight.device.type == "cpu"
    assert network.conv.weight.requires_grad
    assert network.conv.weight.grad.sum() == 36


def test_size_bytes_counts_parameters_and_buffers() -> None:
    # 36 + 8 + 2,570 floats, running mean and variance of 4 channels, one int64 counter
    assert cost.size_bytes(Net()) == 4 * (36 + 8 + 2570 + 8) + 8
    assert cost.size_bytes(nn.Linear(3, 2).half()) == 2 * 8


class Sleeper(nn.Module):
    """Sleeps 100 ms in its first five passes, 2 ms in every other."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        assert x.shape == (3, 1, 8, 8)
        self.calls += 1
        time.sleep(0.1 if self.calls <= 5 else 0.002)
        return x


def test_latency_is_in_milliseconds_and_leaves_warm_up_out() -> None:
    module = Sleeper()
    milliseconds = cost.latency(module, DIGITS, "cpu", batch_size=3, repeats=3)
    assert 2.0 <= milliseconds < 90.0
    assert module.calls == 0  # a copy was measured
    assert module.training


def test_latency_grows_with_the_network() -> None:
    small, large = (
        student("resnet", depth=8, width=width).build(BuildContext(task=CIFAR)).train() for width in (4, 64)
    )
    assert cost.latency(small, CIFAR, "cpu", repeats=5) < cost.latency(large, CIFAR, "cpu", repeats=5)
    assert large.bn1.num_batches_tracked == 0


def test_an_answer_costs_what_torch_computes_and_its_time_where_asked() -> None:
    weight, cpu = torch.zeros(5, 7), torch.device("cpu")
    assert cost.answer_cost(lambda: torch.zeros(1, 5) @ weight, cpu, timed=False) == {"macs": 35.0}
    assert cost.answer_cost(lambda: None, cpu, timed=False) == {}, "what is not computed by torch is not known"
    timed = cost.answer_cost(lambda: time.sleep(0.002), cpu, timed=True, repeats=3)
    assert list(timed) == ["latency"] and timed["latency"] >= 2.0
