"""What the terminal prints of the ladder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autokd.metrics import Metric
from autokd.report.printed import Grid, Printed
from autokd.report.sections.ladder.facts import Facts, Rung, worth


def lines(facts: Facts, metric: Metric) -> Iterator[Printed]:
    """Yield the steps, what is said of them, and what the slots of the pick are worth."""
    yield Grid(
        title=f"{facts.heading} (validation)",
        columns=["", f"{metric.title} {metric.unit}".rstrip(), "95 % interval", "runs", "adds", "95 % interval"],
        rows=[_row(rung, metric) for rung in facts.rungs],
        left=["", "adds"],
    )
    yield from (text for text in (facts.sentence, facts.flattered) if text)
    rows = [
        [slot.replace("_", " "), worth(each.difference, metric), _ends((each.low, each.high), metric), str(each.seeds)]
        for slot, each in facts.swaps
    ]
    if rows:
        title = "The pick minus the pick with one slot as in the recipe by hand"
        columns = ["slot", f"worth, {metric.difference_unit}".rstrip(", "), "95 % interval", "seeds"]
        yield Grid(title, columns, rows, left=["slot"])


def _row(rung: Rung, metric: Metric) -> list[str]:
    step, adds = rung.step, rung.adds
    value = f"{metric.number(step.mean)}{'*' if step.flattered else ''}"
    between = " to ".join(map(metric.number, step.interval)) if step.interval else "–"
    added = (
        ["", ""] if adds is None else [f"{adds.what} {worth(adds.difference, metric)}", _ends(adds.interval, metric)]
    )
    return [step.title, value, between, str(len(step.values)), *added]


def _ends(interval: Sequence[float] | None, metric: Metric) -> str:
    return "–" if interval is None else " to ".join(worth(end, metric) for end in interval)
