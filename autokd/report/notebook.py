"""What a notebook shows of a study: the verdict, the arms behind it, and where to read on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autokd.report import words
from autokd.report.page import templates
from autokd.report.sections.recommendation.facts import decide
from autokd.report.sections.recommendation.terminal import arms, compared, evidence

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def as_html(store: StudyStore, report_path: Path) -> str:
    """Return a study as a piece of HTML that needs no script, everything of the user's escaped.

    Args:
      store: the study, finished or not.
      report_path: of its page, whether or not it is there.
    """
    decision = decide(store)
    facts = {
        "name": store.name,
        "finished": store.finished,
        "trials": words.number_of(len(store.records.trials), "trial"),
        "decision": decision,
        "grid": None if decision is None else arms(store, decision),
        "compared": "" if decision is None else compared(decision),
        "evidence": [] if decision is None else evidence(decision),
        "report": report_path if report_path.is_file() else None,
    }
    return templates().get_template("notebook.html.jinja").render(**facts)
