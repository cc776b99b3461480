"""What a dataset component is given, and what it gives back.

Shapes: N samples of a part, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from autokd.declarations import Dataset
from autokd.input_values import RawInputs

Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DataContext:
    """How a dataset is to be read.

    Args:
      cache: folder for decoded and downloaded files.
      download: the network may be used.
      image_size: side in pixels that images are resized to; None for the component's own rule.
      skip_bad: leave unreadable files out instead of raising.
      resize: how images are brought to that size: crop, pad or squash; None for what suits them.
      dry: nothing is to be written, and what takes long is to be done for a sample.
      largest_side: pixels that a side has at most where `image_size` is None; None for the component's own rule.
      unlabelled: where samples without labels are; where that is the dataset's own table, its rows without a label are
        no samples of it.
    """

    cache: Path
    download: bool = False
    image_size: int | None = None
    skip_bad: bool = False
    resize: str | None = None
    dry: bool = False
    largest_side: int | None = None
    unlabelled: Path | None = None


@dataclass(frozen=True)
class Part:
    """Samples as they were read.

    Args:
      inputs: N raw samples in the form of their kind: uint8 images [N, channels, height, width], the rows of a table.
      labels: [N] class indices.
      groups: [N] names of what must stay in one split together, or None.
      names: [N] paths of the files that samples are from, or None where they are not from files of their own.
      numbers: [N] where each stood as the data were read, from 0, parts one after the other; given once all are read.
    """

    inputs: RawInputs
    labels: Indices
    groups: NDArray[Any] | None = None
    names: NDArray[Any] | None = None
    numbers: Indices | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A dataset as it was read: before splitting, fitting and normalising.

    Args:
      name: for people.
      modality: kind of input, as the dataset declares it.
      classes: class names, by index; shared by all parts.
      train: what training, and every split that does not come with the data, is taken from.
      validation, test: where the data come with them.
      skipped: files left out because they cannot be read.
      reading: how files became such samples, as its kind of input has it; what `InputKind.reading` gives, where None.
      remarks: what a user should know of how it was read, a sentence each.
      sampled: samples are read as they are looked at, so nobody is to go through all of them.
      without_label: rows of the table of `train` that have no label, and are no samples of it; None where it is not the
        table of the samples without labels.
    """

    name: str
    modality: str
    classes: tuple[str, ...]
    train: Part
    validation: Part | None = None
    test: Part | None = None
    skipped: tuple[str, ...] = ()
    reading: Any = None
    remarks: tuple[str, ...] = ()
    sampled: bool = False
    without_label: Indices | None = None

    @property
    def parts(self) -> list[Part]:
        """The parts that there are, in the order in which their samples are numbered."""
        return [part for part in (self.train, self.validation, self.test) if part is not None]


class DatasetComponent(Protocol):
    """A dataset: a frozen dataclass whose fields say where it is."""

    @property
    def declares(self) -> Dataset:
        """What it declares."""
        ...

    def build(self, context: DataContext) -> Raw:
        """Read it.

        Raises:
          DataError: it is missing or cannot be used.
        """
        ...
