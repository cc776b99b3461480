"""Writing files whole or not at all, YAML as text, and where caches live."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import platformdirs
import yaml


def cache_dir(*parts: str) -> Path:
    """Return (and make) a folder under `AUTOKD_CACHE`, or under the user's cache folder where that is not set."""
    base = os.environ.get("AUTOKD_CACHE") or platformdirs.user_cache_dir("autokd")
    path = Path(base).joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text file by an atomic rename, flushed to disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def to_yaml(value: Any) -> str:
    """Return plain data as YAML text, keys in their own order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)


def from_yaml(text: str) -> Any:
    """Return the plain data of YAML text.

    Raises:
      yaml.YAMLError: the text is not YAML.
    """
    return yaml.safe_load(text)
