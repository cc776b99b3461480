"""Samples without labels that a dataset's pipelines may be distilled on: read as its own are, never split.

They are preprocessed as the labelled ones are; nothing is fitted on them. Exact copies of validation and test samples
are left out: a student that the teacher taught on them would be scored on what it has seen.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from torch import from_numpy

from autokd import batching
from autokd.data.card import hashes
from autokd.data.kept_files import kept_files
from autokd.data.named import absolute
from autokd.data_types import Indices, Part
from autokd.datasets import arrays, store
from autokd.errors import DataError
from autokd.files import cache_dir, printable
from autokd.input_kind import InputKind
from autokd.input_values import Files, Preprocess, RawInputs, ReadInputs
from autokd.lazy import LazyTensor
from autokd.networks.inputs import kind_of
from autokd.networks.models import state_fingerprint
from autokd.types import Split

_log = logging.getLogger("autokd")


class Labelled(NamedTuple):
    """The samples that samples without labels come to.

    Args:
      preprocess: fitted on them.
      train: those to train on, as they were read.
      held: how many the splits hold.
      read: how many were read.
    """

    preprocess: Preprocess
    train: RawInputs
    held: int
    read: int


class Wanted(NamedTuple):
    """Which samples without labels are wanted.

    Args:
      path: where they are; None: they are made.
      made: how rows are made of training rows.
      seed: of making them.
      skip_bad: leave unreadable files out instead of raising.
      rows: of the dataset's own table, which it is; None: all that is there.
    """

    path: Path | None
    made: str = ""
    seed: int = 0
    skip_bad: bool = False
    rows: Indices | None = None


class Pool(NamedTuple):
    """Samples without labels.

    Args:
      part: as they were read; its labels mean nothing.
      split: as they are trained on.
      whole: all that were read, those that were left out too.
      about: what the data card says of them.
      fingerprint: of their content; "" where nobody goes through all of it.
    """

    part: Part
    split: Split
    whole: RawInputs
    about: Mapping[str, Any]
    fingerprint: str


def place_of(given: Any) -> str | None:
    """Return the path of samples without labels; what is given in Python is kept in the cache.

    Raises:
      DataError: there is nothing of the kind.
    """
    if given is None:
        return None
    if isinstance(given, (str, Path)):
        if not Path(given).expanduser().exists():
            raise DataError(f"--unlabelled {given}: no such file or folder")
        return absolute(given)
    return absolute(arrays.keep_unlabelled(given, cache_dir()))


def read_pool(wanted: Wanted, labelled: Labelled, held_out: Iterable[Split]) -> Pool:
    """Read or make samples without labels, less those that are copies of held-out ones.

    Args:
      wanted: which.
      labelled: the dataset.
      held_out: its validation and test splits.

    Raises:
      DataError: they cannot be read, do not fit the dataset, or none is left.
    """
    found = _read(wanted, labelled, keep=True)
    inputs = labelled.preprocess.apply(found.read.inputs)
    copies = {row for split in held_out for row in hashes(split.inputs)}
    kept = np.flatnonzero([row not in copies for row in hashes(inputs)])
    left_out = batching.count(inputs) - len(kept)
    if not len(kept):
        raise DataError(
            f"{wanted.path or wanted.made}: all {left_out} samples without labels are also in validation or test"
        )
    if left_out:
        _log.warning(
            "%d of %d samples without labels are also in validation or test, and are left out",
            *(left_out, batching.count(inputs)),
        )
    chosen = batching.subset(inputs, from_numpy(kept))
    digest = state_fingerprint(batching.named(chosen, "unlabelled"))
    pool = _pool(found, labelled, kept, wanted.rows, digest)
    return pool._replace(about={**pool.about, "made": wanted.made}) if wanted.path is None else pool


def look_at_pool(wanted: Wanted, labelled: Labelled) -> Pool:
    """Return the same without going through all samples: none is left out, and nothing is kept of them.

    Raises:
      DataError: they cannot be read, or do not fit the dataset.
    """
    found = _read(wanted._replace(skip_bad=True), labelled, keep=False)
    return _pool(found, labelled, np.arange(len(found.read.names)), wanted.rows, "")


class _Found(NamedTuple):
    """Samples as they were read, and whether each is of a file of its own."""

    read: ReadInputs
    of_files: bool


def _pool(found: _Found, labelled: Labelled, kept: Indices, rows: Indices | None, digest: str) -> Pool:
    """Those samples that are kept; their numbers are those of the rows of the dataset's table, or follow its own."""
    read, preprocess = found.read, labelled.preprocess
    raw = kind_of(preprocess.kind).take(read.inputs, kept)
    names = np.array(list(map(str, read.names)), dtype=object)[kept] if found.of_files else None
    numbers = labelled.read + kept if rows is None else rows[kept]
    part = Part(raw, np.zeros(len(kept), dtype=np.int64), None, names, numbers)
    split = Split(
        preprocess.apply(raw),
        torch.zeros(len(kept), dtype=torch.int64),
        torch.zeros(len(kept), dtype=torch.bool),
        labelled.held + torch.arange(len(kept)),
    )
    left_out = len(read.names) - len(kept)
    about = {"samples": len(kept), **({"also_held_out": left_out} if left_out else {})}
    return Pool(part, split, read.inputs, about, digest)


def _read(wanted: Wanted, labelled: Labelled, *, keep: bool) -> _Found:
    """The samples that are wanted."""
    preprocess, kind = labelled.preprocess, kind_of(labelled.preprocess.kind)
    path = wanted.path
    if path is None:
        return _Found(kind.made_rows(preprocess, labelled.train, wanted.made, wanted.seed), of_files=False)
    in_python = path.suffix == arrays.UNLABELLED
    files = None if in_python else kind.unlabelled_files(preprocess, path)
    if in_python:
        read = _given(path, kind, preprocess)
    elif wanted.rows is not None:
        read = _own_rows(kind.read_unlabelled(preprocess, path, labelled.train), wanted.rows, path, kind)
    elif files is None:
        read = kind.read_unlabelled(preprocess, path, labelled.train)
    else:
        read = _of_files(files, wanted.skip_bad, keep)
    for remark in read.remarks:
        _log.warning("samples without labels: %s", remark)
    if read.skipped:
        _log.warning(
            "%d unreadable file(s) without labels left out, the first is %s",
            *(len(read.skipped), printable(read.skipped[0])),
        )
    return _Found(read, files is not None)


def _own_rows(read: ReadInputs, rows: Indices, path: Path, kind: InputKind) -> ReadInputs:
    """The rows of the dataset's own table that have no label."""
    if not len(rows):
        raise DataError(f"--unlabelled {path}: this is the table of the data, and all of its rows have a label")
    _log.warning("%s: %d of %d rows have no label, and are distilled on", path, len(rows), len(read.names))
    return ReadInputs([read.names[row] for row in rows], kind.take(read.inputs, rows))


def _given(path: Path, kind: InputKind, preprocess: Preprocess) -> ReadInputs:
    """Samples that were given in Python, from the cache."""
    try:
        tensors = store.read(path).tensors
    except (FileNotFoundError, SafetensorError) as error:
        raise DataError(f"{path}: these arrays are no longer in the cache; pass them as unlabelled=… again") from error
    return kind.given(preprocess, tensors["inputs"], skip_bad=True)


def _of_files(files: Files, skip_bad: bool, keep: bool) -> ReadInputs:
    if not keep:
        return ReadInputs(files.names, LazyTensor(files.source, torch.arange(len(files.names))), (), files.remarks)
    kept = kept_files(files.source, files.names, skip_bad=skip_bad)
    skipped = set(kept.notes.get("skipped", ()))
    good = [name for name in files.names if name not in skipped]
    return ReadInputs(good, LazyTensor(kept.source, torch.arange(len(good))), tuple(sorted(skipped)), files.remarks)
