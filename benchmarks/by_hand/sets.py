"""The eight sets: what is in them, the limits, and the seconds, all fixed before anything was compared.

Sizes are meant to leave time for some 20 full-length runs of hand KD on six sets, and for fewer than 10 on fashion-4000
and cifar-20. `--plan` measures what they leave on a machine, and records it in `plans.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TEST = 5000
"""Test items at most."""
VALIDATION_SHARE, VALIDATION = 0.2, 500
"""Validation images as a share of the training images, and at least so many."""
Half = Literal["dev", "held-out"]
Kind = Literal["image", "table"]
SECONDS: Mapping[Kind, float] = {"image": 180.0, "table": 60.0}
"""Of every side, by kind of input."""


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
    kind: Kind
    train: int
    params: int
    share: float | None
    seconds: float


def _set(
    kind: Kind, name: str, half: Half, size: tuple[int, int], *, family: str | None = None, share: float | None = None
) -> BenchmarkSet:
    """A set, given its training samples and the largest number of parameters; its family is its own by default."""
    train, params = size
    return BenchmarkSet(
        name=name,
        family=family or name,
        half=half,
        kind=kind,
        train=train,
        params=params,
        share=share,
        seconds=SECONDS[kind],
    )


SETS = {
    each.name: each
    for each in (
        _set("image", "fashion-4000", "dev", (4000, 90_000), family="fashion_mnist", share=0.3),
        _set("image", "cifar-coarse", "dev", (700, 30_000), family="cifar100", share=0.1),
        _set("table", "letter", "dev", (4000, 3000)),
        _set("table", "adult", "dev", (3200, 2000)),
        _set("image", "fashion-700", "held-out", (700, 30_000), family="fashion_mnist", share=0.1),
        _set("image", "cifar-20", "held-out", (2000, 90_000), family="cifar100", share=0.3),
        _set("table", "telco", "held-out", (3200, 2000)),
        _set("table", "crop", "held-out", (4000, 3000)),
    )
}
