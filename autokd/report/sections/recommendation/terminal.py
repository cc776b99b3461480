"""What the terminal prints of a claim: the arms, the evidence, and where the gain comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.printed import Grid, Printed
from autokd.report.sections.recommendation.arms import Row
from autokd.report.sections.recommendation.facts import Decision
from autokd.report.sections.recommendation.gain import FLATTERED, flattered, rungs, swaps

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


def gain(study: StudyStore) -> Iterator[Printed]:
    """Yield where the gain comes from, from the recipe by hand to the pick, and what its slots are worth."""
    lines, metric = rungs(study), study.objective.metric
    if not lines:
        return
    yield Grid(
        title="Where the gain comes from, on validation",
        columns=["", _heading("validation", metric), "95 % interval", "change", "seeds"],
        rows=[
            [
                step.title,
                f"{metric.number(step.mean)}{'*' if step.flattered else ''}",
                _between([metric.number(end) for end in step.interval or ()]),
                "" if change is None else words.difference(change, metric),
                str(len(step.values)),
            ]
            for step, change in lines
        ],
    )
    if flattered(lines):
        yield FLATTERED
    yield from _worth_of_slots(study, metric)


def _worth_of_slots(study: StudyStore, metric: Metric) -> Iterator[Printed]:
    rows = [
        [
            slot.replace("_", " "),
            words.difference(worth.difference, metric),
            _between([words.difference(end, metric) for end in (worth.low, worth.high)]),
            str(worth.seeds),
        ]
        for slot, worth in swaps(study)
    ]
    if rows:
        title = "The pick minus the pick with one slot as in the recipe by hand"
        columns = ["slot", f"worth, {metric.difference_unit}".rstrip(", "), "95 % interval", "seeds"]
        yield Grid(title, columns, rows, left=["slot"])


def _between(ends: Sequence[str]) -> str:
    return " to ".join(ends) or "–"


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
