"""What the report's figures share. A figure is a plain Plotly mapping {"data": …, "layout": …}.

Colours of text, axes and grid are left to the page, which knows whether it is light or dark. Every text that comes from
a study is escaped, since Plotly reads a little HTML in labels and hovers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.start import teacher_value

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

Figure = dict[str, Any]

MARK, TEACHER = "#e08a1e", "#8b8f99"
"""Colours: of a limit, of the teacher."""


class ErrorScale(NamedTuple):
    """Values of a metric drawn by the logarithm of their error, the distance from the perfect value; better is higher.

    Accuracies of 90, 99 and 99.9 % are equally far apart.

    Args:
      smallest: error that stands for none at all, half a validation sample.
      metric: that is drawn.
    """

    smallest: float
    metric: Metric

    @classmethod
    def of(cls, study: StudyStore) -> ErrorScale:
        """Return the scale for a study's first objective on validation."""
        return cls(0.5 / study.settings.data.validation, study.objective.metric)

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        return -math.log10(max(abs(self.metric.perfect - value), self.smallest))

    def axis(self, places: Sequence[float]) -> Figure:
        """The axis for what is drawn at these places; round errors are marked, where there is room."""
        room = 0.1 * (max(places) - min(places))
        bottom = -math.log10(self.metric.high - self.metric.low) if math.isfinite(self.metric.high) else -math.inf
        low, high = max(bottom, min(places) - room), max(places) + room
        marks: dict[float, str] = {}
        for digit in (1, 2, 5, 3, 7, 4, 6, 8, 9):
            for decade in range(math.floor(low), math.ceil(high) + 1):
                error = digit * 10.0 ** -(decade + 1)
                place = -math.log10(error)
                if low <= place <= high and all(abs(place - other) > 0.08 * (high - low) for other in marks):
                    marks[place] = f"{self.metric.scale * self._value(error):.6g}"
        title = {"text": self.metric.heading("validation")}
        return {"title": title, "zeroline": False, "tickvals": list(marks), "ticktext": list(marks.values())}

    def _value(self, error: float) -> float:
        return self.metric.perfect - error if self.metric.higher_is_better else self.metric.perfect + error


def teacher_line(study: StudyStore, scale: ErrorScale) -> tuple[list[Figure], list[Figure]]:
    """Return the line at the teacher's value on validation and the note on it; nothing where it is not known."""
    teacher, reached = study.settings.teacher, teacher_value(study)
    if teacher is None or reached is None:
        return [], []
    seen = "; may have seen these rows" if teacher.may_have_seen_validation else ""
    size = f", {words.compact(teacher.params)} parameters" if teacher.params else ""
    text = f"teacher {words.quality(reached, scale.metric)}{size}{seen}"
    y = scale.at(reached)
    return [line(y=y)], [note(text, x=0, y=y, xref="paper", xanchor="left", yanchor="bottom")]


def line(*, x: float | None = None, y: float | None = None) -> Figure:
    """A dotted line across the figure."""
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper"}
    if y is not None:
        ends = {"y0": y, "y1": y, "x0": 0, "x1": 1, "xref": "paper"}
    return {"type": "line", "layer": "below", "line": {"color": TEACHER, "width": 1.2, "dash": "dot"}, **ends}


def note(text: str, **place: Any) -> Figure:
    """A text in the figure."""
    return {"text": safe(text), "showarrow": False, "font": {"size": 12}, **place}


def figure(height: int, data: Sequence[Figure], *, xaxis: Figure, yaxis: Figure, **layout: Any) -> Figure:
    """Return a figure of traces.

    Args:
      height: pixels.
      data: the traces; those without a point are left out.
      xaxis, yaxis: the axes.
      layout: more of Plotly's layout.
    """
    axis = {"automargin": True}
    return {
        "data": [trace for trace in data if len(trace["x"])],
        "layout": {
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "hovermode": "closest",
            "xaxis": {**axis, **xaxis},
            "yaxis": {**axis, **yaxis},
            **layout,
        },
    }


def safe(text: str) -> str:
    """Escape a text for Plotly."""
    return html.escape(text, quote=False)
