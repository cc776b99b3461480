"""A dataset's samples at the size that a teacher looks at, beside those that the student sees.

Files are decoded once, into the user's cache, and read from there as they are asked for. Arrays are there as they are.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from autokd.data.kept_files import place, written
from autokd.data.load import Dataset
from autokd.datasets import picture_cache
from autokd.input_values import Finer
from autokd.lazy import LazyTensor, Source
from autokd.networks.inputs import kind_of
from autokd.networks.side import side_of
from autokd.types import Split, Teacher

_log = logging.getLogger("autokd")


def with_finer(data: Dataset, teacher: Teacher | None, *, keep: bool = True) -> Dataset:
    """Return the dataset with its samples as its teacher sees them.

    It is the same where the student sees as much as there is.

    Args:
      data: the dataset.
      teacher: who looks at them.
      keep: decode files into the cache, once; if not, they are decoded each time that they are asked for.

    Raises:
      DataError: a file is gone or unreadable, or the disk has no room.
    """
    source, names = _source(data, side_of(teacher)), data.samples.names
    if source is None:
        return data
    kept: Source = source if names is None or not keep else _kept(source, names)
    return dataclasses.replace(
        data,
        train=_beside(data.train, kept),
        validation=_beside(data.validation, kept),
        unlabelled=None if data.unlabelled is None else _beside(data.unlabelled, kept),
        _test=_beside(data.read_test(), kept),
    )


def finer_split(data: Dataset, split: Split, side: int) -> Split:
    """Return some samples of a dataset as a teacher sees them, decoded each time they are asked for; nothing is kept.

    Args:
      data: the dataset.
      split: of its samples.
      side: that the teacher looks at, in pixels; 0: what the student does.
    """
    source = None if split.ids is None else _source(data, side)
    return dataclasses.replace(split, finer=None) if source is None else _beside(split, source)


def _source(data: Dataset, side: int) -> Finer | None:
    return kind_of(data.task.modality).finer(data.preprocess, data.samples, side) if side else None


def _beside(split: Split, source: Source) -> Split:
    assert split.ids is not None, "the samples of a dataset have ids"
    return dataclasses.replace(split, finer=LazyTensor(source, split.ids.cpu()))


def _kept(source: Finer, names: Sequence[str]) -> Source:
    """The samples in the cache, decoded into it where they are not there yet."""
    path = place(source, names, {})
    found = picture_cache.find(path)
    if found is None:
        _log.info("decoding %d pictures at %d px for the teacher", len(names), source.shape[-1])
        found = written(path, source, names, source.pictures(), dict)
    return found.source
