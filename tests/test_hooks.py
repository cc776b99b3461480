"""Features of networks that were not written for autokd."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from autokd import compat
from autokd.errors import TeacherError
from autokd.hooks import Hooked, hooked, trace
from autokd.models import seeded, shapes_of
from autokd.teacher_reference import load_teacher
from autokd.types import Output, Task


def task_of(side: int, num_classes: int = 10) -> Task:
    classes = tuple(str(i) for i in range(num_classes))
    return Task(dataset="d", modality="image", input_shape=(3, side, side), classes=classes, train_size=8)


def small_network() -> nn.Module:
    with seeded(0):
        stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        body = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.ReLU())
        return nn.Sequential(stem, body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10)).eval()


def test_features_are_the_outputs_of_the_last_module_at_each_size() -> None:
    network = small_network()
    found = hooked(network, task_of(16))
    x = torch.randn(5, 3, 16, 16)
    output = found(x)
    stem = network[0](x)
    body = network[1](stem)
    assert torch.equal(output.logits, network(x))
    assert [torch.equal(a, b) for a, b in zip(output.features, (stem, body), strict=True)] == [True, True]
    assert torch.equal(output.pooled, body.mean((2, 3)))
    assert not any(module._forward_hooks for module in network.modules())


def test_given_paths_are_taken_in_their_order_and_wrong_ones_refused() -> None:
    output = hooked(small_network(), task_of(16), ("0.0", "1.0"))(torch.randn(2, 3, 16, 16))
    assert [tuple(feature.shape[1:]) for feature in output.features] == [(4, 16, 16), (8, 8, 8)]
    with pytest.raises(TeacherError, match=r"has no module '1\.O'; did you mean '1\.1'"):
        hooked(small_network(), task_of(16), ("1.O",))


def test_a_copy_does_not_write_into_the_original() -> None:
    first = hooked(small_network(), task_of(16))
    second = copy.deepcopy(first)
    a, b = torch.randn(2, 3, 16, 16), torch.randn(2, 3, 16, 16)
    expected = first(a).features[0]
    second(b)
    assert torch.equal(first(a).features[0], expected)


def test_a_network_with_an_output_of_its_own_stays_as_it_is() -> None:
    class Answering(nn.Module):
        def forward(self, x: torch.Tensor) -> Output:
            return Output(x.flatten(1)[:, :10])

    network = Answering()
    assert hooked(network, task_of(16)) is network


def test_torchvision_resnet_offers_its_four_stages() -> None:
    with seeded(0):
        network = compat.torchvision().models.resnet18(num_classes=10).eval()
    offers = shapes_of(hooked(network, task_of(64)), task_of(64))
    assert offers.features == ((64, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2))
    assert offers.pooled == 512
    teacher = load_teacher(network, task_of(64))
    assert teacher.offers == offers._replace(head=True)


def test_a_transformer_offers_its_blocks_as_tokens() -> None:
    with seeded(0):
        network = (
            compat.torchvision()
            .models.VisionTransformer(
                image_size=16, patch_size=4, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=10
            )
            .eval()
        )
    found = hooked(network, task_of(16))
    offers = shapes_of(found, task_of(16))
    assert isinstance(found, Hooked)
    assert offers.tokens == ((17, 8),) * 3
    assert offers.pooled == 8


def test_trace_lists_paths_and_shapes() -> None:
    _, stages = trace(small_network(), task_of(16))
    assert [(stage.path, stage.shape) for stage in stages] == [
        ("0.0", (4, 16, 16)),
        ("0.1", (4, 16, 16)),
        ("0", (4, 16, 16)),
        ("1.0", (8, 8, 8)),
        ("1.1", (8, 8, 8)),
        ("1", (8, 8, 8)),
        ("2", (8, 1, 1)),
        ("3", (8,)),
        ("4", (10,)),
    ]
