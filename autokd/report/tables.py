"""What the tables of the sections share. Each is written as a CSV file beside the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]


class Table(NamedTuple):
    """A table behind the report.

    Args:
      rows: by column.
      columns: that come first; others follow in the order in which they first occur.
    """

    rows: Sequence[Row]
    columns: Sequence[str]


def flat(plain: Mapping[str, Any], prefix: str = "") -> Row:
    """{"student": {"use": "cnn", "width": 8}} -> {"student": "cnn", "student.width": 8}."""
    row: Row = {}
    for key, value in plain.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            row |= flat(value, path)
        elif key == "use":
            row[prefix] = value
        elif key != "format":
            row[path] = value
    return row


def failure_columns(failure: Mapping[str, str] | None) -> Row:
    """Return the columns of a failure, empty where there was none."""
    return {f"failure_{key}": None if failure is None else failure[key] for key in ("kind", "reason")}
