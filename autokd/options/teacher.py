"""A teacher in Python, with how it was trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher, and how it was trained. What is left out is found by trying it on training samples.

    Args:
      teacher: a network, or anything that `--teacher` takes.
      mean, std: of its input, on a scale of 0 to 1; one value, or one for each channel.
      size: side of its input in pixels, above 0.
      classes: the names of its classes in the order of its outputs, a mapping such as `class_to_idx`, or a file.
    """

    teacher: Any = dataclasses.field(kw_only=False)
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    size: int | None = None
    classes: Path | str | Sequence[str] | Mapping[Any, Any] | None = None
