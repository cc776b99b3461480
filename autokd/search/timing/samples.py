"""The few samples that a measurement trains on, as they are or made smaller."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from autokd import batching
from autokd.data import Dataset
from autokd.networks.inputs import kind_of
from autokd.networks.large import LARGE_SIDE, compact
from autokd.types import Split, Task

LEAST_SAMPLE, SAMPLE_BYTES = 4, 2**25
"""Samples that are taken: so many at least, and of large ones no more than come to so many bytes."""
LEAST_SIDE = 8
"""Side in pixels below which none is proposed."""


class Sample(NamedTuple):
    """As much of a dataset as training one epoch reads; a step costs as much with samples without labels."""

    task: Task
    train: Split
    validation: Split
    unlabelled: None = None


def first_samples(data: Dataset, count: int) -> Sample:
    """Return the first samples of a dataset, in memory: of large ones fewer."""
    one = batching.nbytes(batching.take(data.train.inputs, slice(1)))
    train = batching.first_of(data.train, min(count, max(LEAST_SAMPLE, SAMPLE_BYTES // one)))
    task = dataclasses.replace(data.task, train_size=len(train))
    return Sample(task, train, batching.first_of(data.validation, len(train)))


def small_samples(data: Dataset, count: int) -> Sample:
    """Return the first samples of a dataset with the largest side that is timed as it is.

    They are made smaller one by one, so that no more than one large one is copied at a time.
    """
    train, validation = _small(data, data.train, count), _small(data, data.validation, count)
    return Sample(dataclasses.replace(compact(data.task), train_size=len(train)), train, validation)


def _small(data: Dataset, split: Split, count: int) -> Split:
    kind, name = kind_of(data.task.modality), data.task.dataset
    some = range(min(count, len(split)))
    each = [kind.resize(batching.take(split.inputs, slice(at, at + 1)), LARGE_SIDE, name) for at in some]
    labels, labelled, ids = (
        None if one is None else one[: len(each)] for one in (split.labels, split.labelled, split.ids)
    )
    assert labels is not None
    return Split(batching.concat(each), labels, labelled, ids)


def smaller_sides(side: int) -> Iterator[int]:
    """Yield a half, a quarter and so on of a side, as long as it is worth proposing."""
    while side // 2 >= LEAST_SIDE:
        side //= 2
        yield side


def resized(data: Sample, side: int) -> Sample:
    """Return a sample of pictures as they would be with another side."""
    kind, name = kind_of(data.task.modality), data.task.dataset
    train, validation = (
        dataclasses.replace(split, inputs=kind.resize(split.inputs, side, name))
        for split in (data.train, data.validation)
    )
    return Sample(kind.resized_task(data.task, side), train, validation)
