"""The page: its sections in order inside one frame, and the file it is written to."""

from __future__ import annotations

import base64
import functools
import gzip
import inspect
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd.files import write_text
from autokd.report import words
from autokd.report.document import document
from autokd.report.sections import sections
from autokd.report.start import scored
from autokd.tables import write_csv

if TYPE_CHECKING:
    from jinja2 import Environment

    from autokd.report.sections import Section
    from autokd.study.store import StudyStore


def write(store: StudyStore, reports_dir: Path) -> Path:
    """Write a study's report, the tables behind it, and all its facts for machines.

    Args:
      store: the study, finished or not.
      reports_dir: the report goes to `reports_dir/<name>/index.html`, beside its CSV tables and report.json; what is
        there is replaced.
    Returns:
      The path of `index.html`: one file that opens offline.
    """
    folder = Path(reports_dir) / store.name
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections():
        for name, table in section.tables(store).items():
            write_csv(folder / f"{name}.csv", table.rows, table.columns)
    write_text(folder / "report.json", document(store))
    path = folder / "index.html"
    write_text(path, render(store))
    return path


def render(store: StudyStore) -> str:
    """Return a study's report as HTML."""
    known = shared(store)
    drawn = [(section, html) for section in sections() if (html := render_section(section, store, known)) is not None]
    frame = templates().get_template("page.html.jinja")
    return frame.render(**known, sections=drawn, plotly=packed_plotly())


@functools.cache
def packed_plotly() -> str:
    """Return plotly.js as the page holds it: compressed with gzip, as base64; the page unpacks it once it is shown."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), compresslevel=6, mtime=0)).decode("ascii")


def render_section(section: Section, store: StudyStore, known: dict[str, Any]) -> str | None:
    """Return a section's HTML, None where it is left out.

    Args:
      section: the section.
      store: the study.
      known: what every template may read, from `shared`.
    """
    facts = section.show(store)
    return None if facts is None else templates().get_template(section.template).render(**known, **facts)


def shared(store: StudyStore) -> dict[str, Any]:
    """Return what every template may read."""
    settings, metric = store.settings, store.objective.metric
    return {
        "study": store,
        "shell_name": shlex.quote(store.name),
        "records": store.records,
        "claim": store.records.claim,
        "scored": scored(store),
        "settings": settings,
        "data": settings.data,
        "teacher": settings.teacher,
        "metric": metric,
        "what": metric.title,
    }


@functools.cache
def templates() -> Environment:
    """Return the templates of the page and of the sections; all of them escape what they are given."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        name: function
        for name, function in vars(words).items()
        if inspect.isfunction(function) and function.__module__ == words.__name__
    }
    return environment


def _source(name: str) -> str:
    """Return a template: "page.html.jinja" lies here, "size/section.html.jinja" in the folder of the section."""
    section, _, file = name.rpartition("/")
    folder = resources.files(f"autokd.report.sections.{section}" if section else "autokd.report")
    return (folder / file).read_text(encoding="utf-8")
