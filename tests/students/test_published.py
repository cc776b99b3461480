"""Students that are published networks: their sizes are those that the papers' tables hold."""

from __future__ import annotations

import csv
import gzip
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from autokd import catalog, compat, spec
from autokd.errors import ComponentError
from autokd.networks import cost
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Task

NASBench201: Any = catalog.load("students", "nasbench201")
CIFAR_10, CIFAR_100 = (task_of((3, 32, 32), classes=count) for count in (10, 100))
IMAGENET_16 = task_of((3, 16, 16), classes=120)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
CELL = "|skip_connect~0|+|none~0|nor_conv_1x1~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_3x3~2|"
TINY = {"channels": 4, "cells": 1}


def rows_of(file: Path) -> list[dict[str, str]]:
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as text:
        return list(csv.DictReader(text))


def network_of(cell: str, task: Task = CIFAR_10) -> Any:
    return NASBench201.of_cell(cell, **TINY).build(BuildContext(task=task))


def test_cells_of_nas_bench_201_are_read_and_written_and_cost_what_its_tables_say(shared_data: Path) -> None:
    rows = rows_of(shared_data / "nasbench201" / "nb201_merged.csv.gz")
    cells = [row["arch"] for row in rows[::5]]
    assert [NASBench201.of_cell(cell).cell for cell in cells] == cells and len(rows) == 5**6
    for row in rows[::5000]:
        component = NASBench201.of_cell(row["arch"])
        counted = [cost.student_params(component, task) for task in (CIFAR_10, CIFAR_100, IMAGENET_16)]
        assert counted == [int(row[name]) for name in ("params_c10", "params_c100", "params_in16")]
        assert cost.student_cost(component, CIFAR_10).macs == int(row["flops_mac_c10"])


def test_students_of_diswots_s0_cost_what_its_table_says(shared_data: Path) -> None:
    rows = rows_of(shared_data / "diswot_s0" / "diswot_s0_cifar100_kd.csv")
    for row in rows[::9]:
        component = spec.make("students", "resnet_cifar", {f"blocks{n}": int(row[f"d{n}"]) for n in (1, 2, 3)})
        assert cost.student_params(component, CIFAR_100) == int(row["params"])
    assert cost.student_cost(component, CIFAR_100).macs == int(row["flops"])


def test_a_resnet_is_the_resnet_cifar_of_as_many_blocks_a_stage() -> None:
    fields = {"blocks1": 2, "blocks2": 2, "blocks3": 2, "width": 8}
    alike = [spec.make("students", "resnet", {"depth": 14, "width": 8}), spec.make("students", "resnet_cifar", fields)]
    states = [component.build(BuildContext(task=CIFAR_10)).state_dict() for component in alike]
    assert [(key, value.shape) for key, value in states[0].items()] == [
        (key, value.shape) for key, value in states[1].items()
    ]
    with pytest.raises(ComponentError, match="every stage needs 1 block or more, got 1, 0 and 1"):
        spec.make("students", "resnet_cifar", {"blocks1": 1, "blocks2": 0, "blocks3": 1})


def test_a_cell_is_a_sum_over_its_edges() -> None:
    cell, x = network_of(CELL).stages[0][0].eval(), torch.randn(2, 4, 6, 6)
    edges, nodes = list(cell.edges), [x, x]  # node 1 skips
    nodes.append(edges[2](nodes[1]))  # nothing from the input
    pooled = torch.nn.functional.avg_pool2d(x, 3, 1, 1) / torch.nn.functional.avg_pool2d(torch.ones_like(x), 3, 1, 1)
    torch.testing.assert_close(cell(x), pooled + nodes[1] + edges[5](nodes[2]))


def test_a_cell_without_a_path_answers_the_same_about_every_image() -> None:
    cell = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|none~2|"
    network = network_of(cell).eval()
    assert NASBench201.of_cell(cell).is_unconnected and not NASBench201.of_cell(CELL).is_unconnected
    logits = network(torch.randn(3, 3, 32, 32)).logits
    assert logits.isfinite().all() and torch.equal(logits, logits[:1].expand(3, -1))


def test_as_many_cells_have_no_path_as_published() -> None:
    """341, of 15,625."""
    edges = NASBench201.OPERATION_FIELDS
    cells = itertools.product(OPERATIONS, repeat=len(edges))
    assert sum(NASBench201(**dict(zip(edges, cell, strict=True))).is_unconnected for cell in cells) == 341


@pytest.mark.parametrize(
    "written",
    [CELL.replace("nor_conv_1x1", "conv_1x1"), CELL.replace("~2|", "~1|"), CELL[1:], "", f"{CELL}+{CELL}"],
)
def test_what_is_no_cell_is_refused(written: str) -> None:
    with pytest.raises(ComponentError, match=r"is no cell of NAS-Bench-201|edge12 must be one of none, skip_connect"):
        NASBench201.of_cell(written)


def test_a_vgg_of_8_layers_is_vgg11_without_biases() -> None:
    theirs = compat.torchvision().models.vgg11_bn(num_classes=1).features
    convolutions = [layer for layer in theirs if isinstance(layer, nn.Conv2d)]
    ours = spec.make("students", "vgg", {"depth": 8, "width": 64})
    biases = sum(layer.out_channels for layer in convolutions)
    assert cost.student_params(ours, CIFAR_10) == cost.params(theirs) - biases + 512 * 10 + 10


@pytest.mark.parametrize(("stride", "theirs_in"), [(2, 8), (1, 16)])
def test_a_unit_of_shufflenet_is_torchvisions(stride: int, theirs_in: int) -> None:
    component = spec.make("students", "shufflenet", {"depth": 2, "width": 16})
    ours = component.build(BuildContext(task=task_of((3, 4, 4), classes=2))).stages[0][stride % 2].eval()
    theirs = compat.torchvision().models.shufflenetv2.InvertedResidual(theirs_in, 16, stride)
    states = ours.state_dict(), theirs.eval().state_dict()
    theirs.load_state_dict(dict(zip(states[1], states[0].values(), strict=True)))
    x = torch.randn(2, theirs_in, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x))


def test_convmixer_is_timms() -> None:
    component = spec.make("students", "convmixer", {"depth": 2, "width": 16, "kernel_size": 3, "patch": 2})
    ours = component.build(BuildContext(task=CIFAR_10)).eval()
    compat.timm()
    theirs = compat.import_module("timm.models.convmixer", "timm").ConvMixer(16, 2, 3, 2, num_classes=10).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x).logits, theirs(x))


def test_vit_is_timms_where_heads_are_as_wide_as_theirs() -> None:
    fields = {"depth": 2, "width": 16, "heads": 2, "head_width": 8, "ratio": 2.0, "patch": 4}
    ours = spec.make("students", "vit", fields).build(BuildContext(task=CIFAR_10)).eval()
    theirs = compat.timm().models.VisionTransformer(
        img_size=32,
        patch_size=4,
        embed_dim=16,
        depth=2,
        num_heads=2,
        mlp_ratio=2.0,
        num_classes=10,
        global_pool="avg",
        class_token=False,
        fc_norm=False,
    )
    names = {"places": "pos_embed", "last": "norm", "fc": "head", "patches": "patch_embed.proj"}
    parts = {"layers": "blocks", "attention": "attn", "out": "proj", "change": "mlp"}
    state = {}
    for key, value in ours.state_dict().items():
        first, _, rest = key.partition(".")
        new = ".".join([names.get(first, first), *([rest] if rest else [])])
        new = ".".join(parts.get(part, part) for part in new.split(".")).replace("mlp.0", "mlp.fc1")
        state[new.replace("mlp.2", "mlp.fc2")] = value
    theirs.load_state_dict(state)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(x).logits, theirs.eval()(x), rtol=1e-3, atol=1e-4)
