"""What a notebook shows of a study."""

from __future__ import annotations

from pathlib import Path

from autokd.api import Study
from autokd.report import write
from tests.report.conftest import Fabricate
from tests.report.test_page import PLOTLY, Page, change_claim


def page(study: Study) -> Page:
    """What a notebook shows, taken apart like a page of which it is a piece."""
    return Page(PLOTLY + study._repr_html_())


def test_a_study_shows_its_verdict(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    study = Study(store, tmp_path / "reports")
    shown = page(study)
    assert shown.open == [], "every tag is closed"
    assert "Use the distilled student: +1.7 points [+1.1, +2.3] over plain KD" in shown.words
    assert "Better than plain KD: +1.7 points [+1.1, +2.3]." in shown.words
    assert "Search's pick (recommended) 2,280" in shown.words and "No teacher 2,280" in shown.words
    assert "Report:" not in shown.words
    write(store, tmp_path / "reports")
    assert str(study.report_path) in page(study).words


def test_a_study_without_a_claim_says_so(fabricate: Fabricate, tmp_path: Path) -> None:
    shown = page(Study(fabricate(claim=False), tmp_path)).words
    assert "Study demo: no recommendation yet, 36 trials (unfinished: the same search goes on)" in shown


def test_names_are_text_in_it(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(name="<b>&", claim=False)
    assert "Study &lt;b&gt;&amp;:" in Study(store, tmp_path)._repr_html_()
    store = fabricate(name="<i>")
    change_claim(store, lambda claim: claim)
    assert "<i>" not in Study(store, tmp_path)._repr_html_()
