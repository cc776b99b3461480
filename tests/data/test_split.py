"""Splits: sizes, strata, seeds, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from autokd.data.split import quotas, split, stratified_draw, test_size, validation_size
from autokd.data_types import Part, Raw
from autokd.errors import DataError

test_size.__test__ = False  # type: ignore[attr-defined]


def raw(counts: list[int], **parts: Any) -> Raw:
    """A dataset whose only pixel, spread over two bytes, is the row's number."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return Raw(name="set", modality="image", classes=tuple("abcdefgh"[: len(counts)]), train=part(labels), **parts)


def part(labels: np.ndarray) -> Part:
    rows = np.arange(len(labels))
    pixels = np.stack([rows // 256, rows % 256], axis=1).astype(np.uint8)
    return Part(torch.from_numpy(pixels)[:, None, None], labels)


def rows(of: Part) -> set[int]:
    assert isinstance(of.inputs, torch.Tensor)
    return {int(high) * 256 + int(low) for high, low in of.inputs[:, 0, 0]}


@pytest.mark.parametrize(("n", "size"), [(100, 20), (20000, 4000), (25000, 5000), (40000, 5000), (60000, 6000)])
def test_validation_is_a_fifth_up_to_5000_or_a_tenth(n: int, size: int) -> None:
    assert validation_size(n) == size


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ([50, 50], 10, [5, 5]),
        ([70, 20, 10], 10, [7, 2, 1]),
        ([5, 3, 2], 5, [3, 1, 1]),  # exact shares 2.5, 1.5, 1
        ([98, 1, 1], 10, [9, 1, 1]),  # one of each class, and more than 10 in all
    ],
)
def test_quotas(counts: list[int], total: int, expected: list[int]) -> None:
    assert quotas(np.array(counts), total).tolist() == expected


def test_every_sample_is_in_one_split_with_its_label() -> None:
    whole = raw([100, 60, 40])
    parts = split(whole, seed=0)
    assert [len(p) for p in parts] == [128, 32, 40]
    assert [np.bincount(p.labels).tolist() for p in parts] == [[64, 38, 26], [16, 10, 6], [20, 12, 8]]
    assert set.union(*map(rows, parts)) == set(range(200))
    for p in parts:
        assert isinstance(p.inputs, torch.Tensor)
        assert p.labels.tolist() == whole.train.labels[sorted(rows(p))].tolist()


def test_seed_decides() -> None:
    draws = [[rows(p) for p in split(raw([100, 60]), seed=seed)] for seed in (3, 3, 4)]
    assert draws[0] == draws[1] and draws[0] != draws[2]


def test_a_draw_is_decided_by_its_seed() -> None:
    chosen = [stratified_draw(np.repeat([0, 1], 50), 20, 2, seed) for seed in (1, 1, 2)]
    assert chosen[0].tolist() == chosen[1].tolist() != chosen[2].tolist()
    assert len(set(chosen[0].tolist())) == 20


def test_official_parts_are_left_alone() -> None:
    validation, test = part(np.array([0, 1, 1])), part(np.array([1, 0]))
    parts = split(raw([10, 10], validation=validation, test=test), seed=0)
    assert parts.validation is validation and parts.test is test and len(parts.train) == 20


def test_limit_leaves_the_other_splits_as_they_are() -> None:
    full, limited = split(raw([100, 60, 40]), seed=0), split(raw([100, 60, 40]), seed=0, limit_train=20)
    assert np.bincount(limited.train.labels).tolist() == [10, 6, 4]
    assert rows(limited.train) < rows(full.train)
    assert rows(limited.validation) == rows(full.validation) and rows(limited.test) == rows(full.test)
    assert len(split(raw([100, 60, 40]), seed=0, limit_train=10**6).train) == 128
    with pytest.raises(DataError, match="2 samples cannot hold 3 classes"):
        split(raw([100, 60, 40]), seed=0, limit_train=2)


def test_smallest_class_is_in_every_split() -> None:
    parts = split(raw([200, 3]), seed=0)
    assert [int((p.labels == 1).sum()) for p in parts] == [1, 1, 1]
    with pytest.raises(DataError, match=r"class 'b' has 2 sample.* at least 3"):
        split(raw([200, 2]), seed=0)
    assert len(split(raw([200, 2], test=part(np.array([0, 1]))), seed=0).train)
