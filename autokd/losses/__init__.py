"""Distillation losses as pure functions: `from autokd.losses import kd, dkd`.

Each file `_name.py` holds the function `name` and the searchable component around it. The attribute
`autokd.losses.name` is the function, resolved when first asked for.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_") or not (Path(__file__).parent / f"_{name}.py").is_file():
        raise AttributeError(f"module 'autokd.losses' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autokd.losses._{name}"), name)


def __dir__() -> list[str]:
    return sorted(path.stem[1:] for path in Path(__file__).parent.glob("_[a-z]*.py"))
