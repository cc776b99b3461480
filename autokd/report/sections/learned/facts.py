"""What the claim's students and the teacher answered on the test split: lines, pictures and rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autokd.report import words
from autokd.report.scales import Scale, linear
from autokd.report.tables import Row
from autokd.study.arms import ALONE, ARM_KINDS, KD

if TYPE_CHECKING:
    from autokd.calibration import Bin
    from autokd.study.claim import Claim
    from autokd.study.learned import Answered, Learned
    from autokd.study.store import StudyStore

CLASSES = 12
"""Classes that are shown at once; where there are more, the worst so many, and all in a fold."""
FEWEST_ITEMS = 100
"""Test items from which on a reliability diagram is drawn."""


class Shown(NamedTuple):
    """An arm of the claim, or the teacher.

    Args:
      title: of the arm.
      kind: of its mark in pictures.
      used: it is the recommended one.
      answered: what it answered.
    """

    title: str
    kind: str
    used: bool
    answered: Answered


class Line(NamedTuple):
    """What an arm, or the teacher, answered, as the table has it; "–" for what there is not."""

    title: str
    kind: str
    used: bool
    accuracy: str
    agreement: str
    divergence: str
    log_loss: str
    error: str
    calibrated: str


class ClassLine(NamedTuple):
    """Accuracy on one class.

    Args:
      name: of the class.
      items: of it.
      values: 0 to 1, of each that is shown; None where there are no items.
      shows: what its picture shows, in words.
    """

    name: str
    items: int
    values: tuple[float | None, ...]
    shows: str


class Classes(NamedTuple):
    """Accuracy on each class.

    Args:
      columns: (title, kind) of those that are shown, the recommended one first, the teacher last.
      lines: the worst first; where there are many, the worst ones.
      rest: all in their own order, where `lines` are not all; else ().
      scale: of the pictures.
    """

    columns: tuple[tuple[str, str], ...]
    lines: tuple[ClassLine, ...]
    rest: tuple[ClassLine, ...]
    scale: Scale


class Spot(NamedTuple):
    """A bin of a reliability diagram: confidence and accuracy, 0 to 100, the radius of its dot in pixels, its share."""

    x: float
    y: float
    radius: float
    share: float
    kind: str = ""


class Diagram(NamedTuple):
    """A reliability diagram.

    Args:
      title, kind: of the arm.
      before, after: its bins without and with the temperature.
      shows: what it shows, in words.
    """

    title: str
    kind: str
    before: tuple[Spot, ...]
    after: tuple[Spot, ...]
    shows: str


class Matrix(NamedTuple):
    """How often two of them give the same answer.

    Args:
      names: (title, kind) of rows and columns.
      rows: of each name, (share or None, how strongly it is shaded, 0 to 1) of each name.
    """

    names: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[float | None, float], ...], ...]


def answers(study: StudyStore) -> Learned | None:
    """Return what the students of the newest claim answered; None where nothing of the recommended one is kept."""
    from autokd.study.answers import answers_file
    from autokd.study.learned import learned

    claim = study.records.claim
    if claim is None:
        return None
    found = learned(answers_file(study.path, claim.round), {arm.name: len(arm.claimed) for arm in claim.arms})
    return None if found is None or claim.use not in found.arms else found


def everybody(claim: Claim, found: Learned) -> list[Shown]:
    """Return the claim's arms that answered, the recommended one first, and the teacher."""
    arms = [
        Shown(claim.title_of(arm), mark_of(arm.kind), arm.name == claim.use, found.arms[arm.name])
        for arm in claim.ordered
        if arm.name in found.arms
    ]
    return arms if found.teacher is None else [*arms, Shown("Teacher", "teacher", False, found.teacher)]


def mark_of(kind: str) -> str:
    """Return the mark of a kind of arm in pictures; a quiet one where this version has no such kind."""
    return kind if kind in ARM_KINDS else "quiet"


def line(shown: Shown) -> Line:
    """Return the row of an arm, or of the teacher."""
    each = shown.answered
    return Line(
        shown.title,
        shown.kind,
        shown.used,
        percent(each.accuracy),
        "–" if each.agreement is None or shown.kind == "teacher" else percent(each.agreement),
        "–" if each.divergence is None or shown.kind == "teacher" else f"{each.divergence:.3f}",
        f"{each.log_loss:.3f}",
        f"{100 * each.calibration_error:.1f}",
        f"{100 * each.calibrated_error:.1f} (T = {each.temperature:.2f})",
    )


def classes(study: StudyStore, shown: list[Shown], counts: list[int]) -> Classes:
    """Return the accuracy on each class of those that are shown."""
    use = shown[0].answered
    lines = [_class_line(i, name, counts[i], shown) for i, name in enumerate(study.task.classes)]
    order = np.argsort(np.where(np.isnan(use.by_class), np.inf, use.by_class), kind="stable").tolist()
    known = [value for each in lines for value in each.values if value is not None]
    return Classes(
        columns=tuple((each.title, each.kind) for each in shown),
        lines=tuple(lines[i] for i in order[:CLASSES]),
        rest=tuple(lines) if len(lines) > CLASSES else (),
        scale=linear([100 * value for value in known], lambda tick: f"{tick:.3g}", within=(0.0, 100.0)),
    )


def _class_line(place: int, name: str, items: int, shown: list[Shown]) -> ClassLine:
    found = [float(each.answered.by_class[place]) for each in shown]
    values = tuple(None if np.isnan(value) else value for value in found)
    named = [f"{each.title} {percent(value)}" for each, value in zip(shown, found, strict=True)]
    return ClassLine(name, items, values, ", ".join(named))


def diagrams(shown: list[Shown], items: int) -> tuple[Diagram, ...]:
    """Return the reliability diagrams of the recommended arm, the one without a teacher and plain KD.

    Args:
      shown: all arms; three are drawn, these first.
      items: of the test split; with few there are none.
    """
    if items < FEWEST_ITEMS:
        return ()
    arms = [each for each in shown if each.kind != "teacher"]
    wanted = sorted(arms, key=lambda each: (not each.used, each.kind != ALONE, each.kind != KD))[:3]
    return tuple(_diagram(each) for each in arms if each in wanted)


def _diagram(each: Shown) -> Diagram:
    found = each.answered
    before, after = _spots(found.bins), _spots(found.calibrated_bins)
    says = [f"confidence {spot.x:.0f} %, right {spot.y:.0f} %, {spot.share:.0f} % of the items" for spot in before]
    return Diagram(each.title, each.kind, before, after, f"{each.title}: {'; '.join(says)}")


def _spots(bins: list[Bin]) -> tuple[Spot, ...]:
    items = sum(each.items for each in bins)
    return tuple(
        Spot(
            round(100 * each.confidence, 2),
            round(100 * each.accuracy, 2),
            round(2 + 7 * float(np.sqrt(each.items / items)), 2),
            round(100 * each.items / items, 2),
        )
        for each in bins
        if each.items
    )


def matrix(claim: Claim, found: Learned) -> Matrix | None:
    """Return how often each two of the arms and the teacher agree; None where there is nobody to agree with."""
    from autokd.study.learned import TEACHER

    names = [arm.name for arm in claim.ordered if arm.name in found.arms]
    names += [] if found.teacher is None else [TEACHER]
    if len(names) < 2:
        return None
    shares = [[found.agreement.get((one, other)) for other in names] for one in names]
    least = min(found.agreement.values())
    rows = tuple(tuple((share, _shade(share, least)) for share in row) for row in shares)
    return Matrix(tuple((each.title, each.kind) for each in everybody(claim, found)), rows)


def _shade(share: float | None, least: float) -> float:
    return 0.0 if share is None or least >= 1 else round((share - least) / (1 - least), 3)


def rows(study: StudyStore) -> list[Row]:
    """Return one row a class: items, and each arm's and the teacher's accuracy."""
    found = answers(study)
    if found is None:
        return []
    named = {**found.arms, **({} if found.teacher is None else {"teacher": found.teacher})}
    return [
        {"class": name, "items": int(found.counts[i])}
        | {arm: None if np.isnan(each.by_class[i]) else float(each.by_class[i]) for arm, each in named.items()}
        for i, name in enumerate(study.task.classes)
    ]


def percent(share: float) -> str:
    """0.954 -> "95.4 %"; "–" for what is not a number."""
    return "–" if np.isnan(share) else words.percent(share)
