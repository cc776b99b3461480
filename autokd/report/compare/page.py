"""The page that shows several studies side by side: HTML and small inline SVG, without a script."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.files import write_text
from autokd.metrics import METRICS, Metric
from autokd.report import words
from autokd.report.compare import facts
from autokd.report.compare.courses import courses
from autokd.report.page import templates
from autokd.report.scales import linear, of_difference, of_metric
from autokd.study.arms import KD
from autokd.study.means import Mean

if TYPE_CHECKING:
    from autokd.report.compare.courses import Course
    from autokd.report.compare.facts import Row
    from autokd.study.store import StudyStore


class Mark(NamedTuple):
    """A gain over no teacher, in a row of the forest.

    Args:
      kind: of the arm whose gain it is, as pictures show it.
      gain: with its interval.
      text: the same for people.
    """

    kind: str
    gain: Mean
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
        )
    )


def forests(found: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a forest of gains over no teacher for each metric: its scale, and the marks of each study."""
    rows = [row for row in facts.by_gain(found) if row.over_alone is not None]
    return [_forest([row for row in rows if row.metric == name]) for name in dict.fromkeys(row.metric for row in rows)]


def _forest(rows: Sequence[Row]) -> dict[str, Any]:
    """The marks of studies of one metric on one axis, which has 0 on it."""
    metric = METRICS[rows[0].metric]
    marked = [(row, list(_marks(row, metric))) for row in rows]
    ends = [end for _, marks in marked for mark in marks for end in mark.gain]
    return {"metric": metric, "scale": of_difference(ends, metric), "rows": marked}


def _marks(row: Row, metric: Metric) -> Iterator[Mark]:
    """What is recommended, and plain KD, minus no teacher."""
    if row.over_alone is not None:
        gain = Mean(row.over_alone.difference, row.over_alone.low, row.over_alone.high)
        yield Mark(row.used_kind, gain, f"what is recommended {_text(gain, metric)}")
    if row.kd_over_alone is not None and row.used_kind != KD:
        yield Mark(KD, row.kd_over_alone, f"plain KD {_text(row.kd_over_alone, metric)}")


def _text(gain: Mean, metric: Metric) -> str:
    middle, low, high = (words.difference(end, metric) for end in gain)
    return f"{middle} [{low}, {high}] {metric.difference_unit}".rstrip()


def _picture(key: tuple[str, str], group: Sequence[Course]) -> dict[str, Any]:
    """The courses of studies of the same data and metric, as steps over the seconds of training."""
    metric = METRICS[key[0]]
    values = [value for course in group for _, value in course.points]
    values += [value for course in group for value in course.baselines.values()]
    longest = max(course.points[-1][0] for course in group)
    across, up = linear([0.0, longest], words.duration, room=0.0), of_metric(values, metric)

    def steps(course: Course) -> list[tuple[float, float]]:
        ends = [(across.at(spent), up.at(value)) for spent, value in course.points]
        corners = [(x, before) for (_, before), (x, _) in itertools.pairwise(ends)]
        along = [point for pair in itertools.zip_longest(ends, corners) for point in pair if point is not None]
        return [*along, (100.0, ends[-1][1])]

    return {
        "data": key[1],
        "metric": metric,
        "low": metric.text(min(values)),
        "high": metric.text(max(values)),
        "scale": across,
        "lines": [(course, steps(course), metric.text(course.points[-1][1])) for course in group],
    }
