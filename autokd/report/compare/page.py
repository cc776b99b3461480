"""The page that shows several studies side by side: HTML and small inline SVG, without a script."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.files import write_text
from autokd.metrics import METRICS
from autokd.report import words
from autokd.report.compare import facts
from autokd.report.compare.courses import courses
from autokd.report.page import templates

if TYPE_CHECKING:
    from autokd.report.compare.courses import Course
    from autokd.report.compare.facts import Row
    from autokd.study.store import StudyStore

WIDTH, HEIGHT = 640.0, 180.0
"""Of a picture, in its own units."""


class Mark(NamedTuple):
    """An interval of the forest, in the picture's units."""

    row: Row
    middle: float
    low: float
    high: float
    text: str


def write(studies: Sequence[StudyStore], reports_dir: Path) -> Path:
    """Write the page; return its path.

    Args:
      studies: at least one, the first is what others are compared with.
      reports_dir: the folder of reports, made where it is missing.
    """
    path = Path(reports_dir) / facts.file_name(studies)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(studies))
    return path


def render(studies: Sequence[StudyStore]) -> str:
    """Return the page as HTML."""
    found = facts.rows(studies)
    return (
        templates()
        .get_template("compare.html.jinja")
        .render(
            labels=facts.labels(studies),
            rows=facts.by_gain(found),
            metrics=METRICS,
            conditions=facts.conditions(studies),
            differing=facts.differing(studies),
            losses=facts.loss_effects(studies),
            studies=studies,
            forests=forests(found),
            courses=[_picture(key, group) for key, group in courses(studies).items()],
            width=WIDTH,
            height=HEIGHT,
        )
    )


def forests(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a forest of gains over the student alone for each metric, with its zero and its marks."""
    rows = [row for row in facts.by_gain(found) if row.over_alone is not None]
    return [_forest([row for row in rows if row.metric == name]) for name in dict.fromkeys(row.metric for row in rows)]


def _forest(rows: Sequence[Row]) -> dict[str, Any]:
    """The marks of studies of one metric on one axis, which has 0 on it."""
    metric = METRICS[rows[0].metric]
    ends = [end for row in rows if row.over_alone for end in (row.over_alone.low, row.over_alone.high)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    return {
        "metric": metric,
        "zero": _place(0.0, low, high),
        "low": words.difference(low, metric),
        "high": words.difference(high, metric),
        "marks": [_mark(row, low, high) for row in rows],
    }


def _mark(row: Row, low: float, high: float) -> Mark:
    gain = row.over_alone
    assert gain is not None
    middle, left, right = (_place(value, low, high) for value in (gain.difference, gain.low, gain.high))
    metric = METRICS[row.metric]
    ends = [words.difference(end, metric) for end in (gain.difference, gain.low, gain.high)]
    return Mark(row, middle, left, right, f"{ends[0]} [{ends[1]}, {ends[2]}] {metric.difference_unit}".rstrip())


def _place(value: float, low: float, high: float) -> float:
    """Where a value lies across the picture, with a margin on both sides."""
    return round(10 + (WIDTH - 20) * (value - low) / ((high - low) or 1.0), 1)


def _picture(key: tuple[str, str], group: Sequence[Course]) -> dict[str, Any]:
    """The courses of studies of the same data and metric, as steps over the seconds of training."""
    metric = METRICS[key[0]]
    values = [value for course in group for _, value in course.points]
    values += [value for course in group for value in course.baselines.values()]
    low, high, longest = min(values), max(values), max(course.points[-1][0] for course in group)

    def height(value: float) -> float:
        return round(HEIGHT - 10 - (HEIGHT - 20) * (value - low) / ((high - low) or 1.0), 1)

    def steps(course: Course) -> str:
        ends = [(_place(spent, 0.0, longest), height(value)) for spent, value in course.points]
        corners = [(x, before) for (_, before), (x, _) in itertools.pairwise(ends)]
        along = [point for pair in itertools.zip_longest(ends, corners) for point in pair if point is not None]
        return " ".join(f"{x},{y}" for x, y in [*along, (WIDTH - 10, ends[-1][1])])

    return {
        "data": key[1],
        "metric": metric,
        "low": metric.text(low),
        "high": metric.text(high),
        "longest": words.duration(longest),
        "lines": [(course, steps(course), metric.text(course.points[-1][1])) for course in group],
    }
