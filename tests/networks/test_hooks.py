"""Features of networks that were not written for autokd."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autokd import catalog, compat
from autokd.errors import TeacherError
from autokd.networks.hooks import Hooked, hooked, trace
from autokd.networks.models import seeded, shapes_of
from autokd.networks.reference import load_teacher
from autokd.types import BuildContext, Output, Step, Task


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
    stem = network.get_submodule("0")(x)
    body = network.get_submodule("1")(stem)
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
    assert offers.attention == ((2, 17, 4),) * 3
    assert offers.pooled == 8


def vision_transformer(**options: Any) -> nn.Module:
    """A small transformer of timm, with weights far from their initial zeros."""
    compat.torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3, "num_classes": 10}
    with seeded(0):
        network: nn.Module = timm.models.vision_transformer.VisionTransformer(**sizes, **options)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.5)
    return network.eval()


def heads_of(rows: torch.Tensor, heads: int) -> list[torch.Tensor]:
    """The heads' slices of joined channels, one after the other."""
    return list(rows.split(rows.shape[-1] // heads, dim=-1))


@pytest.mark.parametrize("options", [{}, {"qk_norm": True}, {"qkv_bias": False}], ids=["plain", "normed", "no bias"])
def test_timm_transformer_offers_queries_keys_and_values_of_its_last_block(options: dict[str, Any]) -> None:
    network = vision_transformer(**options)
    found = hooked(network, task_of(16))
    x = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    output = found(x)
    last: Any = network.get_submodule("blocks.1.attn")
    inputs = network.get_submodule("blocks.1.norm1")(output.tokens[0])
    weight, bias = last.qkv.weight, torch.zeros(36) if last.qkv.bias is None else last.qkv.bias
    norms = (last.q_norm, last.k_norm, nn.Identity())
    for third, (states, norm) in enumerate(zip(output.attention, norms, strict=True)):
        rows = slice(12 * third, 12 * third + 12)
        by_hand = inputs @ weight[rows].T + bias[rows]
        expected = torch.stack([norm(head) for head in heads_of(by_hand, 3)], dim=1)
        assert states.shape == (5, 3, 17, 4)
        torch.testing.assert_close(states, expected)
    assert torch.equal(output.logits, network(x))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_given_path_of_attention_is_taken_and_a_wrong_one_refused() -> None:
    network = vision_transformer()
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    output = Hooked(network, attention="blocks.0.attn", tokens=["patch_embed"])(x)
    first: Any = network.get_submodule("blocks.0")
    class_token = network.get_parameter("cls_token").expand(2, -1, -1)
    inputs = network.get_parameter("pos_embed") + torch.cat([class_token, output.tokens[0]], dim=1)
    joined = first.attn.qkv(first.norm1(inputs))
    torch.testing.assert_close(output.attention[2], torch.stack(heads_of(joined[..., 24:], 3), dim=1))
    with pytest.raises(TeacherError, match=r"'blocks.0.mlp' is no attention .* \['blocks.0.attn', 'blocks.1.attn'\]"):
        Hooked(network, attention="blocks.0.mlp")


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_multihead_attention_is_computed_once_more_from_its_arguments(batch_first: bool, bias: bool) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(6, 2, bias=bias, batch_first=batch_first)
            self.fc = nn.Linear(6, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2)[..., :6]
            tokens = tokens if batch_first else tokens.transpose(0, 1)
            answer, _ = self.attend(tokens, value=2 * tokens, key=tokens + 1)
            return self.fc(answer.mean(1 if batch_first else 0))

    with seeded(0):
        network = Attending().eval()
    if bias:
        nn.init.normal_(network.attend.in_proj_bias, generator=torch.Generator().manual_seed(2))
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    tokens = x.flatten(2)[..., :6]
    weight = network.attend.in_proj_weight
    shift = network.attend.in_proj_bias if bias else torch.zeros(18)
    output = hooked(network, task_of(16))(x)
    for third, given in enumerate((tokens, tokens + 1, 2 * tokens)):
        rows = slice(6 * third, 6 * third + 6)
        expected = torch.stack(heads_of(given @ weight[rows].T + shift[rows], 2), dim=1)
        torch.testing.assert_close(output.attention[third], expected)


def test_a_fast_path_gives_way_to_the_hooks() -> None:
    with seeded(0):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        network = nn.Sequential(nn.Flatten(2), layer, nn.Flatten(1), nn.Linear(24, 10)).eval()
    found = hooked(
        network, Task(dataset="d", modality="image", input_shape=(3, 2, 4), classes=("a",) * 10, train_size=8)
    )
    x = torch.randn(2, 3, 2, 4)
    with torch.no_grad():
        output = found(x)
    weight, bias = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
    queries = x.flatten(2) @ weight[:8].T + bias[:8]
    torch.testing.assert_close(output.attention[0], torch.stack(heads_of(queries, 2), dim=1))


@pytest.mark.parametrize(
    ("names", "count"),
    [(("query", "key", "value"), "num_attention_heads"), (("q_proj", "k_proj", "v_proj"), "num_heads")],
)
def test_layers_apart_are_found_by_their_names(names: tuple[str, str, str], count: str) -> None:
    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in names:
                setattr(self, name, nn.Linear(8, 6))
            setattr(self, count, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = (getattr(self, name)(x) for name in names)
            return (q @ k.mT).softmax(-1) @ v

    with seeded(0):
        network = nn.Sequential(nn.Flatten(2), SelfAttention(), nn.Flatten(1), nn.Linear(18, 10)).eval()
    task = Task(dataset="d", modality="image", input_shape=(3, 2, 4), classes=("a",) * 10, train_size=8)
    x = torch.randn(2, 3, 2, 4)
    output = hooked(network, task)(x)
    for states, name in zip(output.attention, names, strict=True):
        joined = getattr(network[1], name)(x.flatten(2))
        torch.testing.assert_close(states, torch.stack(heads_of(joined, 2), dim=1))


def test_attention_within_windows_is_not_offered() -> None:
    compat.torchvision()
    timm = pytest.importorskip("timm", reason="timm is not installed")
    with seeded(0):
        network = timm.models.swin_transformer.SwinTransformer(
            img_size=32, patch_size=4, window_size=4, embed_dim=8, depths=(1,), num_heads=(2,), num_classes=10
        ).eval()
    assert shapes_of(hooked(network, task_of(32)), task_of(32)).attention == ()


def test_a_timm_teacher_from_a_file_offers_attention_that_the_loss_on_it_reads(tmp_path: Path) -> None:
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3}
    file = tmp_path / "vit.pt"
    torch.save(vision_transformer().state_dict(), file)
    teacher = load_teacher(
        f"timm:vit_tiny_patch16_224:{','.join(f'{k}={v}' for k, v in sizes.items())}@{file}", task_of(16)
    )
    assert teacher.offers.attention == ((3, 17, 4),) * 3
    assert teacher.offers.tokens == ((17, 12),) * 2
    step = Step(
        teacher.predict(torch.randn(2, 3, 16, 16)),
        teacher.predict(torch.randn(2, 3, 16, 16)),
        torch.eye(10)[:2],
        torch.ones(2),
        torch.arange(2),
        0.0,
    )
    context = BuildContext(task=task_of(16), student=teacher.offers, teacher=teacher.offers)
    term = catalog.load("losses", "attention_relation")().build(context)
    assert (term(step) > 0).all()
    assert step.teacher is not None
    assert term(dataclasses.replace(step, student=step.teacher)).abs().max() < 1e-5


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
