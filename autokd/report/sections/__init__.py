"""The sections of the report, a folder each, in the order of the page.

A folder holds all that there is of its section, and nobody else knows what that is:

- `__init__.py` has `TITLE`, the section's name in the page's contents, and `show(study)`, which returns what its
  template shows, or None where the section is left out. It may have `tables(study)`, the CSV files beside the page, and
  `printed(study)`, lines and tables for the summary in the terminal.
- `section.html.jinja` is its markup. Beside what `show` returns it knows the names of `page.shared`, the functions of
  `words` as filters, and the macros of `macros.html.jinja`.
- `section.css` and `section.js`, where it has them, are its own part of the page's style and script, which go in once.
- `facts.py` holds pure functions of the study and `figure.py` plain Plotly figures, where it has any.

A section more is a folder more and its name in `ORDER`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from autokd.report.printed import Printed
from autokd.report.tables import Table

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

ORDER = (
    "recommendation",
    "checks",
    "ladder",
    "learned",
    "choices",
    "explorer",
    "past",
    "search",
    "details",
)
"""The sections as they stand on the page; names of folders."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A section, as its folder has it.

    Args:
      name: of the folder; the section's anchor on the page.
      title: in the page's contents.
      show: what the template shows, by name; None where the section is left out.
      tables: the CSV files beside the page, by name without ".csv".
      printed: what the summary of a study with a claim says of it in the terminal.
      style, script: its own part of the page's, "" where it has none.
    """

    name: str
    title: str
    show: Callable[[StudyStore], dict[str, Any] | None]
    tables: Callable[[StudyStore], Mapping[str, Table]]
    printed: Callable[[StudyStore], Iterable[Printed]]
    style: str = ""
    script: str = ""

    @property
    def template(self) -> str:
        """Name of the template, a path below this folder."""
        return f"{self.name}/section.html.jinja"


def sections() -> list[Section]:
    """Return all sections in order."""
    return [_load(name) for name in ORDER]


def _load(name: str) -> Section:
    module = importlib.import_module(f"{__name__}.{name}")
    return Section(
        name=name,
        title=module.TITLE,
        show=module.show,
        tables=getattr(module, "tables", _no_tables),
        printed=getattr(module, "printed", _nothing_printed),
        style=_source(name, "section.css"),
        script=_source(name, "section.js"),
    )


def _source(name: str, file: str) -> str:
    """Text of a file of a section's folder; "" where it has none."""
    path = resources.files(__name__) / name / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _no_tables(study: StudyStore) -> Mapping[str, Table]:
    return {}


def _nothing_printed(study: StudyStore) -> Iterable[Printed]:
    return ()
