"""Whether the student learnt what the teacher knows: agreement, calibration, classes, samples on which they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from autokd.report.sections.learned import facts, sentences
from autokd.report.tables import Table
from autokd.study.samples import Sample, disputed_file, read_samples, samples_file

if TYPE_CHECKING:
    from autokd.study.claim import Claim
    from autokd.study.learned import Learned
    from autokd.study.store import StudyStore

TITLE = "What it learnt"


def show(study: StudyStore) -> dict[str, Any] | None:
    """Return what the claim's students answered on test, and samples; None where neither is kept."""
    claim, answers = study.records.claim, facts.answers(study)
    seen = read_samples(samples_file(study.path))
    samples = seen if seen is not None and (seen.pictures or seen.columns) else None
    if samples is None and answers is None:
        return None
    return {
        "answered": None if claim is None or answers is None else _answered(study, claim, answers),
        "seen": samples,
        "disputed": () if claim is None or seen is None else _disputed(study, claim),
    }


def _disputed(study: StudyStore, claim: Claim) -> tuple[Sample, ...]:
    """The test samples on which the recommended student and the teacher differ."""
    kept = read_samples(disputed_file(study.path, claim.round))
    return () if kept is None else kept.pictures


def _answered(study: StudyStore, claim: Claim, answers: Learned) -> dict[str, Any]:
    shown, beside = facts.everybody(claim, answers), sentences.agreement_beside(claim, answers)
    return {
        "heading": sentences.heading(shown[0].answered, beside),
        "lines": [facts.line(each) for each in shown],
        "plain": sentences.of_plain_models(study, claim),
        "classes": facts.classes(study, shown, answers.counts.tolist()),
        "of_classes": sentences.of_classes(study, claim, answers),
        "confusions": sentences.of_confusions(study, claim, answers),
        "diagrams": facts.diagrams(shown, int(answers.counts.sum())),
        "of_calibration": sentences.of_calibration(claim, answers, shown),
        "matrix": facts.matrix(claim, answers),
        "of_agreement": sentences.of_agreement(claim, answers, beside),
        "of_disputes": sentences.of_disputes(claim, answers),
    }


def tables(study: StudyStore) -> Mapping[str, Table]:
    """Return one row an arm and class, where answers are kept."""
    listed = facts.rows(study)
    return {"classes": Table(listed, ["class", "items"])} if listed else {}
