"""New inputs for prediction: image files, folders of them, or tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from pandas import DataFrame

from autokd.data.columns import CategoricalColumn
from autokd.data.preprocess import ImagePreprocess, Preprocess, TablePreprocess
from autokd.data_types import Inputs
from autokd.datasets import images, tables
from autokd.errors import DataError


class RawInputs(NamedTuple):
    """What was read.

    Args:
      names: one a sample: the image file, or table file and row number ("new.csv:1").
      inputs: what `preprocess.apply` takes.
      skipped: files left out because they cannot be read.
    """

    names: tuple[str, ...]
    inputs: Inputs
    skipped: tuple[str, ...] = ()


def read_inputs(preprocess: Preprocess, paths: Iterable[str | Path], *, skip_bad: bool = False) -> RawInputs:
    """Read inputs that are not part of a dataset.

    Args:
      preprocess: of the model that is to see them.
      paths: image files and folders of images, or CSV, TSV and Parquet files.
      skip_bad: leave unreadable images out, and take unknown categories as the preprocessing's rule says.

    Raises:
      DataError: a file is missing or unreadable, or a table has an unknown category, unless `skip_bad`.
    """
    found = [Path(path) for path in paths]
    missing = [path for path in found if not path.exists()]
    if missing or not found:
        raise DataError(f"{missing[0]}: no such file" if missing else "no inputs are given")
    if isinstance(preprocess, ImagePreprocess):
        return _read_images(preprocess, found, skip_bad)
    return _read_tables(preprocess, found, skip_bad)


def _read_images(preprocess: ImagePreprocess, paths: list[Path], skip_bad: bool) -> RawInputs:
    files = [file for path in paths for file in (images.image_files(path) if path.is_dir() else [path])]
    pixels, names, skipped = [], [], []
    for file in files:
        try:
            pixels.append(images.decode(file, preprocess.size, preprocess.channels))
            names.append(str(file))
        except DataError:
            if not skip_bad:
                raise
            skipped.append(str(file))
    if not pixels:
        raise DataError(f"{paths[0]}: no readable image")
    return RawInputs(tuple(names), torch.from_numpy(np.stack(pixels)), tuple(skipped))


def _read_tables(preprocess: TablePreprocess, paths: list[Path], skip_bad: bool) -> RawInputs:
    frames = [_features(preprocess, path, skip_bad) for path in paths]
    names = [f"{path}:{row}" for path, frame in zip(paths, frames, strict=True) for row in range(1, len(frame) + 1)]
    return RawInputs(tuple(names), pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0])


def _features(preprocess: TablePreprocess, path: Path, skip_bad: bool) -> DataFrame:
    """Return the columns that the preprocessing reads."""
    frame = tables.read_table(path)
    for column in preprocess.columns:
        unknown = column.unknown(tables.column(frame, column.name, str(path)))
        if unknown and not skip_bad and isinstance(column, CategoricalColumn):
            raise DataError(
                f"{path}, column {column.name!r}: {unknown[0]!r} was never seen in training; known: "
                f"{', '.join(column.categories)}; with --skip-bad it counts as none of them"
            )
    return frame[[column.name for column in preprocess.columns]]
