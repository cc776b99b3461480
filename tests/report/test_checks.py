"""The checks on the page and in the terminal."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autokd.api import Study
from autokd.cli.console import claim as console
from autokd.report.page import render
from autokd.report.sections.checks import show
from autokd.report.sections.checks.facts import heading
from autokd.study.checks import RULES, Check, Severity, check
from tests.report.conftest import keep_answers
from tests.report.test_arms import text_of
from tests.report.test_page import HOSTILE, Page, change_claim

Fabricate = Callable[..., Any]


def checks(*severities: Severity) -> list[Check]:
    return [Check(rule=RULES[0], severity=severity, says="It is so.", todo="") for severity in severities]


def test_the_heading_is_what_was_found() -> None:
    assert heading(checks("stop", "warn", "warn", "pass"), claimed=True) == "Before you approve: 1 stop, 2 warnings"
    assert heading(checks("pass"), claimed=True) == "Before you approve: nothing speaks against it"
    assert heading(checks("unknown"), claimed=False) == "So far: no stop, no warning, 1 not checked"


def test_the_page_lists_the_worst_first_and_folds_what_is_in_order(fabricate: Fabricate) -> None:
    store = fabricate()
    keep_answers(store, plain=0.99)
    text = render(store)
    section = text.partition('<section id="checks">')[2].partition("</section>")[0]
    made = check(store)
    assert re.findall(r'id="check-(\d+)"', section) == [str(each.rule.number) for each in made]
    assert made[0].severity == "stop" and f"<h2>{heading(made, claimed=True)}</h2>" in section
    passed = sum(each.severity == "pass" for each in made)
    assert passed > 4 and f'<details class="fold"><summary>✓ {passed} passed</summary>' in section
    assert 'role="img" aria-label="warning">▲<' in section.partition('<details class="fold">')[0]
    page = Page(text)
    assert page.open == [] and all(each.says in page.words and each.todo in page.words for each in made)
    assert all(f"docs/checks.md#{each.rule.anchor}" in section for each in made)
    assert "script" not in section, "there without JavaScript"


def test_the_terminal_says_what_stands_against_it_only(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    keep_answers(store)
    told = text_of(console.summary(Study(store, tmp_path), as_json=False))
    for each in check(store):
        assert (each.says in told) == (each.severity in ("stop", "warn"))
    assert heading(check(store), claimed=True) in told


def test_before_a_claim_there_are_those_that_apply(fabricate: Fabricate) -> None:
    facts = show(fabricate(claim=False))
    assert facts is not None and facts["heading"].startswith("So far: ")
    numbers = {each.rule.number for group in facts["groups"] for each in group.checks}
    assert {1, 3, 18, 19} <= numbers and not {5, 6, 7, 8, 9, 10} & numbers
    assert Page(render(fabricate(trials=0, claim=False, name="empty"))).open == []


def test_names_are_texts(fabricate: Fabricate) -> None:
    store = fabricate(classes=[HOSTILE, "\u202eb"])
    keep_answers(store)
    change_claim(store, lambda claim: dataclasses.replace(claim, test_counts=(250, 250)))
    text = render(store)
    section = text.partition('<section id="checks">')[2].partition("</section>")[0]
    assert HOSTILE not in section and "\u202e" not in section and "class &lt;script&gt;" in section
