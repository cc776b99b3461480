"""What is said of the pictures of what the students answered, with intervals over test items and seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autokd.report import words
from autokd.report.sections.learned.facts import Shown, percent
from autokd.study.arms import KD

if TYPE_CHECKING:
    from autokd.study.claim import Arm, Claim, Comparison
    from autokd.study.learned import Answered, Learned
    from autokd.study.store import StudyStore

CONFUSIONS = 5
"""Confusions that are named."""
OFF = 0.05
"""Calibration error from which on it is said to be one."""


class Agreement(NamedTuple):
    """How often the recommended student gives the teacher's answer, beside another student.

    Args:
      phrase: what the other student is called.
      share: of the items, of the other one.
      compared: the recommended student minus the other one; None where either was trained once.
    """

    phrase: str
    share: float
    compared: Comparison | None


def agreement_beside(claim: Claim, found: Learned) -> Agreement | None:
    """Return how the recommended student agrees with the teacher beside one without it, or else beside plain KD."""
    other = _other(claim, found)
    if other is None or other.name not in found.agrees:
        return None
    from autokd.study.comparison import Pair, compare

    ours, theirs = found.agrees[claim.use], found.agrees[other.name]
    seeds, share = min(len(ours), len(theirs)), float(theirs.mean())
    if seeds < 2:
        return Agreement(other.phrase, share, None)
    both = {claim.use: ours[:seeds], other.name: theirs[:seeds]}
    return Agreement(other.phrase, share, compare(both, Pair(claim.use, other.name)))


def _other(claim: Claim, found: Learned) -> Arm | None:
    """The arm without a teacher, or else that of plain KD, where it is another one than the recommended."""
    arms = [claim.alone, *(arm for arm in claim.arms if arm.kind == KD)]
    return next((arm for arm in arms if arm is not None and arm.name != claim.use and arm.name in found.arms), None)


def heading(use: Answered, beside: Agreement | None) -> str:
    """Return the section's heading: whether the student took over the teacher's answers."""
    if use.agreement is None:
        return f"The student is right in {percent(use.accuracy)} of the test items"
    share = percent(use.agreement)
    if beside is None or beside.compared is None:
        return f"The student gives the teacher’s answer in {share} of the test items"
    seen, phrase = beside.compared.difference, beside.phrase
    size = f"{abs(100 * seen):.1f} points"
    if beside.compared.verdict == "not distinguishable":
        return f"The student gives the teacher’s answer in {share} of the test items, {_untold(beside)} of {phrase}"
    often = "more" if beside.compared.verdict == "better" else "less"
    return f"The student gives the teacher’s answer in {share} of the test items, {size} {often} than {phrase}"


def _untold(beside: Agreement) -> str:
    return f"not told apart from the {percent(beside.share)}"


def of_agreement(claim: Claim, found: Learned, beside: Agreement | None) -> str:
    """Return what is under the matrix: agreement with the teacher, beside another student and beside chance."""
    use, parts = found.arms[claim.use], []
    if use.agreement is not None and use.between.agreement is not None:
        parts.append(f"The student gives the teacher’s answer in {_with(use.agreement, use.between.agreement)}")
    if beside is not None:
        parts.append(f"{beside.phrase} in {percent(beside.share)}{_difference(beside.compared)}")
    itself = found.agreement.get((claim.use, claim.use))
    if itself is not None:
        parts.append(f"two runs of the same recipe agree in {percent(itself)}")
    return f"{'; '.join(parts)}." if parts else ""


def _difference(compared: Comparison | None) -> str:
    if compared is None:
        return ""
    sizes = [words.signed_points(value) for value in (compared.difference, compared.low, compared.high)]
    return f" (difference {sizes[0]} points [{sizes[1]}, {sizes[2]}])"


def of_calibration(claim: Claim, found: Learned, shown: list[Shown]) -> str:
    """Return how far confidence lies from accuracy, and what a temperature leaves of it."""
    use = found.arms[claim.use]
    off = (
        f"The student’s confidence is off by {_points(use.calibration_error, use.between.calibration_error)} on average"
    )
    others = [f"{each.title} {100 * each.answered.calibration_error:.1f}" for each in shown[1:]]
    beside = f" ({', '.join(others)})" if others else ""
    left = _points(use.calibrated_error, use.between.calibrated_error)
    helps = ", and its bundle holds it" if use.calibration_error > OFF else ""
    return f"{off}{beside}; the temperature {use.temperature:.2f}, fitted on validation, leaves {left}{helps}."


def of_classes(study: StudyStore, claim: Claim, found: Learned) -> tuple[str, str] | None:
    """Return the class on which the student is worst, and what is said of it; None where nothing is."""
    use, names = found.arms[claim.use], study.task.classes
    far = found.worst_class(claim.use)
    known = np.where(np.isnan(use.by_class), np.inf, use.by_class)
    worst = int(np.argmin(known)) if far is None else far[0]
    between = use.between.by_class[worst]
    if between is None:
        return None
    items = words.number_of(int(found.counts[worst]), "item")
    text = f"the student is right in {_with(float(use.by_class[worst]), between)} of {items}"
    if far is not None:
        return names[worst], f"{text}, far below its {percent(use.accuracy)} on all: more than chance explains."
    least = f"the least of {len(names)} classes and no more below its {percent(use.accuracy)} than chance explains"
    return names[worst], f"{text}, {least}."


def of_confusions(study: StudyStore, claim: Claim, found: Learned) -> list[tuple[str, str, str]]:
    """Return (class, the class that it is taken for, how often) of the most frequent confusions, means over seeds."""
    use, names = found.arms[claim.use], study.task.classes
    return [
        (names[i], names[j], f"{count:.1f} of {words.count(int(found.counts[i]))}")
        for i, j, count in use.confusions[:CONFUSIONS]
    ]


def of_disputes(claim: Claim, found: Learned) -> str:
    """Return in how many items student and teacher differ, and who is right there; "" where they never do."""
    use = found.arms[claim.use]
    if use.apart is None or use.agreement is None or use.between.apart is None:
        return ""
    share = _with(1 - use.agreement, use.between.apart)
    right = (
        f"the teacher is right in {percent(use.apart.teacher)} of these, the student in {percent(use.apart.student)}"
    )
    return f"They differ in {share} of the test items; {right}."


def of_plain_models(study: StudyStore, claim: Claim) -> str:
    """Return what the best plain model reaches beside the student; "" where none was fitted."""
    from autokd.study.answers import answers_file
    from autokd.study.plain_models import best_plain_model

    plain = best_plain_model(answers_file(study.path, claim.round), claim.use, claim.about)
    if plain is None:
        return ""
    metric, phrase = claim.about, claim.phrase_of(claim.used)
    ends = [words.difference(value, metric) for value in (plain.difference, plain.low, plain.high)]
    apart = f"{ends[0]} [{ends[1]}, {ends[2]}] beside it"
    reached = f"{plain.name} on the same rows reaches {words.quality(plain.test, metric)}, and {phrase} is {apart}"
    return f"Beaten by a plain model: {reached}." if plain.is_better(metric) else f"Of plain models, {reached}."


def _with(share: float, between: tuple[float, float]) -> str:
    """0.954 -> "95.4 % [93.1, 97.0]"."""
    return f"{percent(share)} [{100 * between[0]:.1f}, {100 * between[1]:.1f}]"


def _points(share: float, between: tuple[float, float]) -> str:
    return f"{100 * share:.1f} points [{100 * between[0]:.1f}, {100 * between[1]:.1f}]"
