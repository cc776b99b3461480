"""The samples of a dataset as they were read, for teachers that answer about samples."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from autokd.data.split import Parts
from autokd.data.unlabelled import Pool
from autokd.data_types import Part, Raw
from autokd.input_kind import InputKind
from autokd.types import Samples


def numbered(raw: Raw) -> Raw:
    """Return a dataset whose samples have numbers: where they stand in it, parts one after the other.

    Rows of its table that have no label, and are distilled on, have the numbers between.
    """
    parts: dict[str, Any] = {}
    first = 0
    for name in ("train", "validation", "test"):
        part: Part | None = getattr(raw, name)
        if part is not None:
            between = raw.without_label if name == "train" else None
            numbers = np.arange(first, first + len(part) + (0 if between is None else len(between)))
            parts[name] = dataclasses.replace(part, numbers=numbers if between is None else np.delete(numbers, between))
            first += len(numbers)
    return dataclasses.replace(raw, **parts)


def samples_of(raw: Raw, parts: Parts, kind: InputKind, read: Raw, pool: Pool | None = None) -> Samples:
    """Return the samples that the splits hold.

    Args:
      raw: the dataset, numbered.
      parts: its splits.
      kind: of its inputs.
      read: the dataset before its inputs were resized.
      pool: samples without labels, which come last.
    """
    held, last = ([*parts], []) if pool is None else ([*parts, pool.part], [pool.whole])
    resized = read.train.inputs is not raw.train.inputs
    names = [part.names for part in held if part.names is not None]
    numbers = [part.numbers for part in held if part.numbers is not None]
    whole = [part.inputs for part in read.parts]
    return Samples(
        numbers=np.concatenate(numbers).tolist(),
        total=sum(map(len, [*raw.parts, *last])),
        names=np.concatenate(names).tolist() if len(names) == len(held) else None,
        table=kind.as_table and functools.partial(kind.as_table, [part.inputs for part in held]),
        whole=[*whole, *last] if resized else (),
    )
