"""Study -> one self-contained HTML file, and the tables behind it as CSV; and what a notebook shows of it."""

from __future__ import annotations

from autokd.report.notebook import as_html
from autokd.report.page import write

__all__ = ["as_html", "write"]
