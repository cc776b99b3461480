"""Which seconds count: those of the wall, or those of the CPU that this one-thread process spent.

Other work on the machine makes wall seconds longer for whoever happens to run beside it, and would decide who wins.
CPU seconds do not have that. On an idle machine both agree, since nothing here waits for anything but its one thread.
"""

from __future__ import annotations

import time
from typing import Literal

Clock = Literal["wall", "cpu"]


def count(clock: Clock) -> None:
    """Make every clock that measures durations count so; to be called before autokd is imported.

    The libraries whose import takes long are imported here first: starting Python costs no side anything.
    """
    import pandas  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import torch  # noqa: F401

    if clock == "cpu":
        time.monotonic = time.process_time
        time.perf_counter = time.process_time
