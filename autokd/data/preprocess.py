"""From raw inputs to a network's inputs: fitted once on the training rows, kept as JSON, used alike ever after.

Shapes: N samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from pandas import DataFrame
from torch import Tensor

from autokd.data.columns import CategoricalColumn, Column, NumericColumn, fit_columns
from autokd.data_types import Inputs
from autokd.datasets import images, tables
from autokd.errors import DataError

FORMAT = 1
"""Version of the JSON form."""

_RULES = {"missing": "median or a category of its own", "unknown": "all zero"}


@dataclass(frozen=True, kw_only=True)
class ImagePreprocess:
    """Images to uint8 [N, channels, height, width].

    Args:
      classes: class names, by index.
      channels: 1 (grey) or 3 (RGB).
      size: (height, width) in pixels.
      mean, std: per channel of the training images scaled to [0, 1]; subtracted and divided later, after augmentation.
    """

    kind: ClassVar[str] = "image"
    classes: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.channels, *self.size)

    def apply(self, raw: Inputs) -> Tensor:
        """Return uint8 [N, *input_shape]; images of this shape are returned as they are.

        Raises:
          DataError: `raw` is not uint8 images [N, 1 or 3, H, W].
        """
        if not isinstance(raw, Tensor) or raw.dtype != torch.uint8 or raw.ndim != 4 or raw.shape[1] not in (1, 3):
            raise DataError(f"expected uint8 images [N, 1 or 3, H, W], got {_describe(raw)}")
        return images.conform(raw, self.size, self.channels)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads."""
        fields = {key: _plain(value) for key, value in _fields(self).items()}
        return {"format": FORMAT, "kind": self.kind, "resize": images.RESIZE_RULE, **fields}


@dataclass(frozen=True, kw_only=True)
class TablePreprocess:
    """Table rows to float32 [N, columns]: standardised numbers and one-hot categories.

    A missing number becomes the median, an unknown category all zeros; a column that had missing training cells has a
    number of its own that says so.

    Args:
      classes: class names, by index.
      columns: in the order of their numbers.
    """

    kind: ClassVar[str] = "table"
    classes: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (sum(column.width for column in self.columns),)

    @property
    def mean(self) -> tuple[float, ...]:
        """Nothing is left to subtract later."""
        return ()

    @property
    def std(self) -> tuple[float, ...]:
        """Nothing is left to divide by later."""
        return ()

    def apply(self, raw: Inputs) -> Tensor:
        """Return float32 [N, *input_shape]; columns that are not known are ignored.

        Raises:
          DataError: a column is absent, or a number is none or infinite.
        """
        if not isinstance(raw, DataFrame):
            raise DataError(f"expected a table, got {_describe(raw)}")
        blocks = [column.encode(tables.column(raw, column.name, "table")) for column in self.columns]
        return torch.from_numpy(np.concatenate(blocks, axis=1).astype(np.float32))

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads."""
        columns = [{"type": column.type} | _fields(column) for column in self.columns]
        columns = [{key: _plain(value) for key, value in column.items()} for column in columns]
        return {"format": FORMAT, "kind": self.kind, "rules": _RULES, "classes": list(self.classes), "columns": columns}


Preprocess = ImagePreprocess | TablePreprocess


def fit(raw: Inputs, classes: tuple[str, ...]) -> tuple[Preprocess, dict[str, str]]:
    """Fit the preprocessing on training inputs.

    Returns:
      It, and the columns left out of a table, each with the reason.
    """
    if isinstance(raw, Tensor):
        return _fit_images(raw, classes), {}
    columns, dropped = fit_columns(raw)
    return TablePreprocess(classes=classes, columns=columns), dropped


def from_json(plain: Mapping[str, Any]) -> Preprocess:
    """Inverse of `to_json`.

    Raises:
      DataError: the format is not known, or the data are not such a preprocessing.
    """
    if plain.get("format") != FORMAT:
        raise DataError(f"preprocessing format {plain.get('format')!r} is not known; this version reads {FORMAT}")
    readers: dict[str, Callable[[dict[str, Any]], Preprocess]] = {"image": _image_from_json, "table": _table_from_json}
    try:
        return readers[plain["kind"]]({key: value for key, value in plain.items() if key not in ("format", "kind")})
    except (KeyError, TypeError) as error:
        raise DataError(f"this is not a preprocessing of format {FORMAT}: {error}") from error


def _fit_images(raw: Tensor, classes: tuple[str, ...]) -> ImagePreprocess:
    channels, height, width = raw.shape[1:]
    moments = [_moments(raw[:, channel]) for channel in range(channels)]
    mean, std = zip(*moments, strict=True)
    return ImagePreprocess(classes=classes, channels=channels, size=(height, width), mean=mean, std=std)


def _moments(levels: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 levels scaled to [0, 1], from a histogram: exact; 1 for no deviation."""
    counts = torch.bincount(levels.reshape(-1), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    deviation = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    return round(float(mean), 6), round(float(deviation), 6) or 1.0


def _image_from_json(plain: dict[str, Any]) -> ImagePreprocess:
    _expect("resize", plain.pop("resize"), images.RESIZE_RULE)
    return ImagePreprocess(**_with_tuples(plain))


def _table_from_json(plain: dict[str, Any]) -> TablePreprocess:
    _expect("rules", plain.pop("rules"), _RULES)
    columns = tuple(_column_from_json(dict(column)) for column in plain.pop("columns"))
    return TablePreprocess(classes=tuple(plain.pop("classes")), columns=columns, **plain)


def _column_from_json(plain: dict[str, Any]) -> Column:
    types: dict[str, type[Column]] = {"numeric": NumericColumn, "categorical": CategoricalColumn}
    cls = types[plain.pop("type")]
    return cls(**_with_tuples(plain))


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}


def _expect(what: str, seen: Any, known: Any) -> None:
    if seen != known:
        raise DataError(f"preprocessing with {what} {seen!r} is not known; this version knows {known!r}")


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _describe(raw: Inputs) -> str:
    return f"{raw.dtype} {list(raw.shape)}" if isinstance(raw, Tensor) else f"a table with {len(raw.columns)} columns"
