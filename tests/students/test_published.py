"""Students that are published networks: their sizes are those that the papers' tables hold."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
import torch

from autokd import catalog, spec
from autokd.errors import ComponentError
from autokd.networks import cost
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Task

NASBench201: Any = catalog.load("students", "nasbench201")
CIFAR_10, CIFAR_100 = (task_of((3, 32, 32), classes=count) for count in (10, 100))
IMAGENET_16 = task_of((3, 16, 16), classes=120)
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
    network = network_of("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|none~2|").eval()
    logits = network(torch.randn(3, 3, 32, 32)).logits
    assert logits.isfinite().all() and torch.equal(logits, logits[:1].expand(3, -1))


@pytest.mark.parametrize(
    "written",
    [CELL.replace("nor_conv_1x1", "conv_1x1"), CELL.replace("~2|", "~1|"), CELL[1:], "", f"{CELL}+{CELL}"],
)
def test_what_is_no_cell_is_refused(written: str) -> None:
    with pytest.raises(ComponentError, match=r"is no cell of NAS-Bench-201|edge12 must be one of none, skip_connect"):
        NASBench201.of_cell(written)
