"""What the claim's students and the teacher answered on the test split, in words and rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autokd.report.tables import Row
from autokd.study.claim import Claim

if TYPE_CHECKING:
    from autokd.study.learned import Answered, Learned
    from autokd.study.store import StudyStore

CLASSES, CONFUSIONS = 12, 5
"""Classes that are shown, the worst first where there are more, and confusions."""
OFF = 0.05
"""Calibration error from which on it is said to be one."""


class Line(NamedTuple):
    """What an arm, or the teacher, answered, as the table has it: percentages, and "–" for what there is not."""

    title: str
    used: bool
    accuracy: str
    agreement: str
    divergence: str
    log_loss: str
    error: str
    calibrated: str


class ClassLine(NamedTuple):
    """Accuracy on one class, as the table has it."""

    name: str
    items: int
    values: tuple[str, ...]


class Facts(NamedTuple):
    """What the section shows.

    Args:
      says: sentences, the first of them the section's heading.
      lines: a row an arm, the recommended one first, and the teacher.
      columns, classes: the arms of the table of classes, and its rows.
      all_classes: how many there are.
      confusions: the recommended student's, the most frequent first.
    """

    says: tuple[str, ...]
    lines: tuple[Line, ...]
    columns: tuple[str, ...]
    classes: tuple[ClassLine, ...]
    all_classes: int
    confusions: tuple[str, ...]


def found(study: StudyStore) -> Facts | None:
    """Return what the section shows; None where no answers are kept."""
    claim, answers = study.records.claim, _answers(study)
    if claim is None or answers is None or claim.use not in answers.arms:
        return None
    use, names = answers.arms[claim.use], study.task.classes
    everybody = _everybody(claim, answers)
    return Facts(
        says=tuple(_sentences(study, claim, answers)),
        lines=tuple(_line(title, each, used=each is use) for title, each in everybody.items()),
        columns=tuple(everybody),
        classes=tuple(
            ClassLine(
                names[i], int(answers.counts[i]), tuple(_percent(each.by_class[i]) for each in everybody.values())
            )
            for i in _shown(use)
        ),
        all_classes=len(names),
        confusions=tuple(
            f"{names[i]} taken for {names[j]}: {count:.3g} of {answers.counts[i]}"
            for i, j, count in use.confusions[:CONFUSIONS]
        ),
    )


def _everybody(claim: Claim, answers: Learned) -> dict[str, Answered]:
    """The claim's arms, the recommended one first, and the teacher, by what they are called."""
    arms = {claim.title_of(arm): answers.arms[arm.name] for arm in claim.ordered if arm.name in answers.arms}
    return arms if answers.teacher is None else {**arms, "Teacher": answers.teacher}


def _shown(use: Answered) -> list[int]:
    """The classes that are shown: all, or the worst where there are many."""
    order: list[int] = np.argsort(np.where(np.isnan(use.by_class), np.inf, use.by_class), kind="stable").tolist()
    return order[:CLASSES] if len(order) > CLASSES else sorted(order)


def rows(study: StudyStore) -> list[Row]:
    """Return one row a class: items, and each arm's and the teacher's accuracy."""
    answers = _answers(study)
    if answers is None:
        return []
    everybody = {**answers.arms, **({} if answers.teacher is None else {"teacher": answers.teacher})}
    return [
        {"class": name, "items": int(answers.counts[i])}
        | {arm: None if np.isnan(each.by_class[i]) else float(each.by_class[i]) for arm, each in everybody.items()}
        for i, name in enumerate(study.task.classes)
    ]


def _answers(study: StudyStore) -> Learned | None:
    from autokd.study.answers import answers_file
    from autokd.study.learned import learned

    claim = study.records.claim
    if claim is None:
        return None
    return learned(answers_file(study.path, claim.round), {arm.name: len(arm.claimed) for arm in claim.arms})


def _sentences(study: StudyStore, claim: Claim, answers: Learned) -> Iterator[str]:
    use, phrase = answers.arms[claim.use], claim.phrase_of(claim.used)
    yield _agreement(claim, answers, use)
    off = f"Its confidence is off by {100 * use.calibration_error:.1f} points on average (expected calibration error)"
    mended = f"; a temperature fitted on validation, as its bundle has one, leaves {100 * use.calibrated_error:.1f}"
    yield f"{off}{mended if use.calibration_error > OFF else ''}."
    worst = answers.worst_class(claim.use)
    if worst is not None:
        name, items = study.task.classes[worst[0]], answers.counts[worst[0]]
        yield (
            f"On {name} it is right in {_percent(use.by_class[worst[0]])} of {items} items, far below its "
            f"{_percent(use.accuracy)} on all: more than chance explains."
        )
    yield from _plain(study, claim, phrase)


def _agreement(claim: Claim, answers: Learned, use: Answered) -> str:
    if use.agreement is None:
        return f"The student is right in {_percent(use.accuracy)} of the test items"
    alone = None if claim.alone is None or claim.alone.name == claim.use else answers.arms.get(claim.alone.name)
    beside = (
        "" if alone is None or alone.agreement is None else f"; one trained without it in {_percent(alone.agreement)}"
    )
    return f"The student gives the teacher’s answer in {_percent(use.agreement)} of the test items{beside}"


def _plain(study: StudyStore, claim: Claim, phrase: str) -> Iterator[str]:
    from autokd.study.answers import answers_file
    from autokd.study.plain_models import best_plain_model

    plain = best_plain_model(answers_file(study.path, claim.round), claim.use, claim.about)
    if plain is None:
        return
    metric = claim.about
    apart = f"{metric.signed(plain.difference)} [{metric.signed(plain.low)}, {metric.signed(plain.high)}] beside it"
    reached = f"{plain.name} on the same rows reaches {metric.text(plain.test)}, and {phrase} is {apart}"
    yield f"Beaten by a plain model: {reached}." if plain.is_better(metric) else f"Of plain models, {reached}."


def _line(title: str, each: Answered, *, used: bool) -> Line:
    return Line(
        title,
        used,
        _percent(each.accuracy),
        "–" if each.agreement is None else _percent(each.agreement),
        "–" if each.divergence is None else f"{each.divergence:.3f}",
        f"{each.log_loss:.3f}",
        f"{100 * each.calibration_error:.1f}",
        f"{100 * each.calibrated_error:.1f} (T = {each.temperature:.2f})",
    )


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"
