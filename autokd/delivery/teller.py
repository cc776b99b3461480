"""Telling how far full training is, and how long the rest takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autokd.engine.loop import OnEpoch
from autokd.search.request import Notify, Progress, epoch_progress

RECENT = 5
"""Epochs whose seconds the time left is worked out from."""
EVERY = 1.0
"""Seconds between two signs of life within an epoch."""


def nobody(_: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Who is told of a training.

    Args:
      on_epoch: called after each epoch, when it is safe on disk, with its line of the curve, "epochs", their number,
        "objective", the metric that its score is of, and "seconds_left", about.
      notify: called as a search does, also while data are read and within an epoch.
      tensorboard: a folder for TensorBoard.
    """

    on_epoch: OnEpoch = nobody
    notify: Notify = nobody
    tensorboard: Path | None = None


class Teller:
    """Tells listeners where a training is, after each epoch and now and then within one.

    Args:
      listeners: who is told.
      epochs: of the whole training.
      objective: name of the metric that scores are of.
      done: epochs that were trained before.
      clock: seconds.
    """

    def __init__(
        self,
        listeners: Listeners,
        epochs: int,
        objective: str,
        done: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listeners, self._clock = listeners, clock
        self._epochs, self._objective = epochs, objective
        self._seconds: deque[float] = deque(maxlen=RECENT)
        self._at = Progress(stage="train", done=done, total=epochs, note=f"epoch {done + 1}")
        self._began = self._told = clock()

    def alive(self) -> None:
        """Show that an epoch goes on; called at every batch."""
        now = self._clock()
        if now - self._told >= EVERY:
            self._tell(now)

    def epoch(self, line: Mapping[str, Any]) -> None:
        """Tell of an epoch that is done.

        Args:
          line: of the curve.
        """
        now = self._clock()
        self._seconds.append(now - self._began)
        self._began = now
        told = {**line, "epochs": self._epochs, "objective": self._objective}
        self._at = epoch_progress(told)
        self._listeners.on_epoch({**told, "seconds_left": self._left(now)})
        self._tell(now)

    def _tell(self, now: float) -> None:
        self._told = now
        self._listeners.notify(replace(self._at, left=self._left(now)))

    def _left(self, now: float) -> float | None:
        """Seconds until the last epoch is over; None before the first of this process is."""
        if not self._seconds:
            return None
        each = sum(self._seconds) / len(self._seconds)
        return max(0.0, each * (self._epochs - self._at.done) - (now - self._began))
