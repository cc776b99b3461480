"""One test a verdict: headline, the marked row, the command and the exported arm name the same arm."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autokd.api import Study
from autokd.cli.console import claim as console
from autokd.report import write
from autokd.report.sections.recommendation.verdict import early, judge
from autokd.study.checks import check, count
from autokd.study.claim import Claim
from tests.report.conftest import comparison
from tests.report.test_arms import text_of
from tests.report.test_page import PLOTLY, Page, change, change_claim, change_teacher, page_of
from tests.report.test_verdict import without_evidence

Fabricate = Callable[..., Any]


def claimed(use: str, differences: dict[str, float], **changes: Any) -> Callable[[Claim], Claim]:
    """A change of the claim: another arm is to be used, which is so much better than others."""

    def changed(claim: Claim) -> Claim:
        used = claim.arm(use)
        assert used is not None
        compared = {
            name: comparison(used.test, [value - difference for value in used.test], name)
            for name, difference in differences.items()
        }
        return dataclasses.replace(claim, use=use, comparators=tuple(differences), comparisons=compared, **changes)

    return changed


def no_teacher(claim: Claim) -> Claim:
    """A claim of a study without a teacher."""
    losses = {"ce": {"use": "ce"}}
    arms = [dataclasses.replace(arm, pipeline={**arm.pipeline, "losses": losses}) for arm in claim.arms]
    kept = tuple(
        dataclasses.replace(arm, pipeline={**arm.pipeline, "schedule": {"use": "one_cycle"}})
        if arm.name == "pick"
        else arm
        for arm in arms
        if arm.name != "kd"
    )
    return claimed("pick", {"alone": 0.02}, arms=kept, teacher=None)(claim)


def pick_without_teacher(claim: Claim) -> Claim:
    """A claim whose pick reads no teacher."""
    pick = claim.used
    pipeline = {**pick.pipeline, "losses": {"ce": {"use": "ce", "weight": 0.5}}}
    arms = tuple(dataclasses.replace(arm, pipeline=pipeline) if arm is pick else arm for arm in claim.arms)
    return claimed("pick", {"kd": 0.002}, arms=arms)(claim)


def pick_is_kd(claim: Claim) -> Claim:
    """A claim whose pick is plain KD itself."""
    same = claim.used.pipeline
    arms = tuple(dataclasses.replace(arm, pipeline=same) if arm.name == "kd" else arm for arm in claim.arms)
    return claimed("pick", {"kd": 0.0, "alone": 0.02}, arms=arms)(claim)


VERDICTS = {
    "distilled": (
        claimed("pick", {"kd": 0.019, "alone": 0.03}), "good",
        "Use the distilled student: +1.9 points [+1.3, +2.5] over plain KD",
    ),
    "like_kd": (
        claimed("pick", {"kd": 0.001, "alone": 0.046}), "good",
        "Use the distilled student: +4.6 points [+4.0, +5.2] over no teacher; plain KD may do as well",
    ),
    "plain_kd": (
        claimed("kd", {"pick": 0.001, "alone": 0.266}), "good",
        "Distil with plain KD: +26.6 points [+26.0, +27.2] over no teacher; the search found nothing better",
    ),
    "no_gain": (
        claimed("pick", {"kd": 0.001, "alone": 0.002}), "open",
        "Use the distilled student: no gain over training without a teacher that 540 test samples can show",
    ),
    "labels_alone": (
        claimed("alone", {"pick": 0.005, "kd": 0.002}), "open",
        "Train the student on labels alone: distilling brought no gain that 540 test samples can show",
    ),
    "pick_without_teacher": (
        pick_without_teacher, "open",
        "Train the student on labels alone: the search itself found no use for the teacher",
    ),
    "contradicted": (
        claimed("pick", {"kd": -0.02, "alone": 0.0}), "bad",
        "Use the distilled student: fixed on validation; test favours plain KD",
    ),
    "untested": (
        without_evidence, "open",
        "Use the distilled student: the best on validation; nothing was compared on test",
    ),
    "no_teacher": (
        no_teacher, "good",
        "Use the recommended student: +2.0 points [+1.4, +2.6] over no teacher",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", VERDICTS)
def test_headline_row_command_and_export_name_one_arm(kind: str, fabricate: Fabricate, tmp_path: Path) -> None:
    changed, tone, title = VERDICTS[kind]
    store = fabricate()
    if kind == "no_teacher":
        change(store, teacher=None)
    change_claim(store, changed)
    claim = store.records.claim
    verdict = judge(claim)
    if kind == "no_teacher":
        title = title.replace("the recommended student", claim.used.phrase)
    assert (verdict.kind, verdict.tone, verdict.title) == (kind, tone, title)

    study = Study(store, tmp_path / "reports")
    text = write(store, tmp_path / "reports").read_text(encoding="utf-8")
    page = Page(text)
    assert f'<h1 class="verdict {tone}">' in text and title in page.words
    assert title in text_of(console.summary(study, as_json=False)) and title in Page(PLOTLY + study._repr_html_()).words
    first = text.partition('<section id="recommendation">')[2].partition("</section>")[0]
    marked = re.findall(r'<tr class="mark"><th scope="row">(.*?)</th>', first, flags=re.DOTALL)
    assert marked and all(claim.used.title in html.unescape(row) for row in marked)
    assert "autokd export demo -o pipeline.yaml" in page.words and f"--arm {claim.use}" not in page.words
    exported = study.export()
    assert exported["pipeline"] == dict(claim.used.pipeline) and exported["provenance"]["arm"] == claim.use


def test_where_test_contradicts_the_arm_stays_and_red_says_why(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    change_claim(store, claimed("pick", {"kd": -0.02}))
    text = write(store, tmp_path).read_text(encoding="utf-8")
    assert (
        '<p class="bad">The search&#39;s pick was fixed on validation, before test was read; test favours plain KD'
        in text
    )
    assert '<span class="bad">−2.0 [−2.6, −1.4]</span>' in text


def test_a_pick_that_is_plain_kd_is_called_so(fabricate: Fabricate) -> None:
    store = fabricate()
    change_claim(store, pick_is_kd)
    verdict = judge(store.records.claim)
    assert verdict.kind == "plain_kd"
    assert verdict.title.startswith("Distil with plain KD: +2.0 points [+1.4, +2.6] over no teacher")


def test_the_headline_names_the_harder_arm_first(fabricate: Fabricate) -> None:
    store = fabricate()
    change_claim(store, claimed("pick", {"kd": 0.1, "alone": 0.055}))
    verdict = judge(store.records.claim)
    told = "+5.5 points [+4.9, +6.1] over no teacher, and +10.0 over plain KD"
    assert (verdict.kind, verdict.title) == ("distilled", f"Use the distilled student: {told}")


def test_few_epochs_are_in_the_headline(fabricate: Fabricate) -> None:
    store = fabricate()
    change_claim(store, lambda claim: dataclasses.replace(claim, epochs=3))
    assert judge(store.records.claim).title.endswith("over plain KD, after 3 epochs")


def test_studies_without_a_claim_say_where_they_are(fabricate: Fabricate) -> None:
    running = early(fabricate(name="a", trials=12, claim=False))
    assert running.tone == "quiet" and running.title.startswith(
        "Not finished: 12 of 30 trials, leader 87.3 % on validation"
    )
    assert early(fabricate(name="b", trials=0, claim=False)).title == "No trial has finished yet"
    store = fabricate(name="c", trials=0, claim=False)
    plain = {"format": 1, "student": {"use": "cnn"}, "losses": {"ce": {"use": "ce"}}}
    for number, kind in enumerate(("not_finite", "out_of_memory", "out_of_memory")):
        store.log.append("trial", number=number, source="random", seed=0, pipeline=plain, params=None, cost={})
        store.log.append("failure", number=number, kind=kind, reason="needs 3 GB")
    failed = early(store)
    assert (failed.tone, failed.title) == ("bad", "Nothing was trained: 2 × out of memory, 1 × not finite")


def test_the_card_says_how_much_less_than_the_teacher_the_student_takes(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    costs = {"macs": 2_120_400.0, "latency": 3.0}
    change_teacher(store, cost=costs)
    change_claim(store, with_latency)
    page = page_of(store, tmp_path).words
    assert "34 × smaller, 30 × fewer MACs and 6.0 × faster than the teacher" in page
    assert "0.5 ms" in page
    change_teacher(store, params=1140)
    assert "2.0 × larger, 30 × fewer MACs" in page_of(store, tmp_path).words


def with_latency(claim: Claim) -> Claim:
    """A claim whose students were timed."""
    arms = tuple(dataclasses.replace(arm, cost={**arm.cost, "latency": 0.5}) for arm in claim.arms)
    return dataclasses.replace(claim, arms=arms)


def test_what_speaks_against_approving_stands_under_the_headline(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    text = write(store, tmp_path).read_text(encoding="utf-8")
    found = check(store)
    stops, warnings, unknown = (count(found, severity) for severity in ("stop", "warn", "unknown"))
    assert not stops and warnings > 1 and unknown
    assert f'Before you approve it: <a href="#checks">{warnings} warnings, {unknown} not checked</a>.' in text
