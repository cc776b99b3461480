"""What the commands about past studies show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document
from autokd.report import words

if TYPE_CHECKING:
    from autokd.knowledge.base import Base
    from autokd.knowledge.card import StudyCard
    from autokd.knowledge.lessons import Lesson

_OUTCOMES = {"new": "learnt", "grown": "learnt again", "known": "known already", "nothing": "nothing learnt"}


def learnt(folder: Path, lessons: Sequence[Lesson], *, as_json: bool) -> Shown:
    """Return what became of each study."""
    if as_json:
        return document({"base": folder, "studies": [_lesson_row(lesson) for lesson in lessons]})
    table = Table(box=None, pad_edge=False)
    for column in ("study", "", "runs", "what"):
        table.add_column(column, justify="right" if column == "runs" else "left", overflow="fold")
    for lesson in lessons:
        runs = "" if lesson.card is None else str(len(lesson.card.runs))
        table.add_row(Text(lesson.study), _OUTCOMES[lesson.outcome], runs, Text(_told(lesson)))
    return Group(table, Text(f"in {folder}"))


def _lesson_row(lesson: Lesson) -> dict[str, Any]:
    taught = {} if lesson.card is None else _figures(lesson.card)
    return {
        "study": lesson.study,
        "outcome": lesson.outcome,
        "left_out": lesson.left_out,
        "why": lesson.why,
        "card": taught,
    }


def _told(lesson: Lesson) -> str:
    if lesson.card is None:
        return lesson.why
    parts = [
        f"{words.number_of(len(lesson.card.worth), 'pipeline')} trained to the end",
        _gain(lesson.card, "no KD by hand to compare with", "best {} over KD by hand"),
    ]
    if lesson.before is not None and lesson.outcome == "grown":
        parts.append(f"{words.number_of(len(lesson.before.runs), 'run')} before")
    if lesson.left_out:
        parts.append(f"{words.number_of(lesson.left_out, 'run')} left out, with what is not autokd's in the pipeline")
    return "; ".join(parts)


def _gain(card: StudyCard, without: str, text: str) -> str:
    best, metric = card.best_gain, card.facts.metric
    return without if best is None else text.format(f"{metric.signed(best)} {metric.difference_unit}".rstrip())


def listed(base: Base, *, as_json: bool) -> Shown:
    """Return one row a study of a base."""
    if as_json:
        return document({"digest": base.digest, "studies": [_figures(card) for card in base.cards]})
    if not base.cards:
        return "nothing is known yet; autokd learn STUDY begins a knowledge base"
    table = Table()
    for column in ("study", "input", "samples", "classes", "teacher", "metric", "runs", "pipelines", "best over KD"):
        table.add_column(column, justify="left" if column in ("study", "input", "metric") else "right")
    for card in sorted(base.cards, key=lambda each: (each.facts.modality, each.facts.train, each.study)):
        table.add_row(*map(Text, _cells(card)))
    return Group(table, Text(f"{_counted(base)}; digest {base.digest}"))


def _cells(card: StudyCard) -> list[str]:
    facts, metric = card.facts, card.facts.metric
    teacher = facts.teacher.get(metric.in_float)
    return [
        card.study[:8],
        facts.modality,
        f"{facts.train:,}",
        str(facts.classes),
        "" if teacher is None else metric.text(teacher),
        metric.title,
        str(len(card.runs)),
        str(len(card.worth)),
        _gain(card, "", "{}"),
    ]


def _figures(card: StudyCard) -> dict[str, Any]:
    facts = card.facts
    return {
        "study": card.study,
        "data": facts.data,
        "input": facts.modality,
        "samples": facts.train,
        "classes": facts.classes,
        "metric": facts.objective,
        "teacher": facts.teacher.get(facts.metric.in_float),
        "runs": len(card.runs),
        "pipelines": len(card.worth),
        "best_gain": card.best_gain,
    }


def merged(path: Path, base: Base, *, as_json: bool) -> Shown:
    """Return what was written."""
    if as_json:
        return document({"file": path, "digest": base.digest, "studies": len(base.cards)})
    return Text(f"{path}: {_counted(base)}; digest {base.digest}")


def _counted(base: Base) -> str:
    kinds = Counter(card.facts.modality for card in base.cards)
    of_kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    studies = "1 study" if len(base.cards) == 1 else f"{len(base.cards)} studies"
    return f"{studies} ({of_kinds}), {words.number_of(sum(len(card.runs) for card in base.cards), 'run')}"
