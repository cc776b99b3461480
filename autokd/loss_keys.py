"""Keys of a component in a pipeline that are the engine's: written beside the component's own fields, unknown to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class LossKeys:
    """What a pipeline says of a loss beside the loss's own fields.

    Args:
      begin, end: the term counts while begin <= u < end, in [0, 1], where u is the share of the whole training done.
      teacher: name of whose answers the loss reads: "teacher" for the study's, "peer" for those of the network that
        trains beside the student; "" for those that the loss is made for.

    Raises:
      ValueError: the window is empty or not within [0, 1].
    """

    begin: float = 0.0  # share of training after which the loss counts
    end: float = 1.0  # share of training up to which the loss counts
    teacher: str = ""  # whose answers it reads: teacher or peer; by default those it is made for

    def __post_init__(self) -> None:
        if not 0 <= self.begin < self.end <= 1:
            raise ValueError(f"expected 0 <= begin < end <= 1, got begin {self.begin:g} and end {self.end:g}")


KEYS: Mapping[str, type[Any]] = {"losses": LossKeys}
"""The keys that instances of each kind have, by kind; their defaults are left out of a plain pipeline."""
