"""The newest claim, read for a decision; and what can be said while there is none."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd import catalog
from autokd.metrics import Metric
from autokd.report import words
from autokd.report.sections.recommendation import sentences
from autokd.report.sections.recommendation.arms import TEACHER, Row, chosen_on, rows
from autokd.report.sections.recommendation.verdict import Verdict, judge, other_phrase
from autokd.report.start import start_baselines, teacher_value
from autokd.study.arms import ALONE, HAND, KD, PICK, title_of
from autokd.study.checks import check, count
from autokd.study.claim import Arm, Claim, Comparison
from autokd.study.majority import FAIR
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord
from autokd.study.training import trained_folder, training_of
from autokd.study.tuning import tuned_arms

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

_WHAT: Mapping[str, str] = {
    PICK: "the best pipeline found",
    ALONE: "the same student and training without a teacher",
    KD: "the same student and training with plain distillation",
    HAND: "a published one as it is",
}
"""What each kind of arm is."""
KEPT = "A student cut from the teacher begins with the teacher's weights, where it learns without a teacher too."


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The newest claim, read for a decision.

    Args:
      claim: as recorded.
      verdict: of a few, with its headline.
      subject: what is recommended, inside a sentence.
      sentences: what each comparison says, the comparator's first.
      contradiction: what is to be said in red; "" where test agrees.
      evidence: what the claim rests on, a sentence.
      forecast: what one more run will reach, a sentence, or "".
      same_student: all arms have the same student.
      tuning: what was tuned, a sentence.
      used_tuned: the recommended arm was tuned.
      rows: of the table: the arms as they are shown, then the teacher and what is simpler.
      comparisons: (name of the other arm for people, comparison), the comparator's first.
      nothing_learned: what to say where all arms equal the commonest class, or "".
    """

    claim: Claim
    verdict: Verdict
    subject: str
    sentences: list[str]
    contradiction: str
    evidence: str
    forecast: str
    same_student: bool
    tuning: str
    used_tuned: bool
    rows: list[Row]
    comparisons: list[tuple[str, Comparison]]
    nothing_learned: str

    @property
    def title(self) -> str:
        """The decision in a few words."""
        return self.verdict.title

    @property
    def metric(self) -> Metric:
        """What the claim is about, the study's first objective."""
        return self.claim.about

    @property
    def timed(self) -> bool:
        """Whether the students' latency was measured."""
        return "latency" in self.claim.used.cost


def decide(study: StudyStore) -> Decision | None:
    """Return the newest claim, or None where there is none yet."""
    claim = study.records.claim
    if claim is None:
        return None
    tuned = tuned_arms(study.records, claim)
    return Decision(
        claim=claim,
        verdict=judge(claim),
        subject=claim.used.phrase,
        sentences=[sentences.sentence(claim, name) for name in compared_names(claim)],
        contradiction=sentences.contradiction(claim),
        evidence=sentences.evidence(claim),
        forecast=sentences.forecast(claim),
        same_student=all(_is_same_student(arm, claim.used) for arm in claim.arms),
        tuning=_tuning(claim, tuned),
        used_tuned=claim.use in tuned,
        rows=rows(study, claim),
        comparisons=[(other_phrase(claim, name), claim.comparisons[name]) for name in compared_names(claim)],
        nothing_learned=_nothing_learned(study, claim),
    )


def measured_on(study: StudyStore) -> str:
    """Return what latencies were measured on, a sentence; "" where they were not."""
    device = study.settings.identity.latency_device
    return "" if device is None else f"Latency: one sample on {device}, measured once before training."


def legend(claim: Claim) -> str:
    """Return what the rows and columns of a claim's table are, of the kinds of arm that it has."""
    kinds = {arm.kind for arm in claim.arms}
    told = [f"{title_of(kind)}: {what}." for kind, what in _WHAT.items() if kind in kinds]
    kept = [KEPT] if any(_is_of_teacher(arm) for arm in claim.arms) else []
    return " ".join([*told, *kept, "MACs: multiply-adds for one sample."])


def _is_of_teacher(arm: Arm) -> bool:
    """Whether its student is made of the teacher's network."""
    use = str(arm.pipeline["student"]["use"])
    known = catalog.knows("students", use) and not catalog.family_of("students", use)
    return known and bool(catalog.load("students", use).declares.copies)


def compared_names(claim: Claim) -> list[str]:
    """Return the names of the arms that the recommended one is compared with, the comparator first."""
    shown = [*claim.comparators, *(arm.name for arm in claim.ordered), *claim.comparisons]
    return [name for name in dict.fromkeys(shown) if name in claim.comparisons]


def _nothing_learned(study: StudyStore, claim: Claim) -> str:
    """What to say where every arm is as good as always giving the commonest class; "" where one is not."""
    common, metric = study.settings.data.majority("validation", claim.about), claim.about
    values = [chosen_on(arm) for arm in claim.arms]
    if common is None or not all(found and common.equals(statistics.fmean(found)) for found in values):
        return ""
    advice = "train longer, or look at the data" if metric.name in FAIR else f"try --objective {FAIR[0]} or {FAIR[1]}"
    return (
        f"Nothing was learned: every pipeline is as good as always giving the commonest class "
        f"({metric.text(common.value)} on validation); {advice}."
    )


def _is_same_student(arm: Arm, other: Arm) -> bool:
    """Whether two arms have the same network; one with another head differs in what it costs."""
    costs = all(arm.cost.get(name) == other.cost.get(name) for name in ("params", "macs"))
    return costs and words.student(arm.pipeline) == words.student(other.pipeline)


def _tuning(claim: Claim, tuned: Sequence[str]) -> str:
    """What was tuned before the claim, a sentence."""
    left = [claim.phrase_of(arm) for arm in claim.arms if arm.name not in tuned]
    if len(left) == len(claim.arms):
        return "nothing was tuned over a grid"
    which = "every arm" if not left else f"every arm but {words.listed(left)}"
    return f"the learning rate was tuned over the same grid for {which}"


def approval(study: StudyStore) -> str:
    """Return what checks say against approving: "1 stop, 5 warnings, 1 not checked"; "" where they say nothing."""
    if study.records.claim is None:
        return ""
    checks = check(study)
    found = (count(checks, "stop"), "stop"), (count(checks, "warn"), "warning")
    told = [words.number_of(number, thing) for number, thing in found if number]
    unknown = count(checks, "unknown")
    return ", ".join([*told, *([f"{unknown} not checked"] if unknown else [])])


def reason(study: StudyStore) -> str:
    """Return why the recommended arm is the one, by validation, as it was recorded; "" where nobody noted it."""
    claim = study.records.claim
    found = [] if claim is None else [use.reason for use in study.records.uses if use.round == claim.round]
    return found[-1] if found else ""


class Best(NamedTuple):
    """A line of the table that stands in for a claim while there is none; the teacher is no trial."""

    title: str
    trial: int | None
    params: float | None
    epochs: int | None
    value: float | None


def best_so_far(study: StudyStore) -> list[Best]:
    """Return best trial, start baselines and teacher on validation: what can be said without a claim."""
    trials, metric, teacher = study.records.trials.values(), study.objective.metric, study.settings.teacher
    top = ranked(trial for trial in trials if not trial.is_baseline)[:1]
    lines = [_best(f"Best trial so far (trial {trial.number})", trial, metric) for trial in top]
    lines += [_best(title_of(kind), trial, metric) for kind, trial in start_baselines(study) if trial.rungs]
    return (
        lines if teacher is None else [*lines, Best(TEACHER, None, teacher.params or None, None, teacher_value(study))]
    )


def _best(title: str, trial: TrialRecord, metric: Metric) -> Best:
    last = trial.rungs[-1]
    return Best(title, trial.number, trial.cost.get("params"), last.epochs, metric.value(last.score))


def trained(study: StudyStore) -> dict[str, Any]:
    """Return what became of the training at the end, and the bundle's folder for a shell, where that was asked for."""
    folder = bundle_of(study)
    return {"training": training_text(study), "student": None if folder is None else shlex.quote(str(folder))}


def bundle_of(study: StudyStore) -> Path | None:
    """Return the folder of the student that was trained at the end; None where there is none."""
    records = study.records
    return None if records.claim is None else trained_folder(study.path, records.trainings, records.claim.round)


def training_text(study: StudyStore) -> str:
    """Return what became of the training at the end; "" where it was not asked for."""
    records = study.records
    training = None if records.claim is None else training_of(records.trainings, records.claim.round)
    if records.claim is None or training is None:
        return ""
    if bundle_of(study) is None:
        return f"Not trained further: {training.reason}."
    return (
        f"This bundle holds the recommended pipeline trained for {words.number_of(training.epochs, 'epoch')} "
        f"({training.reason}). Test was not looked at again: its figures are those of the claim, for "
        f"{words.number_of(records.claim.epochs, 'epoch')}."
    )
