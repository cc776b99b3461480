"""What sections of the report print in the terminal, in its looks."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import indented
from autokd.report.printed import Grid, Printed


def printed(item: Printed) -> RenderableType:
    """What a section prints; a table stands apart from what is above it, and a list is indented."""
    if isinstance(item, str):
        return indented(item.strip()) if item.startswith("  ") else Text(item)
    return table_of(item._replace(title=f"\n{item.title}"))


def table_of(grid: Grid) -> Table:
    """A table in the terminal's looks."""
    table = Table(title=grid.title, title_justify="left")
    for column in grid.columns:
        table.add_column(column, justify="left" if column in grid.left else "right")
    for place, row in enumerate(grid.rows):
        table.add_row(*map(Text, row), style="bold" if place in grid.strong else None)
    return table
