"""The end of a search: the verdict, what the sections of the report print, the evidence, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document, indented
from autokd.cli.console.tables import printed, table_of
from autokd.report import words
from autokd.report.printed import Grid
from autokd.report.sections import sections
from autokd.report.sections.recommendation.facts import Decision, decide, legend, measured_on, training_text
from autokd.report.sections.recommendation.terminal import arms, compared, evidence
from autokd.report.sections.search.effort import part_times
from autokd.report.sections.search.promise import happened, promised
from autokd.report.start import extent

if TYPE_CHECKING:
    from autokd.api import Study
    from autokd.study.records import Records


def summary(study: Study, *, as_json: bool, profiled: bool = False) -> Shown:
    """Return the end of a search.

    Args:
      study: the study.
      as_json: one JSON document instead.
      profiled: also say where the time went.
    """
    if as_json:
        return _document(study, profiled=profiled)
    store, decision = study.store, decide(study.store)
    if decision is None:
        return f"study {study.name}: no recommendation yet; report: {study.report_path}"
    return Group(
        Text(f"{decision.title}.", style="bold"),
        *(Text(text, style="bold red") for text in (decision.contradiction, decision.nothing_learned) if text),
        table_of(arms(store, decision)),
        Text(f"{legend(decision.claim)} {measured_on(store)}".rstrip(), style="dim"),
        *(Text(text) for text in (extent(store),) if text),
        *(printed(item) for section in sections() for item in section.printed(store)),
        Text(f"\nRecommended ({_recommended(decision)}):"),
        Padding(_pipeline(decision), (0, 0, 0, 2)),
        Text(f"\n{compared(decision)}"),
        *(indented(text) for text in evidence(decision)),
        Text(f"\n{promised(store)}\n{happened(store)}"),
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


def _trained(study: Study) -> Iterator[Text]:
    """What became of the training at the end, where that was asked for."""
    text, folder = training_text(study.store), study.student_path
    if text and folder is None:
        yield Text(f"\n{text} {study.path / 'best'} holds the best student of the claim.")
    elif text:
        yield Text(f"\nTrained further: {folder}. {text}")


def _next(study: Study) -> Iterator[str]:
    name, file = shlex.quote(study.name), shlex.quote(f"{study.name}.yaml")
    yield f"open {shlex.quote(str(study.report_path))}"
    if study.student_path is not None:
        yield f"autokd predict {shlex.quote(str(study.student_path))} INPUT…"
    else:
        yield f"autokd export {name} -o {file}"
        yield f"autokd train {file} -o {shlex.quote(f'{study.name}-student')}"
    if study.store.objective.metric.quantised:
        bundle = study.student_path or study.path / "best"
        yield f"autokd export-model {shlex.quote(str(bundle))} --format onnx --int8"
    limited = study.store.settings.setting("time") is not None
    more = "a longer --time" if limited else f"--trials {2 * len(study.store.records.trials)}"
    yield f"more trials: the same search with {more}"


def profile(records: Records) -> Shown:
    """Return where the time of the last profiled session went."""
    rows = [[line.part, f"{line.seconds:.2f}", words.percent(line.share)] for line in part_times(records)]
    return table_of(Grid("Where the time went", ["part", "seconds", "share"], rows, left=["part"]))
