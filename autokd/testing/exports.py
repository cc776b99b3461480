"""What every export must do."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from autokd.testing.suite import Suite


class ExportSuite(Suite):
    """What every export must do; what it writes is for tests of its own."""

    kind = "exports"

    def test_names_what_it_writes(self, component: Any) -> None:
        name = component.declares.output
        assert name and PurePath(name).name == name, "a file name without a folder"

    def test_its_options_are_off_by_default(self, component: Any) -> None:
        assert not any(vars(component()).values())
