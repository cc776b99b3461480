"""A teacher handed over in Python with what it was trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher, and what it was trained on; what is left out is tried on training samples.

    Args:
      teacher: a network, or what `--teacher` takes.
      mean, std: of its input in shares of 0 to 1, one value or one a channel.
      size: side in pixels of its input, above 0.
      classes: the names of its classes in the order of its outputs, a mapping such as `class_to_idx`, or a file.
    """

    teacher: Any = dataclasses.field(kw_only=False)
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    size: int | None = None
    classes: Path | str | Sequence[str] | Mapping[Any, Any] | None = None
