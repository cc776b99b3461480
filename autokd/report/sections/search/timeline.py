"""What happened when: the stages, each rung that ended, and the best score so far, over the time that was worked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import words
from autokd.report.scales import Scale, linear, of_error
from autokd.study.records import Records

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FEWEST = 4
"""Rungs and runs that ended, from which on the time line is drawn."""
NAMED = 9.0
"""Percent of the width that a stage takes at least to be named in the picture."""
UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
"""From how many seconds on time is told in which unit."""


class Span(NamedTuple):
    """A stage in one session: when it began and ended, seconds since 1970, and the seconds worked before it."""

    stage: str
    begin: float
    end: float
    before: float


class Band(NamedTuple):
    """A stage in the picture: its name, percent of the width at both ends, and whether there is room for the name."""

    stage: str
    low: float
    high: float
    named: bool


class Dot(NamedTuple):
    """A training that ended: percent from the left and from below, radius in pixels, and how it looks."""

    x: float
    y: float
    radius: float
    kind: str


class TimeLine(NamedTuple):
    """The picture.

    Args:
      bands: the stages.
      dots: rungs and runs that ended.
      course: the best score so far at the longest length, as (percent from the left, from below).
      across, up: the axes.
      unit: of time.
      shows: what it shows, in words.
    """

    bands: tuple[Band, ...]
    dots: tuple[Dot, ...]
    course: tuple[tuple[float, float], ...]
    across: Scale
    up: Scale
    unit: str
    shows: str


class Improvement(NamedTuple):
    """A trial that was better at the longest length than all before it.

    Args:
      trial: its number.
      score: that it reached.
      gain: over the best before it; None for the first.
      when: it ended, seconds since 1970.
    """

    trial: int
    score: float
    gain: float | None
    when: float | None


def improvements(records: Records, top_rung: int) -> list[Improvement]:
    """Return the trials that were the best so far at the longest length, in the order in which they ended."""
    ends = [(t.rungs[top_rung], t.number) for t in records.trials.values() if len(t.rungs) > top_rung and not t.failure]
    found: list[Improvement] = []
    for rung, number in sorted(ends, key=lambda end: (end[0].ended or 0.0, end[1])):
        best = found[-1].score if found else None
        if best is None or rung.score > best:
            found.append(Improvement(number, rung.score, None if best is None else rung.score - best, rung.ended))
    return found


def time_line(study: StudyStore) -> TimeLine | None:
    """Return the picture; None where too little ended, or it is not known when."""
    records, top = study.records, study.top_rung
    spans = stage_spans(records)
    ends = list(_ends(records, top))
    if not spans or len(ends) < FEWEST:
        return None
    total = spans[-1].before + spans[-1].end - spans[-1].begin
    _, unit, name = next(row for row in UNITS if total >= row[0])
    across = linear([0.0, total / unit], lambda tick: f"{tick:.3g}", room=0.0)
    up = of_error(
        [score for _, score, _, _ in ends], study.objective.metric, smallest=0.5 / study.settings.data.validation
    )

    def place(when: float) -> float:
        return across.at(worked(spans, when) / unit)

    steps = [(place(each.when), up.at(each.score)) for each in improvements(records, top) if each.when is not None]
    return TimeLine(
        bands=tuple(_bands(spans, across, unit)),
        dots=tuple(Dot(place(when), up.at(score), radius, kind) for when, score, radius, kind in ends),
        course=tuple(_stepped(steps)),
        across=across,
        up=up,
        unit=name,
        shows=_shows(study, total),
    )


def stage_spans(records: Records) -> list[Span]:
    """Return the stages of all sessions, one after the other, the time between two sessions left out."""
    spans: list[Span] = []
    before = 0.0
    for stage in records.stages:
        if stage.time is not None:
            spans.append(Span(stage.stage, stage.time - stage.seconds, stage.time, before))
            before += stage.seconds
    last = records.times[-1] if records.times else 0.0
    if spans and last > spans[-1].end and not records.claims:
        spans.append(Span("under way", spans[-1].end, last, before))
    return spans


def worked(spans: list[Span], when: float) -> float:
    """Return the seconds that were worked until then."""
    span = next((each for each in reversed(spans) if each.begin <= when), spans[0])
    return span.before + min(max(when - span.begin, 0.0), span.end - span.begin)


def _ends(records: Records, top: int) -> Iterator[tuple[float, float, float, str]]:
    """When a training ended, its score, and how its dot looks."""
    for trial in records.trials.values():
        for rung in trial.rungs:
            if rung.ended is not None:
                yield rung.ended, rung.score, 2.0 + rung.rung, "accent" if rung.rung == top else "quiet"
    for run in records.runs:
        if run.ended is not None and run.failure is None:
            yield run.ended, run.score, 2.0 + top, "quiet hollow"


def _bands(spans: list[Span], across: Scale, unit: float) -> Iterator[Band]:
    for span in spans:
        low, high = across.at(span.before / unit), across.at((span.before + span.end - span.begin) / unit)
        if high > low:
            yield Band(span.stage, low, high, high - low >= NAMED)


def _stepped(steps: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Corners of a course that rises where a better trial ended, and then stays to the right end."""
    height: float | None = None
    for x, y in steps:
        if height is not None:
            yield x, height
        yield x, y
        height = y
    if height is not None:
        yield 100.0, height


def _shows(study: StudyStore, total: float) -> str:
    records, metric = study.records, study.objective.metric
    found = improvements(records, study.top_rung)
    trained = f"{words.number_of(len(records.trials), 'trial')} and {words.number_of(len(records.runs), 'other run')}"
    text = f"{trained} over {words.duration(total)}"
    if not found:
        return text
    ends = [words.quality(metric.value(each.score), metric) for each in (found[0], found[-1])]
    length = words.number_of(study.rung_epochs[-1], "epoch")
    return f"{text}; the best after {length} goes from {ends[0]} to {ends[1]}, last with trial {found[-1].trial}"
