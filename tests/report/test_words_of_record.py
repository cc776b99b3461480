"""What the report and the terminal say follows from the records, and both say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autokd.api import Study
from autokd.cli.console import claim as console
from autokd.cli.console.screened import screened
from autokd.files import as_plain
from autokd.report import words
from autokd.report.sections.choices.medians import lengths
from autokd.report.sections.explorer.facts import shown_trials
from autokd.report.sections.recommendation import facts as recommendation
from autokd.report.sections.search import effort
from autokd.search.request import Screening
from autokd.study.choice import ScreenedStudent
from autokd.study.claim import SplitValues
from autokd.study.design import Design
from autokd.study.ranking import ENOUGH_FOR_A_RUNG
from autokd.study.settings import TimePlan
from tests.report.conftest import RUNGS
from tests.report.test_arms import text_of
from tests.report.test_page import Page, change, change_claim, page_of

Fabricate = Callable[..., Any]


def add_tied(store: Any, *, trials: int = 2) -> None:
    """Trials that end at the top rung with one score; of them the largest has the lowest loss."""
    plain = store.records.trials[2].pipeline
    for place in range(trials):
        number = len(store.records.trials)
        cost = {"params": 100 * (place + 1), "macs": 1000}
        store.log.append("trial", number=number, source="tpe", seed=1, pipeline=plain, params=None, cost=cost)
        for rung, epochs in enumerate(RUNGS):
            ends = {"rung": rung, "epochs": epochs, "score": 0.999, "loss": 0.5 - 0.1 * place, "seconds": 1.0}
            store.log.append("rung", number=number, curve=[], **ends)


def test_the_report_the_listing_and_the_export_name_one_best_trial(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12, claim=False)
    add_tied(store)
    best = store.best
    assert best is not None and best.number == 13 and best.cost["params"] == 200
    assert recommendation.best_so_far(store)[0].title == "Best trial so far (trial 13)"
    assert shown_trials(store)[0].trial == best
    assert "Best trial so far (trial 13)" in page_of(store, tmp_path).words
    assert Study(store, tmp_path).export()["provenance"]["trial"] == 13


def test_trials_are_compared_at_the_rung_that_the_sampler_compares_them_at(
    fabricate: Fabricate, tmp_path: Path
) -> None:
    store = fabricate(trials=36)
    finished = [sum(len(trial.rungs) > rung for trial in store.records.trials.values()) for rung in range(3)]
    assert finished == [33, 11, 3] and finished[1] >= ENOUGH_FOR_A_RUNG  # but not two thirds of 33
    assert lengths(store) == [1, 2]
    assert "Validation accuracy after 9 epochs, a dot a trial" in page_of(store, tmp_path).words


def test_where_the_time_went_is_counted_once(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(trials=12)
    store.log.append("profile", total=100.0, parts={"data": 10.0, "teacher": 20.0, "forward": 40.0})
    told = text_of(console.profile(store.records))
    for line in effort.part_times(store.records):
        assert f"│ {line.part} │ {line.seconds:.2f} │ {words.percent(line.share)} │" in told


def test_the_terminal_writes_numbers_like_the_report() -> None:
    proxies = {"params": 1182.0, "nwot": 312.456, "latency": None}
    rows = [ScreenedStudent(student={"use": "mlp"}, params=1182, macs=1, score=0.5, proxies=proxies)]
    told = text_of(screened(rows, Screening(dataset="wine"), as_json=False))
    assert "mlp 0.50 1.18 k 1 – 312" in told
    assert [words.figure(n) for n in (1182.0, 1182.5, 312.456, 290.3, 1e-5, None)] == [
        "1,182",
        "1,182",
        "312",
        "290",
        "0.00001",
        "–",
    ]
    assert [words.size(n) for n in (999, 999.7, 999_999, 20e9)] == ["999 B", "1 kB", "1 MB", "20 GB"]
    assert [words.compact(n) for n in (999, 999_600, -999_600, 0.5)] == ["999", "1 M", "-1 M", "0.5"]


def not_tuned(store: Any) -> None:
    """What a study records whose time did not bear the grid."""
    store.records.runs[:] = [run for run in store.records.runs if run.stage != "tune"]
    why = "not tuned: the time left does not bear the grid"
    design = Design(stage="tune", round=0, seeds=0, target=None, detectable=None, noise=None, reason=why)
    store.log.append("design", **design.to_plain())


def test_a_claim_that_was_not_tuned_says_so(fabricate: Fabricate, tmp_path: Path) -> None:
    before = page_of(fabricate(name="tuned"), tmp_path).words
    tuned = "the learning rate was tuned over the same grid for every arm."
    assert tuned in before
    assert "(tpe), its learning rate tuned." in before
    assert "Tune, on validation: the same grid for every arm" in before
    store = fabricate()
    not_tuned(store)
    text = page_of(store, tmp_path).words
    assert "All students are the same network; nothing was tuned over a grid." in text
    assert "tune not tuned: the time left does not bear the grid" in text
    assert "same grid" not in text and "rate tuned" not in text


def test_arms_that_share_a_pipeline_share_its_tuning(fabricate: Fabricate, tmp_path: Path) -> None:
    """Runs that two arms share are trained once, under the name of one of them."""
    store = fabricate()
    runs = store.records.runs
    runs[:] = [run for run in runs if (run.stage, run.arm) != ("tune", "kd")]
    assert "for every arm but plain KD." in page_of(store, tmp_path).words

    def ended_at_kd(claim: Any) -> Any:
        same = claim.used.pipeline
        arms = [dataclasses.replace(arm, pipeline=same) if arm.name == "kd" else arm for arm in claim.arms]
        return dataclasses.replace(claim, arms=tuple(arms))

    change_claim(store, ended_at_kd)
    assert "over the same grid for every arm." in page_of(store, tmp_path).words


def test_a_round_that_was_not_tuned_leaves_what_is_said_of_an_earlier_one(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    store.log.append("claim", **as_plain(dataclasses.replace(store.records.claims[0], round=1).to_plain()))
    text = page_of(store, tmp_path).words
    assert "nothing was tuned over a grid." in text and "Tune, on validation: the same grid for every arm" in text


def test_students_with_another_head_are_not_called_the_same_network(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(gain=0.0)
    alike = "All students are the same network;"
    assert alike in page_of(store, tmp_path).words

    def with_a_head(claim: Any) -> Any:
        used = dataclasses.replace(claim.used, cost={**claim.used.cost, "params": 9999})
        return dataclasses.replace(claim, arms=tuple(used if arm.name == "pick" else arm for arm in claim.arms))

    change_claim(store, with_a_head)
    assert alike not in page_of(store, tmp_path).words


def plan_of(limit_train: int | None, whole_train: int | None) -> TimePlan:
    return TimePlan(
        seconds=60.0,
        budget={"epochs": 6},
        limit_train=limit_train,
        whole_data="all",
        teacher_epochs=40,
        reason="about 12 trials of up to 6 epochs",
        whole_train=whole_train,
    )


@pytest.mark.parametrize(
    ("limit", "whole", "full", "told"),
    [
        (None, None, 100, "Pipelines were trained for 27 epochs; full training takes 100."),
        (
            660,
            4000,
            100,
            "Pipelines were trained for 27 epochs on 660 of 4,000 training samples; "
            "full training takes 100 epochs on all of them.",
        ),
        (
            660,
            None,
            27,
            "Pipelines were trained for 27 epochs on 660 of the training samples; "
            "full training takes 27 epochs on all of them.",
        ),
        (None, None, 27, ""),
    ],
)
def test_how_far_pipelines_were_trained_is_said_where_that_is_less_than_full_training(
    fabricate: Fabricate, tmp_path: Path, limit: int | None, whole: int | None, full: int, told: str
) -> None:
    store = fabricate()
    store.settings.identity.budget["train_epochs"] = full
    if limit is not None:
        data = dataclasses.replace(store.settings.data, train=limit)
        change(store, data=data, time_plan=plan_of(limit, whole))
    head = page_of(store, tmp_path).words.partition("Use the pick")[0]
    summary = text_of(console.summary(Study(store, tmp_path), as_json=False))
    assert told in head and told in summary
    assert ("full training takes" in head) is bool(told) is ("full training takes" in summary)


def test_a_study_without_a_claim_says_how_far_its_trials_went(fabricate: Fabricate, tmp_path: Path) -> None:
    text = page_of(fabricate(trials=12, claim=False), tmp_path).words
    assert "Pipelines were trained for up to 27 epochs; full training takes 100." in text


def test_what_was_left_out_is_shown_line_by_line(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    change(store, dropped=("warm_starts.0: student.cnn.width: 99 is not between 4 and 16",))
    text = page_of(store, tmp_path).words
    assert "Left out of the search space warm_starts.0: student.cnn.width: 99 is not between 4 and 16" in text
    assert "all of the space fits" not in text


def test_the_teacher_has_one_validation_value_on_the_page(fabricate: Fabricate, tmp_path: Path) -> None:
    """The one from before the study may come from other arithmetic than the claim's, and differ in the last digits."""
    store = fabricate()

    def measured_again(claim: Any) -> Any:
        return dataclasses.replace(claim, teacher=SplitValues(0.9781, claim.teacher.test))

    change_claim(store, measured_again)
    page: Page = page_of(store, tmp_path)
    assert "Validation accuracy 97.8 %" in page.words and "98.6 %" not in page.words
    assert page.explored["layout"]["annotations"][0]["text"] == "teacher 97.8 %, 77.5 k parameters"
