"""Distillation losses as pure functions: `from autokd.losses import kd, dkd`.

Each file `_name.py` holds the function `name` and the searchable component around it. The attribute
`autokd.losses.name` is the function, resolved when first asked for; a few have a second, longer name.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

ALIASES = {"similarity_preserving": "sp"}
"""Second names of functions."""


def __getattr__(name: str) -> Any:
    name = ALIASES.get(name, name)
    if name.startswith("_") or not (Path(__file__).parent / f"_{name}.py").is_file():
        raise AttributeError(f"module 'autokd.losses' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autokd.losses._{name}"), name)


def __dir__() -> list[str]:
    return sorted([*ALIASES, *(path.stem[1:] for path in Path(__file__).parent.glob("_[a-z]*.py"))])
