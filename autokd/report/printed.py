"""What sections print in the terminal, as plain values; the commands give it its looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Grid(NamedTuple):
    """A table for the terminal.

    Args:
      title: above it.
      columns: their headings.
      rows: texts, one a column.
      left: headings of the columns that are aligned left, texts; numbers are aligned right.
      strong: places of the rows that stand out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Sequence[str] = ("",)
    strong: Sequence[int] = ()


Printed = str | Grid
"""A line, or a table."""
