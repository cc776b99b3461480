"""Where the time goes: seconds by part of the work, measured only when asked for."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import torch

PARTS = ("data", "teacher", "forward", "backward", "optimizer", "evaluate", "search", "storage")


class Profile:
    """Adds up wall seconds by part.

    Args:
      device: waited for at the edges of a part, so that the seconds are the part's own; None: nothing is measured and
        nothing waits.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @property
    def is_on(self) -> bool:
        """Whether anything is measured."""
        return self.device is not None

    def part(self, name: str) -> AbstractContextManager[None]:
        """Measure a block as one of `PARTS`."""
        return self._measured(name) if self.is_on else _NOTHING

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what was measured elsewhere."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """Return the seconds so far and begin anew."""
        seconds, self.seconds = self.seconds, {}
        return seconds

    @contextlib.contextmanager
    def _measured(self, name: str) -> Iterator[None]:
        self._wait()
        began = time.perf_counter()
        try:
            yield
        finally:
            self._wait()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def _wait(self) -> None:
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()
OFF = Profile()
"""Measures nothing."""
