"""Study -> one self-contained HTML file, and the tables behind it as CSV."""

from __future__ import annotations

from autokd.report.page import write

__all__ = ["write"]
