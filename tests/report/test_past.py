"""What the report says of past studies: what was expected, what was reached, and where the pick came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from autokd.report.page import render_section, shared
from autokd.report.sections import sections
from autokd.report.sections.past import printed, show, tables
from autokd.report.sections.past.facts import predicted
from autokd.report.sections.recommendation.card import card
from autokd.report.sections.recommendation.facts import decide
from autokd.study.past import AdvisedRule, PastStudies
from autokd.study.records import TrialRecord

Fabricate = Callable[..., Any]


def advised(name: str, gain: float | None, interval: tuple[float, float] | None) -> AdvisedRule:
    rule = {"name": name, "title": f"Title of <{name}>"}
    return AdvisedRule(rule=rule, gain=gain, interval=interval, studies=5, better=3)


PAST = PastStudies(
    base="b" * 16,
    added=None,
    known=7,
    studies=5,
    advised=(advised("past-0a1b2c3d", 0.01, (-0.5, 0.5)), advised("dkd", 0.9, (0.8, 1.0)), advised("wttm", None, None)),
)


def begun(store: Any, sources: dict[int, str], past: PastStudies | None = PAST) -> Any:
    """A study that began with past studies; some of its trials have other sources."""
    store.settings = dataclasses.replace(store.settings, past=past)
    trials: dict[int, TrialRecord] = store.records.trials
    for number, source in sources.items():
        trials[number] = dataclasses.replace(trials[number], source=source)
    return store


def drawn(store: Any) -> str:
    (own,) = (section for section in sections() if section.name == "past")
    return render_section(own, store, shared(store)) or ""


@pytest.fixture
def study(fabricate: Fabricate) -> Any:
    """Trials 2 and 3 were advised, and neither is the pick."""
    store = fabricate()
    pick = store.records.claim.trial
    two = [number for number in (2, 3, 4, 5, 6) if number != pick][:2]
    return begun(store, dict(zip(two, ("recipe:past-0a1b2c3d", "recipe:dkd"), strict=True)))


def test_what_was_expected_stands_beside_what_was_reached(study: Any) -> None:
    first, second = predicted(study)
    kd = next(trial for trial in study.records.trials.values() if trial.recipe == "kd")
    shortest = len(first.trial.rungs) - 1
    assert first.gain == pytest.approx(first.trial.rungs[shortest].score - kd.rungs[shortest].score)
    assert first.epochs == first.trial.rungs[shortest].epochs
    assert (first.origin, second.origin) == ("rule of past studies", "known recipe")
    assert first.expected == "+1.0 [−50.0, +50.0]" and first.as_expected is True and second.as_expected is False
    text = drawn(study)
    assert "Title of &lt;past-0a1b2c3d&gt;" in text and "better in 3 of 5" in text
    assert "1 of 2 gains lie in the interval" in text and "5 of 7 past studies" in text
    rows = tables(study)["past"].rows
    assert [row["recipe"] for row in rows] == ["past-0a1b2c3d", "dkd"] and rows[0]["gain"] == first.gain


def test_how_far_the_pick_got_beyond_is_said(study: Any) -> None:
    (line,) = printed(study)
    assert isinstance(line, str)
    assert line.startswith("\nOf 2 recipes that past studies advised, the best is ")
    assert f"The search's pick, trial {study.records.claim.trial}, is none of them: after " in line


def test_a_pick_of_past_studies_is_called_so(fabricate: Fabricate) -> None:
    store = fabricate()
    pick = store.records.claim.trial
    begun(store, {pick: "recipe:past-0a1b2c3d"})
    (line,) = printed(store)
    assert f"trial {pick}, is the best of them: Title of <past-0a1b2c3d>." in str(line)
    use = card(store, decide(store))[0]
    assert "a rule of past studies: Title of <past-0a1b2c3d>" in use.below


def test_without_past_studies_nothing_is_shown(fabricate: Fabricate) -> None:
    store = fabricate()
    assert show(store) is None and [*printed(store)] == [] and tables(store) == {}
    begun(store, {}, dataclasses.replace(PAST, studies=0, advised=()))
    assert "None of 7 past studies is about this kind of input" in drawn(store) and [*printed(store)] == []
    begun(store, {}, PAST)
    assert "Nothing that past studies advised was tried yet" in drawn(store)
