"""Predictions of a student bundle for new inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame
from torch import device as Device

from autokd.delivery.bundle import load_student


def predict(
    directory: str | Path,
    inputs: Any,
    *,
    device: str | Device = "cpu",
    skip_bad: bool = False,
    encoding: str | None = None,
) -> DataFrame:
    """Return a student's predictions, one row a sample.

    Args:
      directory: the student's bundle.
      inputs: image files, folders of images and tables that name images, or CSV, TSV and Parquet tables with the
        columns of the training data; or what else `Student.predict` takes.
      device: where to compute.
      skip_bad: leave unreadable images out with a warning, and take unknown categories as none of the known ones.
      encoding: of tables; see `Student.predict`.
    Returns:
      Columns `input` (the image file, or table file and row), `label`, `probability` (of the label), and
      `probability of <class>` for each class.

    Raises:
      BundleError: the folder is no whole bundle.
      DataError: an input is missing, unreadable, or does not fit.
    """
    found = load_student(directory, device).predict(inputs, skip_bad=skip_bad, encoding=encoding)
    found.insert(0, "input", found.index.to_flat_index())
    return found.reset_index(drop=True)
