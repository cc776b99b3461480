"""Predictions of a student bundle for new inputs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from pandas import DataFrame

from autokd.data import read_inputs
from autokd.delivery.bundle import load_student
from autokd.files import printable

log = logging.getLogger("autokd")


def predict(
    directory: str | Path,
    inputs: Sequence[str | Path],
    *,
    device: str | torch.device = "cpu",
    skip_bad: bool = False,
) -> DataFrame:
    """Return a student's predictions, one row a sample.

    Args:
      directory: the student's bundle.
      inputs: image files, folders of images and tables that name images, or CSV, TSV and Parquet tables with the
        columns of the training data.
      device: where to compute.
      skip_bad: leave unreadable images out with a warning, and take unknown categories as none of the known ones.
    Returns:
      Columns `input` (the image file, or table file and row), `label`, `probability` (of the label), and
      `probability of <class>` for each class.

    Raises:
      BundleError: the folder is no whole bundle.
      DataError: an input is missing, unreadable, or does not fit.
    """
    student = load_student(directory, device)
    read = read_inputs(student.preprocess, inputs, skip_bad=skip_bad)
    if read.skipped:
        log.warning("%d unreadable file(s) left out, the first is %s", len(read.skipped), printable(read.skipped[0]))
    for remark in read.remarks:
        log.warning("%s", remark)
    probabilities = student.predict(read.inputs)
    values = probabilities.to_numpy()
    columns = {"input": list(map(printable, read.names)), "label": [student.classes[i] for i in values.argmax(1)]}
    by_class = {f"probability of {name}": values[:, i] for i, name in enumerate(student.classes)}
    return DataFrame({**columns, "probability": values.max(1), **by_class})
