"""The table of a claim's arms: what each reaches on test, how that compares, and what its student costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from autokd.report.scales import Scale, of_metric
from autokd.report.start import teacher_value
from autokd.study.answers import answers_file
from autokd.study.arms import ARM_KINDS
from autokd.study.claim import Arm, Claim
from autokd.study.majority import majority
from autokd.study.means import TEACHER as TEACHER_NAME
from autokd.study.means import Mean, means_of

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

TEACHER = "Teacher"
MAJORITY = "Always the commonest class"
QUIET = "quiet"
"""How a row is drawn that is no arm of a known kind."""


class Early(NamedTuple):
    """Where a pipeline was left that was not trained to the end: its value on validation, after so many epochs."""

    value: float
    epochs: int


class Row(NamedTuple):
    """One line of the table.

    Args:
      title: of the arm, of always giving the commonest class, of a plain model, or the teacher.
      cost: of the model, by name, as far as it is known.
      validation, test: values of the claim's metric, one a seed; no test values for an arm that was not compared on it.
      drawn: the kind of arm, "teacher" or "quiet": how it looks in pictures.
      recommended: this is the arm that is recommended.
      arm: None for those that are none.
      early: where it was left, if it was not trained to the end; there are no values then.
      mean: on test, with the interval over seeds and items.
      difference: the recommended arm minus this one, on test: the claim's own comparison where it made one.
      favoured: the claim says that test favours this arm over the recommended one.
    """

    title: str
    cost: Mapping[str, float]
    validation: list[float]
    test: list[float]
    drawn: str
    recommended: bool = False
    arm: Arm | None = None
    early: Early | None = None
    mean: Mean | None = None
    difference: Mean | None = None
    favoured: bool = False


def rows(study: StudyStore, claim: Claim) -> list[Row]:
    """Return the lines: the arms as they are shown, the teacher, the best plain model, the commonest class."""
    arms = [_arm_row(study, claim, arm) for arm in claim.ordered]
    return [*arms, *_teacher_row(study, claim), *_plain_row(study, claim), *_majority_row(study, claim)]


def scale_of(listed: list[Row], claim: Claim) -> Scale | None:
    """Return the axis of the pictures in the rows; None where nothing was asked about test.

    What is simpler makes no room for itself: where it lies far below, the arms could not be told apart.
    """
    drawn = [row for row in listed if row.mean is not None and (row.arm is not None or row.title == TEACHER)]
    values = [value for row in drawn for value in (*row.test, *(row.mean or ()))]
    return of_metric(values, claim.about, room=0.03) if values else None


def chosen_on(arm: Arm) -> list[float]:
    """Return the validation values by which an arm was chosen or not: of choose, of the claim, or of its trial."""
    runs = next((arm.runs[purpose] for purpose in ("choose", "explore", "claim") if arm.runs.get(purpose)), ())
    return [run.validation for run in runs]


def _arm_row(study: StudyStore, claim: Claim, arm: Arm) -> Row:
    validation, compared = chosen_on(arm), claim.comparisons.get(arm.name)
    return Row(
        title=claim.title_of(arm),
        cost=arm.cost,
        validation=validation,
        test=arm.test,
        drawn=arm.kind if arm.kind in ARM_KINDS else QUIET,
        recommended=arm.name == claim.use,
        arm=arm,
        early=None if validation else _left_early(study, arm),
        mean=means_of(study.path, claim).of(arm.name),
        difference=None if compared is None else Mean(compared.difference, compared.low, compared.high),
        favoured=compared is not None and compared.verdict == "worse",
    )


def _left_early(study: StudyStore, arm: Arm) -> Early | None:
    """Where the trial of an arm that was not trained to the end was left; None where it has no score."""
    trials = (trial for trial in study.records.trials.values() if trial.rungs and trial.pipeline == arm.pipeline)
    rungs = [trial.rungs[-1] for trial in trials]
    return Early(study.objective.metric.value(rungs[0].score), rungs[0].epochs) if rungs else None


def _teacher_row(study: StudyStore, claim: Claim) -> list[Row]:
    value, facts = teacher_value(study), study.settings.teacher
    if value is None:
        return []
    cost = {} if facts is None else {**({"params": float(facts.params)} if facts.params else {}), **facts.cost}
    means, test = means_of(study.path, claim), [] if claim.teacher is None or not claim.n_test else [claim.teacher.test]
    found = means.difference(claim.use, TEACHER_NAME)
    row = Row(TEACHER, cost, [value], test, "teacher", mean=means.of(TEACHER_NAME), difference=found)
    return [row]


def _plain_row(study: StudyStore, claim: Claim) -> list[Row]:
    """The best of the plain models that were fitted to the same rows."""
    from autokd.study.plain_models import best_plain_model

    plain = best_plain_model(answers_file(study.path, claim.round), claim.use, claim.about)
    if plain is None or plain.name == "majority":
        return []
    value, apart = Mean(plain.test, plain.test, plain.test), Mean(plain.difference, plain.low, plain.high)
    title = f"{plain.name[:1].upper()}{plain.name[1:]}, same rows"
    return [Row(title, {}, [plain.validation], [plain.test], QUIET, mean=value, difference=apart)]


def _majority_row(study: StudyStore, claim: Claim) -> list[Row]:
    """What always giving the commonest class reaches; its test value only where test was read."""
    facts, metric = study.settings.data, claim.about
    validation = facts.majority("validation", metric)
    if validation is None:
        return []
    test = majority(facts.counts("train"), claim.test_counts, metric)
    mean = None if test is None else Mean(test.value, test.value, test.value)
    return [Row(MAJORITY, {}, [validation.value], [] if test is None else [test.value], QUIET, mean=mean)]
