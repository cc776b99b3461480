"""Lines of the file of events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def lines_from(path: Path, begin: int) -> list[bytes]:
    """Return the lines of a file from a byte on; none where there is no file."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(begin)
        return file.read().splitlines(keepends=True)


def event_of(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; None where it is none, or was cut short."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
