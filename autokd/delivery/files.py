"""JSON files and bytes, read with one clear line where they are damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd.errors import BundleError
from autokd.files import write_text


def write_json(path: Path, plain: Mapping[str, Any]) -> None:
    """Write a mapping as JSON for people: indented, UTF-8."""
    write_text(path, json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, version: int) -> dict[str, Any]:
    """Read a JSON mapping that carries a format number.

    Raises:
      BundleError: the file is missing, is not a JSON mapping, or has another format number.
    """
    try:
        plain = json.loads(read_bytes(path))
    except ValueError as error:
        raise BundleError(f"{path} is damaged: it is not JSON ({error})") from error
    if not isinstance(plain, dict):
        raise BundleError(f"{path} is damaged: expected a mapping, got {type(plain).__name__}")
    if plain.get("format") != version:
        raise BundleError(f"{path} has format {plain.get('format')!r}; this version of autokd reads format {version}")
    return plain


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
      BundleError: it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror or error}") from error
