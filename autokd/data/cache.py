"""Where autokd keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Return the cache folder: `AUTOKD_CACHE`, or the user's own cache folder of the operating system."""
    return Path(os.environ.get("AUTOKD_CACHE") or platformdirs.user_cache_dir("autokd"))
