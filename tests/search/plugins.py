"""The losses of `misbehaving.py` as a plug-in, for as long as a test needs them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from autokd import catalog

MISBEHAVING = Path(__file__).with_name("misbehaving.py")


@contextlib.contextmanager
def plugin() -> Iterator[Path]:
    """Load losses that misbehave; they are gone again afterwards."""
    catalog.load_plugins(MISBEHAVING)
    try:
        yield MISBEHAVING
    finally:
        del sys.modules[f"autokd_plugin_{MISBEHAVING.stem}"]
