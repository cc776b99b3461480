"""Conformance of every student, then each architecture's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autokd import catalog, spec
from autokd.errors import ComponentError
from autokd.networks import cost
from autokd.networks.models import seeded, shapes_of
from autokd.students.layers import Projection
from autokd.testing import StudentSuite
from autokd.types import BuildContext, Task
from tests import processes

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "image": [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 21, 70)],
    "table": [(5,), (30,)],
}


def task_of(shape: tuple[int, ...], classes: int = 10) -> Task:
    return Task(
        dataset="none",
        modality="table" if len(shape) == 1 else "image",
        input_shape=shape,
        classes=tuple(str(index) for index in range(classes)),
        train_size=100,
    )


def build(name: str, shape: tuple[int, ...], classes: int = 10, **fields: Any) -> Any:
    with seeded(0):
        return spec.make("students", name, fields).build(BuildContext(task=task_of(shape, classes)))


def inputs_of(shape: tuple[int, ...], batch: int) -> torch.Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1))


OWN = [name for name in catalog.names("students") if not catalog.load("students", name).declares.family]
NAMES = [name for name in OWN if "features" in catalog.load("students", name).declares.offers]
CASES = [
    (name, shape)
    for name in NAMES
    for modality, shapes in SHAPES.items()
    if modality in catalog.load("students", name).declares.modalities
    for shape in shapes
]
all_cases = pytest.mark.parametrize(("name", "shape"), CASES, ids=lambda value: str(value).replace(" ", ""))
all_names = pytest.mark.parametrize("name", NAMES)


def any_shape(name: str) -> tuple[int, ...]:
    return next(shape for case, shape in CASES if case == name)


class TestStudents(StudentSuite):
    components = tuple(catalog.load("students", name) for name in OWN)


@all_cases
def test_deeper_features_have_no_fewer_channels_and_maps_are_no_smaller_than_2x2(
    name: str, shape: tuple[int, ...]
) -> None:
    features = shapes_of(build(name, shape), task_of(shape)).features
    assert len(features) >= 1
    assert [feature[0] for feature in features] == sorted(feature[0] for feature in features)
    assert all(min(feature[1:], default=2) >= 2 for feature in features)


@all_names
def test_pooled_is_what_the_layer_fc_reads(name: str) -> None:
    network = build(name, any_shape(name)).eval()
    output = network(inputs_of(any_shape(name), 4))
    assert isinstance(network.fc, nn.Linear)
    torch.testing.assert_close(network.fc(output.pooled), output.logits)


@all_names
def test_every_activation_is_a_module_that_hooks_see(name: str) -> None:
    network = build(name, any_shape(name))
    seen: list[torch.Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    if not any(isinstance(module, nn.ReLU) for module in network.modules()):
        pytest.skip("its paper has GELU")
    last = network(inputs_of(any_shape(name), 4)).features[-1]
    assert any(last.data_ptr() == output.data_ptr() for output in seen)


# --- each architecture's own numbers, worked out by hand -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "classes", "fields", "expected"),
    [
        ("resnet", (3, 32, 32), 10, {"depth": 20}, 272_474),  # 0.27 M in the paper, plus 2,752 in two projections
        ("resnet", (3, 32, 32), 10, {"depth": 56}, 855_770),  # 0.85 M in the paper, with the projections 0.86 M
        ("resnet", (3, 32, 32), 100, {"depth": 56}, 861_620),  # as published for CIFAR-100 with these projections
        ("cnn", (1, 8, 8), 10, {"width": 4, "layers": 2}, 438),  # 36 + 8, 288 + 16, 80 + 10
        ("cnn", (1, 8, 8), 10, {"width": 4, "layers": 4}, 4038),  # 44, 304, 1152 + 32, then 2304 + 32 at 2x2, 160 + 10
        ("mobilenet", (1, 8, 8), 10, {"width": 4, "depth": 2}, 554),  # 44, 44 + 48, 88 + 160, 160 + 10
        # 44; 48, 88, 40; 48, 88, 80; the last convolution 256 + 64; 320 + 10
        ("mobilenet_v2", (1, 8, 8), 10, {"width": 4, "depth": 2, "expansion": 2}, 1086),
        # patches 16 + 4, places 16; norms 16, attention 48 + 12 and 16 + 4, perceptron 40 + 36; norm 8, classifier 50
        ("vit", (1, 4, 4), 10, {"width": 4, "depth": 1, "heads": 1, "head_width": 4, "ratio": 2.0, "patch": 2}, 266),
        ("mlp", (30,), 2, {"width": 8, "depth": 2}, 338),  # 240 + 8, 64 + 8, 16 + 2
        ("mlp", (1, 8, 8), 10, {"width": 4, "depth": 1}, 310),  # 256 + 4, 40 + 10
    ],
)
def test_parameter_counts(
    name: str, shape: tuple[int, ...], classes: int, fields: dict[str, Any], expected: int
) -> None:
    assert cost.params(build(name, shape, classes, **fields)) == expected


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("resnet", (1, 8, 8), ((16, 8, 8), (32, 4, 4), (64, 2, 2))),
        ("resnet", (3, 96, 96), ((16, 48, 48), (32, 24, 24), (64, 12, 12))),
        ("resnet", (3, 224, 224), ((16, 56, 56), (32, 28, 28), (64, 14, 14))),
        ("mobilenet", (1, 8, 8), ((32, 8, 8), (64, 4, 4), (128, 2, 2))),
        ("mobilenet", (3, 224, 224), ((32, 112, 112), (64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7))),
        ("cnn", (1, 8, 8), ((16, 8, 8), (32, 4, 4), (64, 2, 2))),
        ("nasbench201", (3, 224, 224), ((16, 56, 56), (32, 28, 28), (64, 14, 14))),
        ("mobilenet_v2", (3, 224, 224), ((8, 112, 112), (16, 56, 56), (32, 28, 28), (64, 14, 14), (512, 7, 7))),
        ("shufflenet", (3, 224, 224), ((24, 28, 28), (48, 14, 14), (192, 7, 7))),
        ("vgg", (3, 96, 96), ((16, 48, 48), (32, 24, 24), (64, 12, 12), (128, 6, 6), (128, 3, 3))),
        ("vit", (1, 8, 8), ((48, 2, 2), (48, 2, 2), (48, 2, 2))),
        ("vit", (3, 224, 224), ((48, 14, 14), (48, 14, 14), (48, 14, 14))),
        ("convmixer", (3, 224, 224), ((48, 28, 28), (48, 28, 28), (48, 28, 28))),
    ],
)
def test_maps_adapt_to_the_size_of_the_images(
    name: str, shape: tuple[int, ...], expected: tuple[tuple[int, ...], ...]
) -> None:
    assert shapes_of(build(name, shape).to("meta"), task_of(shape)).features == expected


def test_resnet_has_the_keys_of_common_cifar_checkpoints() -> None:
    state = build("resnet", (3, 32, 32), depth=20).state_dict()
    expected = {
        "conv1.weight": (16, 3, 3, 3),
        "bn1.running_var": (16,),
        "layer1.0.conv1.weight": (16, 16, 3, 3),
        "layer2.0.downsample.0.weight": (32, 16, 1, 1),
        "layer2.0.downsample.1.weight": (32,),
        "layer3.2.bn2.bias": (64,),
        "fc.weight": (10, 64),
    }
    assert {key: tuple(state[key].shape) for key in expected} == expected
    assert not any(key.startswith("layer1.0.downsample") for key in state)


def test_resnet_block_adds_its_input_before_the_last_relu() -> None:
    block = build("resnet", (1, 8, 8), depth=8).layer1[0].eval()
    nn.init.zeros_(block.bn2.weight)
    inputs = inputs_of((16, 8, 8), 2)
    torch.testing.assert_close(block(inputs), inputs.clamp_min(0))


def test_resnet_refuses_a_depth_that_is_not_6n_plus_2() -> None:
    with pytest.raises(ComponentError, match=r"depth must be 6n \+ 2 .* got 18"):
        spec.make("students", "resnet", {"depth": 18})


def test_he_initialisation_has_the_published_spread() -> None:
    weight = build("resnet", (3, 32, 32), depth=8, width=32).layer3[0].conv2.weight
    assert float(weight.detach().std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)


def test_mobilenet_depthwise_convolutions_see_one_channel_each() -> None:
    network = build("mobilenet", (3, 32, 32))
    grouped = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert len(grouped) == 6
    assert all(m.groups == m.in_channels == m.out_channels for m in grouped)


def test_mlp_drops_out_in_training_only() -> None:
    network = build("mlp", (30,), dropout=0.5)
    inputs = inputs_of((30,), 16)
    zeros_in_training = float((network.train()(inputs).pooled == 0).float().mean())
    zeros_in_eval = float((network.eval()(inputs).pooled == 0).float().mean())
    assert zeros_in_training - zeros_in_eval > 0.15


def test_a_projection_is_the_strided_convolution() -> None:
    ours, plain = Projection(3, 5, 2), nn.Conv2d(3, 5, 1, 2, bias=False)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 7, 9)
    assert torch.equal(ours(x), plain(x)) and ours(x).shape == (2, 5, 4, 5)


ODD = """
import torch
from torch import nn
from autokd.students.layers import Projection
torch.set_num_threads(2)
layer = Projection(12, 24, 2).to(memory_format=torch.channels_last)
for _ in range(60):
    x = torch.randn(33, 12, 28, 28).contiguous(memory_format=torch.channels_last).requires_grad_()
    layer(x).square().mean().backward()
    kept = [torch.randn(50 * k + 3) for k in range(30)]
"""


def test_odd_batches_on_two_threads_do_not_break_the_process(tmp_path: Path) -> None:
    """With nn.Conv2d in place of the projection this process dies on CPUs with AVX-512 (PyTorch 2.13)."""
    assert processes.run(ODD, folder=tmp_path) == (0, "")
