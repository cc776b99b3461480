"""How the search went: how far trials got, whether short trainings predict long ones, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.scales import Scale, linear
from autokd.report.sections.search.timeline import improvements
from autokd.report.tables import Row
from autokd.study.fidelity import FEWEST, Agreement, short_predicts_long
from autokd.study.records import Records
from autokd.study.settling import settling

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class Bar(NamedTuple):
    """A line with a bar.

    Args:
      title: at its head.
      value: length of the bar.
      share: of the whole, 0 to 1.
      text: the value, as it is read.
    """

    title: str
    value: float
    share: float
    text: str


class Bars(NamedTuple):
    """Lines with bars over one scale, from 0."""

    lines: tuple[Bar, ...]
    scale: Scale


class AgreementLine(NamedTuple):
    """How well a shorter training orders trials like a longer one.

    Args:
      title: the two lengths.
      agreement: as it was found.
      drawn: there are enough trials for a picture.
      shows: what that shows, in words.
    """

    title: str
    agreement: Agreement
    drawn: bool
    shows: str


TAU = linear([-1.0, 1.0], lambda tick: f"{tick:g}".replace("-", "−"), room=0.0)
"""The axis of a rank correlation."""


def heading(study: StudyStore) -> str:
    """Return whether more trials would pay, in one line."""
    found = settling(study.records)
    if found is None or not found.known:
        spent = sum(study.records.seconds.values())
        after = f" in {words.duration(spent)}" if spent else ""
        return f"How the search went: {words.number_of(len(study.records.trials), 'trial')}{after}"
    if found.late:
        return f"The search was still improving at trial {found.first} of {found.trials}: more trials may pay"
    return f"The search had settled by trial {found.first} of {found.trials}: more trials hardly pay"


def of_course(study: StudyStore) -> str:
    """Return what is under the time line: the last improvement, and what it is worth beside the noise."""
    steps, found, metric = improvements(study.records, study.top_rung), settling(study.records), study.objective.metric
    if not steps or found is None:
        return ""
    length = words.number_of(study.rung_epochs[-1], "epoch")
    if steps[-1].gain is None:
        return f"No trial after {length} was better than the first of them, trial {steps[-1].trial}."
    rise = metric.apart(steps[-1].gain).replace("-", "−")
    last = f"The best score after {length} last rose with trial {steps[-1].trial} of {found.trials}, by {rise}"
    if not found.noise:
        return f"{last}; how much of that is chance is not known."
    return f"{last}; trial {found.first} was as good but for the noise, {metric.apart(found.noise)} between seeds."


def survival(study: StudyStore) -> Bars | None:
    """Return how many trials ended each length; None with fewer than two lengths or no trial."""
    trials = list(study.records.trials.values())
    if not trials or len(study.rung_epochs) < 2:
        return None
    counts = [sum(len(trial.rungs) > rung for trial in trials) for rung in range(len(study.rung_epochs))]
    lines = [
        Bar(words.number_of(epochs, "epoch"), float(count), count / len(trials), words.count(count))
        for epochs, count in zip(study.rung_epochs, counts, strict=True)
    ]
    return Bars(tuple(lines), linear([0.0, float(max(len(trials), 1))], words.count, room=0.0))


def of_survival(study: StudyStore) -> str:
    """Return what became of the trials, a sentence."""
    records = study.records
    trials = list(records.trials.values())
    top = sum(len(trial.rungs) > study.top_rung for trial in trials)
    failed = sum(trial.failure is not None for trial in trials)
    refused = sum(map(len, records.refused.values()))
    length = words.number_of(study.rung_epochs[-1], "epoch")
    text = f"Of {words.number_of(len(trials), 'trial')} {words.count(top)} went on to {length}"
    if failed:
        text += f"; {words.count(failed)} failed"
    if refused:
        text += f"; {words.number_of(refused, 'suggestion')} exceeded the limits and stayed untrained"
    if records.screen:
        students = words.number_of(records.screening.looked_at or len(records.screen), "student")
        text += f"; {students} were looked at without training"
    return f"{text}."


def agreements(records: Records) -> list[AgreementLine]:
    """Return how well each length orders trials like each longer one."""
    return [_agreement_line(found) for found in short_predicts_long(records)]


def _agreement_line(found: Agreement) -> AgreementLine:
    longer = "select, over seeds" if found.longer is None else str(found.longer)
    tau = found.tau
    drawn = tau is not None and tau.low is not None and found.n >= FEWEST
    shows = (
        ""
        if tau is None or tau.low is None or tau.high is None
        else f"{tau.tau:.2f}, from {tau.low:.2f} to {tau.high:.2f}"
    )
    return AgreementLine(f"{found.shorter} → {longer}", found, drawn, shows.replace("-", "−"))


def of_agreement(lines: list[AgreementLine], metric: Metric, short: str) -> str:
    """Return what the correlations say, a sentence.

    Args:
      lines: the correlations.
      metric: that trials are ordered by.
      short: what is to be told where the budget was too short, or "".
    """
    if short:
        return f"{words.capital(short)}."
    sure = [each for each in lines if each.agreement.verdict in ("strong", "moderate")]
    if not sure:
        return f"Whether short trainings order pipelines like long ones (by {metric.title}) cannot be told from these."
    shortest = min(sure, key=lambda each: each.agreement.shorter)
    return (
        f"Short trainings are of use: {shortest.title} epochs agree {shortest.agreement.verdict}ly ({shortest.shows})."
    )


def stage_times(records: Records) -> Bars | None:
    """Return the seconds of each stage over all sessions, in order; None where nothing took any."""
    total = sum(records.seconds.values())
    if not total:
        return None
    lines = [
        Bar(stage, seconds, seconds / total, words.duration(seconds))
        for stage, seconds in records.seconds.items()
        if seconds >= 0.001 * total
    ]
    return Bars(tuple(lines), linear([0.0, *(line.value for line in lines)], words.duration, room=0.0))


def of_times(bars: Bars | None) -> str:
    """Return which stage took most, a sentence."""
    if bars is None:
        return ""
    longest = max(bars.lines, key=lambda line: line.value)
    return f"Most time went into {longest.title}, {words.percent(longest.share)}."


def agreement_rows(study: StudyStore) -> list[Row]:
    """Return one row a pair of lengths: how well the shorter orders trials like the longer."""
    return [
        {"shorter": found.shorter, "longer": found.longer or "select", "n": found.n, "verdict": found.verdict}
        | ({"why": found.why} if found.tau is None else {**found.tau._asdict(), "why": found.why})
        for found in short_predicts_long(study.records)
    ]
