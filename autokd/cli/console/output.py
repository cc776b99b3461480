"""How results reach stdout, and what their tables share."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from autokd.cli.streams import is_terminal

Shown = RenderableType | str
"""What a command prints: rich content, or plain text such as a JSON document."""

ROWS = 40
"""Rows of a long table that are shown."""
WIDTH = 120
"""Characters of a line where there is no terminal."""


def out(shown: Shown) -> None:
    """Print a result to stdout; text goes out exactly as it is."""
    if isinstance(shown, str):
        sys.stdout.write(shown + "\n")
    elif is_terminal(sys.stdout):
        Console(highlight=False).print(shown)
    else:
        console = Console(width=WIDTH, highlight=False)
        with console.capture() as captured:
            console.print(shown)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def document(value: Any) -> str:
    """Return one JSON document; NaN and infinity become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def indented(text: str) -> Padding:
    """A line of a list."""
    return Padding(Text(text), (0, 0, 0, 2))


def log_traceback() -> Path:
    """Write the current exception's traceback to a file of its own and return its path."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="autokd-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(traceback.format_exc())
    return Path(file.name)
