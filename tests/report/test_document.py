"""report.json: the same facts as the page and the CSV tables, as strict JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autokd.report import document, write
from autokd.study.checks import check
from tests.report.conftest import keep_answers
from tests.report.test_page import HOSTILE, Page

Fabricate = Callable[..., Any]
KEYS = (
    *("format", "autokd", "study", "metric", "data", "teacher", "limits", "verdict", "claim", "checks", "ladder"),
    *("learned", "tables"),
)


def strict(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_its_figures_are_those_of_the_page_and_the_tables(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    keep_answers(store)
    path = write(store, tmp_path)
    text = path.read_text(encoding="utf-8")
    page, facts = Page(text), strict((path.parent / "report.json").read_text(encoding="utf-8"))
    assert tuple(facts) == KEYS and facts["format"] == document.FORMAT and 'href="report.json"' in text
    assert facts["verdict"]["title"].replace("\xa0", " ") in page.words.replace("\xa0", " ")
    assert [each["says"] for each in facts["checks"]] == [each.says for each in check(store)]
    assert all(each["says"] in page.words for each in facts["checks"])
    claim = store.records.claim
    arms = {arm["name"]: arm for arm in facts["claim"]["arms"]}
    assert [name for name, arm in arms.items() if arm["recommended"]] == [claim.use]
    assert all(arms[arm.name]["test"] == arm.test and arms[arm.name]["cost"] == arm.cost for arm in claim.arms)
    mean = arms["kd"]["test_mean"]
    assert mean["low"] < mean["value"] < mean["high"] and f"{100 * mean['value']:.1f} %" in page.words
    assert facts["learned"]["answers"]["pick"]["accuracy"] == 0.8 and "80.0 %" in page.words
    for name, rows in facts["tables"].items():
        with (path.parent / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            written = list(csv.DictReader(file))
        assert len(written) == len(rows)
        for row, line in zip(rows, written, strict=True):
            numbers = {key: value for key, value in row.items() if isinstance(value, float)}
            assert {key: float(line[key]) for key in numbers} == numbers


@pytest.mark.parametrize(("trials", "claim"), [(0, False), (12, False)])
def test_before_a_claim_there_is_what_is_known(fabricate: Fabricate, trials: int, claim: bool) -> None:
    facts = strict(document.document(fabricate(trials=trials, claim=claim)))
    assert tuple(facts) == KEYS and facts["claim"] is None and facts["learned"] is None
    assert facts["study"]["trials"] == trials and facts["verdict"]["title"]


def test_names_come_through_as_they_are(fabricate: Fabricate) -> None:
    store = fabricate(classes=[HOSTILE, "b"])
    keep_answers(store)
    assert strict(document.document(store))["data"]["classes"] == [HOSTILE, "b"]


def test_the_documentation_lists_its_keys() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    table = text.partition("`report.json` beside them")[2]
    assert all(f"`{key}`" in table for key in KEYS)
