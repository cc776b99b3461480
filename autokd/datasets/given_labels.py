"""Labels that were given in Python, in whatever form, as one plain value a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame, Index, Series
from torch import Tensor

from autokd.errors import DataError


class GivenLabels(NamedTuple):
    """Labels, and the names of the classes 0, 1, … where they were given as one column a class with a heading.

    Args:
      values: [N], a class name or number each.
      classes: names, by number, or None.
    """

    values: Series
    classes: Sequence[str] | None = None


def plain_labels(labels: Any) -> GivenLabels:
    """Return labels as one plain value a sample.

    Args:
      labels: [N] or [N, 1] class names or numbers, or [N, C] with a single 1 a row.

    Raises:
      DataError: they are for something else than classification into one class a sample.
    """
    labels = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else labels
    if isinstance(labels, (Series, Index, pd.Categorical)):
        return GivenLabels(_series(labels.tolist()))
    array = _as_array(labels)
    if array.ndim == 1:
        return GivenLabels(_series(labels.tolist() if isinstance(labels, np.ndarray) else list(labels)))
    if array.ndim != 2:
        raise DataError(f"y has shape {array.shape}; expected one class a sample, [N]")
    if array.shape[1] == 1:
        return GivenLabels(_series(array[:, 0].tolist()))
    columns = list(map(str, labels.columns)) if isinstance(labels, DataFrame) else None
    return GivenLabels(Series(_from_one_hot(array).tolist()), columns)


def _series(values: list[Any]) -> Series:
    return Series([_plain(value) for value in values])


def _as_array(labels: Any) -> NDArray[Any]:
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise DataError("y has rows of different lengths; expected one class a sample, [N]") from error


def _from_one_hot(array: NDArray[Any]) -> NDArray[Any]:
    """Return the place of the 1 in every row.

    Raises:
      DataError: it says what [N, C] is instead.
    """
    said = f"y has shape {array.shape}"
    instead = "autokd learns one class a sample; give y as [N]"
    if array.dtype.kind not in "biuf":
        raise DataError(f"{said} and holds no numbers; {instead}")
    values = array.astype(np.float64)
    if not np.isin(values, (0, 1)).all():
        sums_to_one = bool((values >= 0).all()) and np.allclose(values.sum(1), 1, atol=1e-3)
        if sums_to_one:
            raise DataError(f"{said} and holds probabilities of classes; {instead}, for instance y.argmax(1)")
        raise DataError(f"{said} and holds several quantities a sample, a regression; {instead}")
    ones = values.sum(1)
    if (ones != 1).any():
        row = int(np.flatnonzero(ones != 1)[0])
        raise DataError(f"{said} with {ones[row]:g} ones in row {row + 1}: that is multi-label; {instead}")
    return np.asarray(values.argmax(1))


def _plain(value: Any) -> Any:
    """A class as a plain value: no tensor, no scalar of numpy, no bytes."""
    if isinstance(value, (Tensor, np.generic)):
        value = value.item()
    return value.decode(errors="replace") if isinstance(value, bytes) else value
