"""Processes that end with the one that made them."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import signal
from pathlib import Path

_DIE_WITH_PARENT = 1
"""Linux's name of this wish to `prctl`, from sys/prctl.h."""


def tie_to_parent() -> None:
    """On Linux: die with the coordinator, and be the first that the system kills where memory runs out."""
    if platform.system() != "Linux":
        return
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
