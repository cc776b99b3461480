"""What is said of claims that rest on little, that went against the search, or in which nothing was learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autokd.api import Study
from autokd.cli.console import claim as console
from autokd.report.sections.ladder.facts import FLATTERED
from autokd.report.sections.recommendation import sentences
from autokd.report.sections.recommendation.facts import decide
from autokd.study.claim import ArmRun, Claim
from tests.report.test_arms import text_of
from tests.report.test_page import change, change_claim, page_of

Fabricate = Callable[..., Any]


def without_evidence(claim: Claim) -> Claim:
    """The claim that there is where the time bears none."""
    arms = [dataclasses.replace(arm, runs={"explore": (ArmRun(0, 0.9),)}) for arm in claim.arms]
    return dataclasses.replace(
        claim,
        arms=tuple(arms),
        evidence="none",
        comparators=(),
        comparisons={},
        teacher=None,
        prediction_interval=None,
        gap_closed=None,
        n_test=0,
        test_counts=(),
    )


def test_without_a_claim_it_is_said_that_there_is_none(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    change_claim(store, without_evidence)
    for text in (page_of(store, tmp_path).words, text_of(console.summary(Study(store, tmp_path), as_json=False))):
        assert "Use the distilled student: the best on validation; nothing was compared on test" in text
        assert "No claim: there was too little time for one" in text
        assert "Where the gain comes from" in text and "Always the commonest class" in text
        assert FLATTERED in text and "Train it once more" not in text


def test_choosing_and_testing_on_the_same_seeds_is_said(fabricate: Fabricate) -> None:
    store = fabricate()
    change_claim(store, lambda claim: dataclasses.replace(claim, evidence="same seeds"))
    decision = decide(store)
    assert decision is not None and "Chosen and tested on the same seeds" in decision.evidence
    assert "wide enough for that" in decision.evidence


def test_two_runs_are_too_few_for_a_forecast_and_wide_ones_are_no_use(fabricate: Fabricate) -> None:
    claim = fabricate().records.claim
    few = [dataclasses.replace(arm, runs={"claim": arm.runs["claim"][:2]}) for arm in claim.arms]
    assert "Two runs are too few" in sentences.forecast(dataclasses.replace(claim, arms=tuple(few)))
    wide = sentences.forecast(dataclasses.replace(claim, prediction_interval=(0.0, 0.96)))
    assert wide == "Its runs differ too much to rely on: one more may reach anything from 0.0 to 96.0 %. Train longer."


def test_where_all_arms_equal_the_commonest_class_nothing_was_learned(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    assert decide(store).nothing_learned == ""  # type: ignore[union-attr]
    counts = {"train": [10] * 9 + [9000], "validation": [1] * 9 + [242]}
    change(store, data=dataclasses.replace(store.settings.data, card={"class_counts": counts}))
    level = (ArmRun(0, 242 / 251, 0.96), ArmRun(1, 242 / 251, 0.96))

    def all_alike(claim: Claim) -> Claim:
        arms = [dataclasses.replace(arm, runs={"claim": level}) for arm in claim.arms]
        return dataclasses.replace(claim, arms=tuple(arms))

    change_claim(store, all_alike)
    told = "Nothing was learned: every pipeline is as good as always giving the commonest class (96.4 % on validation)"
    for text in (page_of(store, tmp_path).words, text_of(console.summary(Study(store, tmp_path), as_json=False))):
        assert f"{told}; try --objective macro_f1 or balanced_accuracy." in text
    assert "rare classes: 0 (0.1 %)" in page_of(store, tmp_path).words
