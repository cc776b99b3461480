"""The eight sets: what is in them, the limits, and the seconds, all fixed before anything was compared.

Sizes are meant to leave time for some 20 full-length runs of hand KD on six sets, and for fewer than 10 on fashion-4000
and cifar-20. `--plan` measures what they leave on a machine, and records it in `plans.json`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TEST = 5000
"""Test items at most."""
VALIDATION_SHARE, VALIDATION = 0.2, 500
"""Validation images as a share of the training images, and at least so many."""
IMAGE_SECONDS, TABLE_SECONDS = 180.0, 60.0

Half = Literal["dev", "held-out"]


@dataclass(frozen=True, kw_only=True)
class BenchmarkSet:
    """One set of the benchmark.

    Args:
      name: of the set.
      family: the data that it is a part of.
      half: "dev": rules are picked and remedies tried on it; "held-out": it is run once before and once after.
      kind: of input.
      train: training images, or rows at most; validation comes on top of images.
      params: largest number of parameters of a student.
      share: of the default teacher's parameters that this is, about; None for tables, whose teacher may have none.
      seconds: that every side has, the teacher apart.
    """

    name: str
    family: str
    half: Half
    kind: Literal["image", "table"]
    train: int
    params: int
    share: float | None
    seconds: float


def _image(name: str, family: str, half: Half, train: int, limit: tuple[float, int]) -> BenchmarkSet:
    share, params = limit
    return BenchmarkSet(
        name=name,
        family=family,
        half=half,
        kind="image",
        train=train,
        params=params,
        share=share,
        seconds=IMAGE_SECONDS,
    )


def _table(name: str, half: Half, train: int, params: int) -> BenchmarkSet:
    return BenchmarkSet(
        name=name,
        family=name,
        half=half,
        kind="table",
        train=train,
        params=params,
        share=None,
        seconds=TABLE_SECONDS,
    )


SETS = {
    each.name: each
    for each in (
        _image("fashion-4000", "fashion_mnist", "dev", 4000, (0.3, 90_000)),
        _image("cifar-coarse", "cifar100", "dev", 700, (0.1, 30_000)),
        _table("letter", "dev", 4000, 3000),
        _table("adult", "dev", 3200, 2000),
        _image("fashion-700", "fashion_mnist", "held-out", 700, (0.1, 30_000)),
        _image("cifar-20", "cifar100", "held-out", 2000, (0.3, 90_000)),
        _table("telco", "held-out", 3200, 2000),
        _table("crop", "held-out", 4000, 3000),
    )
}
