"""Where the gain comes from, as the page and the terminal say it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest

from autokd.report.page import render
from autokd.report.sections.ladder import printed
from autokd.report.sections.ladder.facts import found, heading
from autokd.study.claim import ArmRun, Claim
from autokd.study.ladder import LOSSES, RECIPE, TEACHER, Addition, Step
from tests.report.test_page import Page, change_claim

Fabricate = Callable[..., Any]
RECIPE_ALONE = Step(name="found/alone", title="Found recipe, no teacher", values=(0.9, 0.92))


def adds(what: str, low: float | None, high: float | None) -> Addition:
    interval = None if low is None or high is None else (low, high)
    return Addition(what=what, to=RECIPE_ALONE, difference=sum(interval or (0.1, 0.1)) / 2, interval=interval)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([(RECIPE, 0.08, 0.11), (TEACHER, -0.02, 0.01)], "the recipe, not the teacher"),
        ([(RECIPE, 0.08, 0.11), (TEACHER, -0.02, 0.09)], "the recipe"),  # the teacher may be worth as much
        (
            [(RECIPE, -0.01, 0.02), (TEACHER, 0.1, 0.2), (LOSSES, 0.05, 0.07)],
            "the teacher and the found losses, not the recipe",
        ),
        ([(RECIPE, 0.08, 0.11), (TEACHER, -0.04, -0.01)], "the recipe; the teacher costs quality"),
        ([(RECIPE, -0.01, 0.02), (TEACHER, -0.02, 0.01)], "no step can be told from chance"),
    ],
)  # fmt: skip
def test_the_heading_is_what_the_intervals_tell(parts: list[tuple[str, float, float]], told: str) -> None:
    assert heading([adds(*part) for part in parts], None) == f"Where the gain comes from: {told}"


def test_a_gain_of_all_steps_together_is_said_where_none_can_be_told_alone() -> None:
    parts, whole = [adds(RECIPE, -0.01, 0.03), adds(TEACHER, -0.01, 0.03)], adds("all together", 0.01, 0.05)
    assert "all steps together, none of which can be told alone" in heading(parts, whole)
    assert heading([adds(RECIPE, None, None)], None).endswith("cannot be said: these are single runs")


def with_runs(values: dict[str, list[float]]) -> Callable[[Claim], Claim]:
    def change(claim: Claim) -> Claim:
        arms = [
            dataclasses.replace(
                arm, runs={"choose": tuple(ArmRun(i, value) for i, value in enumerate(values[arm.name]))}
            )
            for arm in claim.arms
        ]
        return dataclasses.replace(claim, arms=tuple(arms))

    return change


def test_page_and_terminal_say_the_same_of_the_steps(fabricate: Fabricate) -> None:
    store = fabricate()
    for number, score in ((0, 0.7), (1, 0.71)):  # the default recipes, at full length
        trial = store.records.trials[number]
        rungs = (*trial.rungs[:-1], dataclasses.replace(trial.rungs[-1], score=score))
        store.records.trials[number] = dataclasses.replace(trial, rungs=rungs)
    change_claim(store, with_runs({"alone": [0.9, 0.901, 0.899], "kd": [0.9, 0.902], "pick": [0.93, 0.931, 0.932]}))
    facts = found(store)
    assert facts is not None and facts.heading.endswith("the recipe and the found losses, not the teacher")
    assert "The found recipe is worth +20.0 points [+" in facts.sentence and "all together add +23.1" in facts.sentence
    html = render(store)
    section = re.findall(r'<section id="ladder">.*?</section>', html, re.DOTALL)[0]
    words = Page(html).words
    assert facts.heading in words and facts.sentence in words and section.count('<svg class="picture"') == 5
    assert 'aria-label="90.0 %, 95 % interval ' in section and "By hand" not in section
    grid, sentence = list(printed(store))[:2]
    assert sentence == facts.sentence
    assert [row[0] for row in grid.rows] == [rung.step.title for rung in facts.rungs]  # type: ignore[union-attr]
    assert grid.rows[2][4] == "recipe +20.0"  # type: ignore[union-attr]


def test_a_study_with_one_step_has_no_ladder(fabricate: Fabricate) -> None:
    store = fabricate(trials=1, claim=False)
    assert found(store) is None and list(printed(store)) == [] and 'id="ladder"' not in render(store)
