"""The end of a search: the verdict, the table of arms, the evidence, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document, indented
from autokd.metrics import Metric
from autokd.report import words
from autokd.report.sections.effort.facts import part_times
from autokd.report.sections.found.promise import happened, promised
from autokd.report.sections.front.facts import front
from autokd.report.sections.recommendation.facts import Decision, Row, decide
from autokd.report.sections.recommendation.gain import flattered, rungs, swaps
from autokd.report.start import extent, teacher_weakness
from autokd.study.fidelity import too_short

if TYPE_CHECKING:
    from autokd.api import Study
    from autokd.study.records import Records


LEGEND = (
    "Pick: the best pipeline of the search. Student alone and vanilla KD: the same student and training without a "
    "teacher, and with plain distillation. Recipe by hand: a published one as it is. MACs: multiply-adds a sample."
)
"""What the rows of the table are."""


def summary(study: Study, *, as_json: bool, profiled: bool = False) -> Shown:
    """Return the end of a search.

    Args:
      study: the study.
      as_json: one JSON document instead.
      profiled: also say where the time went.
    """
    if as_json:
        return _document(study, profiled=profiled)
    decision = decide(study.store)
    if decision is None:
        return f"study {study.name}: no recommendation yet; report: {study.report_path}"
    trained = extent(study.store)
    return Group(
        Text(f"{decision.title}.", style="bold"),
        *(Text(text, style="bold red") for text in (decision.contradiction, decision.nothing_learned) if text),
        _arms(study, decision),
        Text(LEGEND, style="dim"),
        *([Text(trained)] if trained else []),
        *_gain(study, decision.metric),
        *_front(study),
        Text(f"\nRecommended ({_recommended(decision)}):"),
        Padding(_pipeline(decision), (0, 0, 0, 2)),
        *(indented(f"{text}; a wider range may hold better ones") for text in decision.edges),
        Text(f"\n{_compared(decision)}"),
        *(indented(text) for text in (*_evidence(study, decision), *_short(study))),
        Text(f"\n{promised(study.store)}\n{happened(study.store)}"),
        *_trained(study),
        Text("\nNext:"),
        *(indented(text) for text in _next(study)),
    )


def _document(study: Study, *, profiled: bool) -> str:
    claim = study.recommendation
    return document(
        {
            "study": study.name,
            "state": state(study),
            "report": str(study.report_path),
            "recommendation": None if claim is None else claim.to_plain(),
            "student": None if study.student_path is None else str(study.student_path),
            "profile": study.store.records.profile[-1]._asdict() if profiled else None,
        }
    )


def state(study: Study) -> str:
    """Return "finished" or "unfinished"."""
    return "finished" if study.store.finished else "unfinished"


def _recommended(decision: Decision) -> str:
    claim = decision.claim
    return decision.subject if claim.recommended_trial is None else f"trial {claim.trial}"


def _pipeline(decision: Decision) -> Table:
    grid = Table.grid(padding=(0, 2))
    for slot, text in words.recipe(decision.claim.used.pipeline):
        grid.add_row(Text(slot), Text(text))
    return grid


def _arms(study: Study, decision: Decision) -> Table:
    total = words.number_of(len(study.store.records.trials), "trial")
    table = Table(title=f"{study.name}: {total}; mean ± spread (number of seeds)", title_justify="left")
    metric, timed = decision.metric, decision.timed
    columns = ["", "parameters", "MACs", *(["latency, ms"] if timed else []), _column("validation", metric)]
    for column in (*columns, _column("test", metric)):
        table.add_column(column, justify="left" if not column else "right")
    for row in decision.rows:
        table.add_row(*_row(row, metric, timed), style="bold" if row.recommended else None)
    return table


def _column(what: str, metric: Metric) -> str:
    """ "validation" -> "validation %"; metrics other than accuracy are named."""
    return f"{what} %" if metric.name == "accuracy" else f"{what} {metric.title} {metric.unit}".rstrip()


def _row(row: Row, metric: Metric, timed: bool) -> list[Text]:
    sizes = ["" if name not in row.cost else words.count(row.cost[name]) for name in ("params", "macs")]
    times = [f"{row.cost['latency']:.3g}" if "latency" in row.cost else ""] if timed else []
    early = row.early and f"after {words.number_of(row.early.epochs, 'epoch')} {metric.number(row.early.value)}"
    reached = early or _spread(row.validation, metric)
    return [Text(text) for text in (row.title, *sizes, *times, reached, _spread(row.test, metric))]


def _spread(values: Sequence[float], metric: Metric) -> str:
    """[0.95, 0.96] -> "95.5 ± 0.7 (2)"."""
    if not values:
        return "–"
    return f"{words.spread(values, metric)} ({len(values)})" if len(values) > 1 else words.spread(values, metric)


def _gain(study: Study, metric: Metric) -> Iterator[RenderableType]:
    """Where the gain comes from, from the recipe by hand to the pick."""
    lines = rungs(study.store)
    if not lines:
        return
    table = Table(title="\nWhere the gain comes from, on validation", title_justify="left")
    for column in ("", _column("validation", metric), "95 % interval", "change", "seeds"):
        table.add_column(column, justify="right" if column else "left")
    for step, change in lines:
        between = (
            "–" if step.interval is None else f"{metric.number(step.interval[0])} to {metric.number(step.interval[1])}"
        )
        moved = "" if change is None else words.difference(change, metric)
        mark = "*" if step.flattered else ""
        table.add_row(step.title, f"{metric.number(step.mean)}{mark}", between, moved, str(len(step.values)))
    yield table
    if flattered(lines):
        yield Text("* one training run, the best of many: it flatters the search")
    yield from _swaps(study, metric)


def _swaps(study: Study, metric: Metric) -> Iterator[RenderableType]:
    """What each slot of the pick is worth, where that was measured."""
    rows = swaps(study.store)
    if not rows:
        return
    table = Table(title="\nThe pick minus the pick with one slot as in the recipe by hand", title_justify="left")
    for column in ("slot", f"worth, {metric.difference_unit}".rstrip(", "), "95 % interval", "seeds"):
        table.add_column(column, justify="left" if column == "slot" else "right")
    for slot, worth in rows:
        ends = f"{words.difference(worth.low, metric)} to {words.difference(worth.high, metric)}"
        table.add_row(slot.replace("_", " "), words.difference(worth.difference, metric), ends, str(worth.seeds))
    yield table


def _front(study: Study) -> Iterator[RenderableType]:
    """The front of a study with several objectives, each trial with its means over seeds."""
    points = front(study.store)
    if not points:
        return
    names = study.store.objective.names
    seeds = words.number_of(len(points[0].reached), "seed")
    table = Table(title=f"\nThe front of {', '.join(names)}, on validation, {seeds}", title_justify="left")
    for column in ("trial", *(name.replace("_", " ") for name in names), "pipeline"):
        table.add_column(column, justify="left" if column == "pipeline" else "right")
    for point in points:
        number = f"{point.trial.number}{' *' if point.recommended else ''}"
        values = [words.objective(point.objectives[name], name) for name in names]
        table.add_row(number, *values, Text(words.brief(point.trial.pipeline)))
    yield table
    star = "* recommended; any other" if any(point.recommended for point in points) else "Any of them"
    yield Text(f"{star}: autokd export {shlex.quote(study.name)} --trial NUMBER")


def _compared(decision: Decision) -> str:
    metric = decision.metric
    less = "" if metric.higher_is_better else ", of which less is better"
    compared = f"On test ({metric.title}{less}), {decision.subject} against the others:"
    return compared if decision.sentences else "Evidence:"


def _evidence(study: Study, decision: Decision) -> Iterator[str]:
    yield from decision.sentences
    yield decision.evidence
    yield from (text for text in (decision.forecast,) if text)
    weak = teacher_weakness(study.store)
    if weak is not None:
        yield f"WARNING: {weak.text}"


def _short(study: Study) -> Iterator[str]:
    """What is to be told where the study's rungs say little about longer trainings."""
    text = too_short(study.store.records)
    if text:
        yield f"WARNING: {text}"


def _trained(study: Study) -> Iterator[RenderableType]:
    """What became of the training at the end, where that was asked for."""
    records, folder = study.store.records, study.student_path
    if not records.trainings:
        return
    training = records.trainings[-1]
    if folder is None:
        yield Text(
            f"\nNot trained further: {training.reason}; {study.path / 'best'} holds the best student of the claim"
        )
        return
    length = words.number_of(training.epochs, "epoch")
    whole = "" if training.epochs == training.full else f" ({training.reason}; full length is {training.full})"
    yield Text(
        f"\nTrained for {length}{whole}: {folder}. Test was not looked at again; its figures are those of the claim."
    )


def _next(study: Study) -> Iterator[str]:
    name, file = shlex.quote(study.name), shlex.quote(f"{study.name}.yaml")
    yield f"open {shlex.quote(str(study.report_path))}"
    if study.student_path is not None:
        yield f"autokd predict {shlex.quote(str(study.student_path))} INPUT…"
    else:
        yield f"autokd export {name} -o {file}"
        yield f"autokd train {file} -o {shlex.quote(f'{study.name}-student')}"
    limited = study.store.settings.setting("time") is not None
    more = "a longer --time" if limited else f"--trials {2 * len(study.store.records.trials)}"
    yield f"more trials: the same search with {more}"


def profile(records: Records) -> Shown:
    """Return where the time of the last profiled session went."""
    table = Table(title="Where the time went", title_justify="left")
    for column in ("part", "seconds", "share"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for line in part_times(records):
        table.add_row(line.part, f"{line.seconds:.2f}", words.percent(line.share))
    return table
