"""What the page says of a claim's answers and shows of the data."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs
from safetensors.numpy import load_file, save_file

from autokd.report.page import packed_plotly, render, render_section, shared
from autokd.report.sections import sections
from autokd.report.sections.learned import show
from autokd.report.sections.learned.facts import CLASSES, FEWEST_ITEMS, rows
from autokd.study.answers import answers_file
from autokd.study.samples import Sample, Samples, disputed_file, samples_file, write_samples
from tests.report.conftest import keep_answers
from tests.report.test_page import HOSTILE, Page

Fabricate = Callable[..., Any]
DIGITS = [str(digit) for digit in range(10)]


def answered(store: Any) -> dict[str, Any]:
    """What the section shows of the answers."""
    shown = show(store)
    assert shown is not None
    found: dict[str, Any] = shown["answered"]
    return found


def drawn(store: Any) -> str:
    """Its markup; "" where it is left out."""
    (own,) = (section for section in sections() if section.name == "learned")
    return render_section(own, store, shared(store)) or ""


def test_what_the_students_learnt_is_said_with_figures_and_intervals(fabricate: Fabricate) -> None:
    store = fabricate()
    assert show(store) is None and rows(store) == []
    keep_answers(store)
    facts = answered(store)
    told = "The student gives the teacher’s answer in 80.0 % of the test items, not told apart from the 80.0 % of"
    assert facts["heading"] == f"{told} training without a teacher"
    off = 100 * (np.exp(6) / (np.exp(6) + 9) - 0.8)
    assert f"The student’s confidence is off by {off:.1f} points [" in facts["of_calibration"]
    assert "fitted on validation, leaves 0." in facts["of_calibration"]
    assert facts["of_calibration"].endswith("and its bundle holds it.")
    assert facts["of_agreement"].endswith("two runs of the same recipe agree in 60.0 %.")
    assert "training without a teacher in 80.0 % (difference +0.0 points [" in facts["of_agreement"]
    assert facts["of_disputes"].endswith("the teacher is right in 100.0 % of these, the student in 0.0 %.")
    assert "Of plain models, logistic regression on the same rows reaches" in facts["plain"]
    assert facts["lines"][0].used and facts["lines"][0].accuracy == "80.0 %" and facts["lines"][-1].title == "Teacher"
    assert [row.name for row in facts["classes"].lines] == DIGITS and facts["classes"].lines[0].items == 50
    assert facts["confusions"][0] == ("0", "1", "10.0 of 50")
    assert [row["class"] for row in rows(store)] == DIGITS
    text = drawn(store)
    page = Page(text + packed_plotly())
    assert page.open == []
    assert "On {} {}".format(*facts["of_classes"]) in page.words
    for key in ("heading", "of_calibration", "of_agreement", "of_disputes"):
        assert facts[key] in page.words, key
    assert text.count('<svg class="picture"') == 10 + 3, "a dumbbell a class, a diagram of pick, KD and alone"


def test_of_many_classes_the_worst_are_shown_and_all_in_a_fold(fabricate: Fabricate) -> None:
    store = fabricate(classes=[f"class {i}" for i in range(30)])
    keep_answers(store)
    facts = answered(store)["classes"]
    values = [line.values[0] for line in facts.lines]
    assert len(facts.lines) == CLASSES and values == sorted(values) and len(facts.rest) == 30
    assert [line.name for line in facts.rest] == list(store.task.classes)
    assert "All 30 classes" in drawn(store)


def keep_some(store: Any, *, without: str = "", items: int = 500) -> None:
    """Answers without those whose name begins so, and of so many items."""
    keep_answers(store)
    file = answers_file(store.path, store.records.claim.round)
    kept = {
        name: values[:items] for name, values in load_file(file).items() if not (without and name.startswith(without))
    }
    save_file(kept, file)


@pytest.mark.parametrize("without", ["alone/", "kd/", "teacher/", "pick/4/", "plain/", "pick/"])
def test_a_study_whose_answers_lack_an_arm_is_shown_all_the_same(fabricate: Fabricate, without: str) -> None:
    store = fabricate()
    keep_some(store, without=without)
    page = Page(drawn(store) + packed_plotly())
    assert page.open == [] and ("in 80." in page.words) is (without != "pick/")


def test_of_few_items_there_is_no_diagram_but_the_sentence(fabricate: Fabricate) -> None:
    store = fabricate()
    keep_some(store, items=FEWEST_ITEMS - 1)
    facts = answered(store)
    assert facts["diagrams"] == () and facts["of_calibration"].startswith("The student’s confidence is off by")


def test_a_plain_model_that_is_better_is_said(fabricate: Fabricate) -> None:
    store = fabricate()
    keep_answers(store, plain=0.99)
    assert answered(store)["plain"].startswith("Beaten by a plain model: logistic regression on the same rows")


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
