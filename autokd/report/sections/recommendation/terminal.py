"""What the terminal prints of a claim: the arms and the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.printed import Grid
from autokd.report.sections.recommendation.arms import Row
from autokd.report.sections.recommendation.facts import Decision

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


def arms(study: StudyStore, decision: Decision) -> Grid:
    """Return the table of the arms, what is recommended among them."""
    metric, timed = decision.metric, decision.timed
    total = words.number_of(len(study.records.trials), "trial")
    costs = ["parameters", "MACs", *(["latency, ms"] if timed else [])]
    return Grid(
        title=f"{study.name}: {total}; mean ± spread (number of seeds)",
        columns=["", *costs, _heading("validation", metric), _heading("test", metric)],
        rows=[_cells(row, metric, timed) for row in decision.rows],
        strong=[place for place, row in enumerate(decision.rows) if row.recommended],
    )


def compared(decision: Decision) -> str:
    """Return what stands above the evidence."""
    if not decision.sentences:
        return "Evidence:"
    return f"On test ({words.of_which(decision.metric)}), {decision.subject} against the others:"


def evidence(decision: Decision) -> list[str]:
    """Return what the comparisons say, what they rest on, and what one more run will reach."""
    return [*decision.sentences, decision.evidence, *([decision.forecast] if decision.forecast else [])]


def _heading(what: str, metric: Metric) -> str:
    """ "validation" -> "validation %"; metrics other than accuracy are named."""
    return f"{what} %" if metric.name == "accuracy" else f"{what} {metric.title} {metric.unit}".rstrip()


def _cells(row: Row, metric: Metric, timed: bool) -> list[str]:
    sizes = ["" if name not in row.cost else words.count(row.cost[name]) for name in ("params", "macs")]
    times = [f"{row.cost['latency']:.3g}" if "latency" in row.cost else ""] if timed else []
    early = row.early and f"after {words.number_of(row.early.epochs, 'epoch')} {metric.number(row.early.value)}"
    return [row.title, *sizes, *times, early or _spread(row.validation, metric), _spread(row.test, metric)]


def _spread(values: Sequence[float], metric: Metric) -> str:
    """[0.95, 0.96] -> "95.5 ± 0.7 (2)"."""
    if not values:
        return "–"
    return f"{words.spread(values, metric)} ({len(values)})" if len(values) > 1 else words.spread(values, metric)
