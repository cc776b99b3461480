"""The students for tables: groups of columns, and each architecture's own numbers, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import spec
from autokd.errors import ComponentError
from autokd.networks import cost
from autokd.networks.models import seeded, shapes_of
from autokd.students.tabular import BatchNorm, GroupedLinear, columns_of
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Step, Task

GROUPS = (1, 4, 1, 2, 4)
ROWS = task_of((12,), classes=3, groups=GROUPS)


def build(name: str, task: Task = ROWS, **fields: Any) -> Any:
    with seeded(0):
        return spec.make("students", name, fields).build(BuildContext(task=task))


def rows(count: int) -> Tensor:
    """Rows as preprocessing makes them: numbers, and one-hot categories, some of them unknown."""
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(count, 2, generator=generator)
    drawn = [torch.randint(0, size + 1, (count,), generator=generator) for size in (4, 2, 4)]
    first, flag, last = (
        nn.functional.one_hot(each, size + 1)[:, 1:].float() for each, size in zip(drawn, (4, 2, 4), strict=True)
    )
    return torch.cat([numbers[:, :1], first, numbers[:, 1:], flag, last], 1)


def test_a_grouped_linear_map_is_a_product_a_group_and_of_a_category_its_embedding() -> None:
    columns = columns_of(GROUPS, range(len(GROUPS)))
    linear, x = GroupedLinear(columns, 6), rows(20)
    by_group: dict[int, Tensor] = {}
    for size, weight in zip(linear.sizes, linear.weights, strict=True):
        alike = [number for number, group in enumerate(columns) if len(group) == size]
        by_group |= dict(zip(alike, weight, strict=True))
    expected = torch.stack([x[:, group] @ by_group[number] for number, group in enumerate(columns)], 1)
    torch.testing.assert_close(linear(x), expected)
    known = x[:, columns[4]].any(1)
    looked_up = by_group[4][x[:, columns[4]].argmax(1)]
    torch.testing.assert_close(linear(x)[known, 4], looked_up[known])
    assert not linear(x)[~known, 4].any()  # an unknown category is all zeros


@pytest.mark.parametrize(
    ("name", "fields", "params", "macs"),
    [
        ("logistic_regression", {}, 12 * 3 + 3, 12 * 3),
        # embeddings 4 -> 2 twice, 2 -> 1; two numbers beside: 7 columns
        ("embedding_mlp", {"depth": 1, "width": 5, "embedding": 2}, 18 + 7 * 5 + 5 + 18, 18 + 7 * 5 + 15),
        # two numbers of 4 frequencies, a layer 8 -> 2 for both: 4 columns of them, 5 of embeddings
        (
            "embedding_mlp",
            {"depth": 1, "width": 5, "embedding": 2, "frequencies": 4},
            18 + (8 + 16 + 2) + 9 * 5 + 5 + 18,
            18 + 2 * 16 + 9 * 5 + 15,
        ),
        # first; two blocks of norm and two layers; last norm; classifier
        (
            "tabular_resnet",
            {"depth": 2, "width": 4, "expansion": 2.0},
            (48 + 4) + 2 * (8 + 32 + 8 + 32 + 4) + 8 + 15,
            48 + 2 * 64 + 12,
        ),
        # five tokens and the row's; attention; norm; perceptron of 11 units; norm; classifier
        (
            "ft_transformer",
            {"depth": 1, "width": 8, "heads": 2},
            (12 * 8 + 5 * 8 + 8) + (8 * 24 + 24 + 64 + 8) + 16 + (8 * 22 + 22 + 88 + 8) + 16 + 27,
            12 * 8 + 6 * (8 * 24 + 64 + 8 * 22 + 88) + 2 * 6 * 6 * 8 + 24,
        ),
    ],
)
def test_parameters_and_multiply_accumulates(name: str, fields: dict[str, Any], params: int, macs: int) -> None:
    found = cost.student_cost(spec.make("students", name, fields), ROWS)
    assert (found.params, found.macs) == (params, macs)


def test_without_groups_every_column_stands_for_itself() -> None:
    alone = task_of((12,), classes=3)
    assert shapes_of(build("ft_transformer", alone, width=8), alone).tokens == ((13, 8), (13, 8))
    assert shapes_of(build("ft_transformer", width=8), ROWS).tokens == ((6, 8), (6, 8))
    assert cost.params(build("embedding_mlp", alone)) == cost.params(build("mlp", alone))


def test_a_residual_block_adds_to_what_it_reads() -> None:
    network = build("tabular_resnet", depth=1).eval()
    nn.init.zeros_(network.blocks[0][4].weight)
    nn.init.zeros_(network.blocks[0][4].bias)
    x = rows(7)
    torch.testing.assert_close(network(x).pooled, network.last(network.first(x)))


def test_batch_normalisation_of_one_row_goes_by_the_running_statistics() -> None:
    norm, plain, x = BatchNorm(4).train(), nn.BatchNorm1d(4).eval(), torch.randn(1, 4)
    torch.testing.assert_close(norm(x), plain(x))
    assert norm.num_batches_tracked == 0


def test_attention_is_that_of_torch() -> None:
    attention = build("ft_transformer", depth=1, width=8, heads=2).layers[0].attention
    torchs = nn.MultiheadAttention(8, 2, batch_first=True)
    torchs.load_state_dict(
        {
            "in_proj_weight": attention.qkv.weight,
            "in_proj_bias": attention.qkv.bias,
            "out_proj.weight": attention.out.weight,
            "out_proj.bias": attention.out.bias,
        }
    )
    x = torch.randn(3, 6, 8)
    mixed, states = attention(x)
    torch.testing.assert_close(mixed, torchs(x, x, x, need_weights=False)[0])
    assert [tuple(each.shape) for each in states] == [(3, 2, 6, 4)] * 3


def test_an_ft_transformer_refuses_a_width_that_its_heads_do_not_divide() -> None:
    with pytest.raises(ComponentError, match=r"width must be a multiple of heads \(8\), got 20"):
        spec.make("students", "ft_transformer", {"width": 20, "heads": 8})


@pytest.mark.parametrize("loss", ["rdist", "attention_relation"])
def test_a_loss_on_tokens_compares_two_transformers_over_the_same_columns(loss: str) -> None:
    student, teacher = build("ft_transformer", width=8, heads=2), build("ft_transformer", width=16)
    context = BuildContext(task=ROWS, student=shapes_of(student, ROWS), teacher=shapes_of(teacher, ROWS))
    term = spec.make("losses", loss, {}).build(context)
    x = rows(6)
    ones = torch.ones(6)
    step = Step(student(x), teacher(x), torch.eye(3)[[0, 1, 2, 0, 1, 2]], ones, torch.arange(6), 0.0)
    term(step).mean().backward()
    assert term(step).shape == (6,) and student.layers[-1].attention.qkv.weight.grad.any()
