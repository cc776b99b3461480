"""Which student stage learns from which teacher stage, and what brings features to each other's shape."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from autokd import catalog
from autokd.errors import ComponentError
from autokd.losses.pairing import pairs
from autokd.losses.projectors import BatchNorm, pool_tokens, to_smaller
from autokd.networks.pooling import average_pool
from autokd.types import BuildContext, Shapes, Task

TASK = Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=tuple("abc"), train_size=100)


def maps(*sizes: int) -> list[tuple[int, ...]]:
    return [(4 + index, size, size) for index, size in enumerate(sizes)]


def normal(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("how", "students", "teachers", "expected"),
    [
        ("last", 4, 12, [(3, 11)]),
        ("last", 1, 1, [(0, 0)]),
        ("middle", 1, 2, [(0, 0)]),
        ("middle", 4, 5, [(1, 2)]),
        # twelve teacher layers for four: the third, sixth, ninth and twelfth
        ("all", 4, 12, [(0, 2), (1, 5), (2, 8), (3, 11)]),
        ("all", 3, 3, [(0, 0), (1, 1), (2, 2)]),
        ("all", 5, 3, [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)]),
        ("all", 2, 3, [(0, 0), (1, 2)]),
        ("skip", 4, 12, [(1, 5), (3, 11)]),
        ("skip", 3, 3, [(0, 0), (2, 2)]),
        ("skip", 2, 3, [(1, 2)]),
        ("skip", 1, 3, [(0, 2)]),
    ],
)
def test_pairs_by_depth(how: str, students: int, teachers: int, expected: list[tuple[int, int]]) -> None:
    assert pairs(maps(*[8] * students), maps(*[8] * teachers), how) == tuple(expected)


@pytest.mark.parametrize(
    ("students", "teachers", "expected"),
    [
        ((32, 16, 8), (32, 16, 8), [(0, 0), (1, 1), (2, 2)]),
        # several stages of one size: the last of each
        ((32, 32, 16, 16, 8), (32, 32, 16, 8, 8), [(1, 1), (3, 2), (4, 4)]),
        # none of that size: the nearest by ratio; 4 is as far from 8 as from 2, and the deeper one is taken
        ((16, 4), (32, 8, 2), [(0, 1), (1, 2)]),
        ((12,), (32, 16, 8), [(0, 1)]),
        ((8, 16), (16, 8), [(0, 1), (1, 0)]),
    ],
)
def test_pairs_by_size(students: tuple[int, ...], teachers: tuple[int, ...], expected: list[tuple[int, int]]) -> None:
    assert pairs(maps(*students), maps(*teachers), "size") == tuple(expected)


def test_vectors_have_one_size() -> None:
    assert pairs([(8,), (4,)], [(16,), (16,), (9,)], "size") == ((1, 2),)


def test_an_explicit_list_counts_from_1() -> None:
    assert pairs(maps(8, 8, 8), maps(8, 8, 8), "1-2,3-3") == ((0, 1), (2, 2))
    assert pairs(maps(8, 8), maps(8), "2-1, 1-1") == ((1, 0), (0, 0))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("first", "'first' are not known; use one of last, middle, skip, all, size, or pairs"),
        ("", "'' are not known"),
        ("1-2;2-2", "not known"),
        ("1-4", "no pair 1-4; the student has 2 stages and the teacher 3"),
        ("0-1", "no pair 0-1"),
        ("3-1", "no pair 3-1"),
    ],
)
def test_pairs_that_cannot_be_are_a_clear_error(how: str, message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        pairs(maps(8, 8), maps(8, 8, 8), how)


@pytest.mark.parametrize("name", ["attention_transfer", "diffkd", "nst", "reviewkd"])
def test_losses_on_maps_refuse_vectors(name: str) -> None:
    context = BuildContext(task=TASK, student=Shapes(((4, 8, 8), (6,)), 6), teacher=Shapes(((4, 8, 8), (6, 4, 4)), 6))
    with pytest.raises(ComponentError, match=rf"{name}.*maps.*\(6,\)"):
        catalog.load("losses", name)(stages="all").build(context)


@pytest.mark.parametrize("name", ["hint", "vid"])
def test_losses_with_projectors_refuse_maps_against_vectors(name: str) -> None:
    context = BuildContext(task=TASK, student=Shapes(((6,),), 6), teacher=Shapes(((6, 4, 4),), 6))
    with pytest.raises(ComponentError, match=f"{name}.*both vectors"):
        catalog.load("losses", name)().build(context)


def test_losses_take_an_explicit_list_of_stages() -> None:
    shapes = Shapes(((4, 8, 8), (6, 4, 4)), 6)
    with pytest.raises(ComponentError, match="no pair 2-3"):
        catalog.load("losses", "attention_transfer")(stages="1-1,2-3").build(
            BuildContext(task=TASK, student=shapes, teacher=shapes)
        )


# projectors


@pytest.mark.parametrize("size", [(4, 3), (5, 4), (8, 6), (16, 7), (1, 1), (2, 6), (16, 12)])
def test_average_pool_is_adaptive_average_pooling(size: tuple[int, int]) -> None:
    x = normal(2, 3, 8, 6)
    torch.testing.assert_close(average_pool(x, size), F.adaptive_avg_pool2d(x, size))


def test_the_larger_map_is_pooled_to_the_smaller_in_each_direction() -> None:
    student, teacher = to_smaller(normal(2, 3, 8, 4), normal(2, 5, 4, 8))
    assert (student.shape, teacher.shape) == ((2, 3, 4, 4), (2, 5, 4, 4))
    torch.testing.assert_close(student, normal(2, 3, 8, 4).unflatten(2, (4, 2)).mean(3))


def test_batch_norm_of_one_value_uses_its_running_statistics() -> None:
    norm = BatchNorm(3).double()
    means, variances = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    means.fill_(1.0)
    variances.fill_(4.0)
    one = norm(torch.full((1, 3, 1, 1), 5.0, dtype=torch.float64))
    assert one.flatten().tolist() == pytest.approx([2.0] * 3, abs=1e-5)  # (5 - 1) / 2
    assert means.tolist() == [1.0] * 3
    many = normal(2, 3, 2, 2)
    torch.testing.assert_close(norm(many).mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_pool_tokens_pools_the_grid_and_leaves_out_what_stands_before_it() -> None:
    grid = normal(2, 5, 4, 4)
    tokens = grid.flatten(2).transpose(1, 2)
    with_class = torch.cat([torch.full((2, 1, 5), 100.0, dtype=torch.float64), tokens], 1)
    expected = F.adaptive_avg_pool2d(grid, 2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(pool_tokens(tokens, 4), expected)
    torch.testing.assert_close(pool_tokens(with_class, 4), expected)
    assert torch.equal(pool_tokens(with_class, 17), with_class)
    with pytest.raises(ComponentError, match="12 tokens form no square grid"):
        pool_tokens(normal(2, 12, 5), 4)
