"""How the search went: its course over time, from length to length, and where the time went."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from autokd.metrics import METRICS
from autokd.report.page import render
from autokd.report.scales import of_error
from autokd.report.sections.search import facts
from autokd.report.sections.search.timeline import improvements, stage_spans, time_line, worked
from autokd.study.records import Records
from autokd.study.sessions import StageEnd
from autokd.study.settling import settling
from tests.report.test_page import Page

Fabricate = Callable[..., Any]


def at_times(store: Any) -> None:
    """Rungs end a second apart, in the order in which they were recorded; two sessions, a night between them."""
    records, now = store.records, 1000.0
    for number, trial in records.trials.items():
        rungs = []
        for rung in trial.rungs:
            now += 1.0
            rungs.append(dataclasses.replace(rung, ended=now))
        records.trials[number] = dataclasses.replace(trial, rungs=tuple(rungs))
    night, runs = 50_000.0, []
    for run in records.runs:
        now += 2.0
        runs.append(dataclasses.replace(run, ended=now + night))
    records.runs[:] = runs
    explored = 1000.0 + sum(len(trial.rungs) for trial in records.trials.values())
    records.stages[:] = [
        StageEnd("explore", explored - 1000.0, explored),
        StageEnd("prepare", 5.0, explored + night),
        StageEnd("claim", now - explored, now + night),
    ]


def test_time_is_what_was_worked_not_what_went_by() -> None:
    records = Records()
    records.stages[:] = [
        StageEnd("explore", 10.0, 110.0),
        StageEnd("prepare", 2.0, 9002.0),
        StageEnd("claim", 8.0, 9010.0),
    ]
    records.claims.append(object())  # type: ignore[arg-type]
    spans = stage_spans(records)
    assert [(span.stage, span.before) for span in spans] == [("explore", 0.0), ("prepare", 10.0), ("claim", 12.0)]
    assert [worked(spans, when) for when in (100.0, 105.0, 5000.0, 9001.0, 9010.0)] == [0.0, 5.0, 10.0, 11.0, 20.0]


def test_the_time_line_has_each_training_and_steps_where_a_better_trial_ended(fabricate: Fabricate) -> None:
    store = fabricate()
    at_times(store)
    line, records = time_line(store), store.records
    assert line is not None and line.unit == "seconds"
    ends = sum(len(trial.rungs) for trial in records.trials.values()) + len(records.runs)
    assert len(line.dots) == ends and [band.stage for band in line.bands] == ["explore", "prepare", "claim"]
    assert line.bands[0].low == 0.0 and line.bands[-1].high == 100.0
    steps = improvements(records, store.top_rung)
    scores = [step.score for step in steps]
    assert scores == sorted(scores) and len(line.course) == 2 * len(steps)
    assert [x for x, _ in line.course] == sorted(x for x, _ in line.course) and line.course[-1][0] == 100.0
    text = render(store)
    assert Page(text).open == [] and text.count('class="spot') == ends and f"last with trial {steps[-1].trial}" in text


def test_an_error_axis_spreads_good_scores() -> None:
    scale = of_error([0.0, 0.9, 0.99], METRICS["accuracy"], smallest=0.005)
    places = [scale.at(score) for score in (0.0, 0.9, 0.99)]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.1)
    assert {"0", "50", "90", "99"} <= {tick.text for tick in scale.ticks}
    assert scale.at(1.0) == 100.0
    falling = of_error([-0.5, -0.1], METRICS["log_loss"], smallest=0.01)
    assert falling.at(-0.1) > falling.at(-0.5) and "0.2" in {tick.text for tick in falling.ticks}


def ending_at(store: Any, scores: dict[int, float]) -> Any:
    """The study with full-length trials of these scores, and no other ones."""
    trial = next(t for t in store.records.trials.values() if len(t.rungs) > store.top_rung)
    for number in list(store.records.trials):
        rungs = (
            (*trial.rungs[:-1], dataclasses.replace(trial.rungs[-1], score=scores[number])) if number in scores else ()
        )
        own = dataclasses.replace(store.records.trials[number], rungs=rungs, failure=None)
        store.records.trials[number] = own
    return store


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({0: 0.8, 3: 0.95, 9: 0.9}, "The search had settled by trial 3 of 12: more trials hardly pay"),
        ({0: 0.8, 3: 0.9, 11: 0.95}, "The search was still improving at trial 11 of 12: more trials may pay"),
    ],
)
def test_the_heading_says_whether_more_trials_would_pay(
    fabricate: Fabricate, scores: dict[int, float], told: str
) -> None:
    store = ending_at(fabricate(trials=12, claim=False), scores)
    assert facts.heading(store) == told
    found = settling(store.records)
    assert found is not None and found.best == max(scores, key=lambda number: scores[number])
    best = max(scores.values()) - sorted(scores.values())[-2 if 11 in scores else 0]
    assert f"by {100 * best:.1f} points" in facts.of_course(store)


def test_of_few_trials_nothing_is_said_of_more(fabricate: Fabricate) -> None:
    store = fabricate(trials=5, claim=False)
    assert facts.heading(store) == "How the search went: 5 trials in 1 min 16 s"


def test_a_study_without_times_has_no_time_line_and_one_without_trials_no_section(fabricate: Fabricate) -> None:
    store = fabricate(trials=12)
    for number, trial in store.records.trials.items():
        rungs = tuple(dataclasses.replace(rung, ended=None) for rung in trial.rungs)
        store.records.trials[number] = dataclasses.replace(trial, rungs=rungs)
    store.records.runs[:] = [dataclasses.replace(run, ended=None) for run in store.records.runs]
    assert time_line(store) is None
    text = render(store)
    section = re.findall(r'<section id="search">.*?</section>', text, re.DOTALL)[0]
    assert "timeline" not in section and "How far trials got" in section
    assert 'id="search"' not in render(fabricate(name="empty", trials=0, claim=False))
