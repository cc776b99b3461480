"""What the page says of a claim's answers and shows of the data."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from autokd.report.page import packed_plotly, render
from autokd.report.sections.learned.facts import found, rows
from autokd.study.samples import Sample, Samples, disputed_file, samples_file, write_samples
from tests.report.conftest import keep_answers
from tests.report.test_page import HOSTILE, Page

Fabricate = Callable[..., Any]
CLASSES = [str(digit) for digit in range(10)]


def test_what_the_students_learnt_is_said_with_figures(fabricate: Fabricate) -> None:
    store = fabricate()
    assert found(store) is None and rows(store) == []
    keep_answers(store)
    facts = found(store)
    assert facts is not None
    assert facts.says[0].startswith("The student gives the teacher’s answer in 80.0 % of the test items")
    off = 100 * (np.exp(6) / (np.exp(6) + 9) - 0.8)
    assert f"Its confidence is off by {off:.1f} points on average" in facts.says[1]
    assert "a temperature fitted on validation" in facts.says[1] and "leaves 0." in facts.says[1]
    assert "Of plain models, logistic regression on the same rows reaches" in facts.says[-1]
    assert facts.lines[0].used and facts.lines[0].accuracy == "80.0 %" and facts.lines[-1].title == "Teacher"
    assert [row.name for row in facts.classes] == CLASSES and facts.classes[0].items == 50
    assert [row["class"] for row in rows(store)] == CLASSES
    page = Page(render(store))
    assert page.open == [] and facts.says[0] in page.words


def test_a_plain_model_that_is_better_is_said(fabricate: Fabricate) -> None:
    store = fabricate()
    keep_answers(store, plain=0.99)
    facts = found(store)
    assert facts is not None and facts.says[-1].startswith(
        "Beaten by a plain model: logistic regression on the same rows"
    )


def test_samples_are_shown_as_pictures_and_their_names_as_text(fabricate: Fabricate) -> None:
    store = fabricate()
    bytes_of_a_picture = base64.b64encode(b"\x89PNG picture").decode()
    write_samples(samples_file(store.path), Samples((Sample(HOSTILE, bytes_of_a_picture),)))
    file = disputed_file(store.path, store.records.claim.round)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_samples(file, Samples((Sample("7", bytes_of_a_picture, teacher="1", student=HOSTILE),)))
    page = Page(render(store))
    assert page.open == [] and page.words.count(HOSTILE) == 2 and "teacher: 1" in page.words
    assert [value for name, value in page.attributes if name == "src"] == [
        f"data:image/png;base64,{bytes_of_a_picture}"
    ] * 2


def test_of_a_table_the_columns_are_shown(fabricate: Fabricate) -> None:
    store = fabricate()
    write_samples(samples_file(store.path), Samples(columns=(("<b>age", "number", "the median, 31"),)))
    page = Page(render(store))
    assert page.open == [] and "<b>age number the median, 31" in page.words


def test_without_samples_there_is_no_section(fabricate: Fabricate) -> None:
    assert "What the student sees" not in Page(render(fabricate())).words


def test_plotly_is_in_the_page_compressed(fabricate: Fabricate) -> None:
    assert gzip.decompress(base64.b64decode(packed_plotly())).decode() == get_plotlyjs()
    text = render(fabricate())
    assert text.count(packed_plotly()) == 1 and len(text.encode()) < 2.5e6


@pytest.mark.parametrize("claim", [True, False])
def test_the_page_is_whole_without_answers(fabricate: Fabricate, claim: bool) -> None:
    assert Page(render(fabricate(claim=claim))).open == []
