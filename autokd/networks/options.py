"""Options of an architecture as text: key=value,key=value."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from autokd.errors import TeacherError


def split_options(text: str) -> list[str]:
    """Split "key=value,key=value" into its items.

    A part without "=" goes on with the value before it: "mean=0.4,0.5,std=0.2" has two items.
    """
    items: list[str] = []
    for part in text.split(",") if text else []:
        if "=" in part or not items:
            items.append(part)
        else:
            items[-1] += f",{part}"
    return items


def read_options(items: Sequence[str]) -> dict[str, Any]:
    """Translate ("depth=56", "sizes=8,16", "bias=true") to {"depth": 56, "sizes": [8, 16], "bias": True}.

    Raises:
      TeacherError: an item has no "=".
    """
    for item in items:
        if "=" not in item:
            raise TeacherError(f"expected key=value, got {item!r}")
    return {key: _literal(value) for key, _, value in (item.partition("=") for item in items)}


def _literal(text: str) -> Any:
    """A number, true, false, none, a list of these (at commas), or the text itself."""
    words = {"true": True, "false": False, "none": None}
    if "," in text:
        return [_literal(part) for part in text.split(",")]
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text
