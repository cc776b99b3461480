"""Where a study stands, for whoever watches it from outside: its files are read, nothing is locked or written.

The test split is not read, and until there is a claim nothing here comes from it: arms stand with validation alone.
"""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autokd.search.progress import confirmed, explored, runs_of_round
from autokd.search.remaining import (
    planned_trials,
    planned_works,
    seconds_left,
    seconds_spent,
    stage_now,
    usual_pause,
)
from autokd.search.request import Progress, Request
from autokd.search.timing.clock import seconds_per_epoch
from autokd.search.work import Work, run_total
from autokd.study import failures, noise
from autokd.study.arms import KD, title_of
from autokd.study.fidelity import score_at
from autokd.study.records import Records, RungRecord, RunRecord, TrialRecord
from autokd.study.store import StudyStore
from autokd.study.writer import Writer, resume_command, writer_of

STALLED = 5.0
"""Times the usual pause between two events after which a search seems to stand still."""
SHOWN = 5
"""Events that are shown, the latest."""


class Leader(NamedTuple):
    """The trial that went furthest with the best validation score.

    Args:
      trial: its number.
      epochs: that it was trained.
      value: of the first objective.
      over_kd: its score minus that of plain KD after as many epochs; None where that is not known.
      of: scored trials that it is the best of.
      noise: standard deviation of a score between seeds, or None.
    """

    trial: int
    epochs: int
    value: float
    over_kd: float | None
    of: int
    noise: float | None


class Flight(NamedTuple):
    """A rung under way.

    Args:
      trial: its number.
      begin, end: epochs before and after it.
      seconds: since it was begun, or None.
      expected: seconds that it takes, about, or None.
    """

    trial: int
    begin: int
    end: int
    seconds: float | None
    expected: float | None


class ArmStanding(NamedTuple):
    """An arm in a stage of confirm.

    Args:
      stage: of confirm.
      arm: what it is called.
      seeds: that are done.
      wanted: seeds that it gets, at most; None where nobody has said so yet.
      validation: mean value of those that are done.
    """

    stage: str
    arm: str
    seeds: int
    wanted: int | None
    validation: float


class Happened(NamedTuple):
    """Something that ended: when, in seconds since 1970, and what."""

    time: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a study stands.

    Args:
      study: its name.
      state: "running", "stopped" (nobody writes it, and it is not finished) or "finished".
      writer: the process that writes it, or died while it did; None where there is none.
      stage: that is under way; None where nobody writes.
      stages: names of all stages that this study has, in order.
      explore, confirm: how much of each is done.
      seconds: that were spent on it, in all sessions.
      left: seconds to go, about; None where that is not known.
      limit: seconds that it may take, or None.
      quiet: seconds since the last event; None before the first.
      usual: seconds between events that are usual.
      workers: processes that train, beside the one that writes.
      leader: the best trial so far.
      best: the best validation value after each scored rung, in order.
      rungs: (epochs, trials that ended it), the shortest first.
      refused: suggestions that exceeded the limits on costs.
      under_way: rungs.
      arms: of the newest stage of confirm that has runs.
      last: what ended last, the newest first.
      notices: what a user should know of, a sentence each.
      resume: the command that goes on with it.
    """

    study: str
    state: str
    writer: Writer | None
    stage: str | None
    stages: tuple[str, ...]
    explore: Progress
    confirm: Progress
    seconds: float
    left: float | None
    limit: float | None
    quiet: float | None
    usual: float
    workers: int | None
    leader: Leader | None
    best: tuple[float, ...]
    rungs: tuple[tuple[int, int], ...]
    refused: int
    under_way: tuple[Flight, ...]
    arms: tuple[ArmStanding, ...]
    last: tuple[Happened, ...]
    notices: tuple[str, ...]
    resume: str


def standing(store: StudyStore, now: float) -> Standing:
    """Return where a study stands.

    Args:
      store: opened for reading.
      now: seconds since 1970.
    """
    records, writer = store.records, writer_of(store.path)
    runs, planned = writer is not None and writer.alive is not False, planned_works(store)
    known = Standing(
        study=store.name,
        state="running" if runs else "finished" if store.finished else "stopped",
        writer=writer,
        stage=stage_now(records) if runs else None,
        stages=("screen", *dict.fromkeys(work.stage for work in planned if work.runs or work.stage == "claim")),
        explore=explored(records, store.objective, planned_trials(store)),
        confirm=confirmed(records, store.objective, run_total(_of_confirm(planned))),
        seconds=seconds_spent(records, now if runs else None),
        left=seconds_left(store, planned) if runs else None,
        limit=store.settings.setting("time"),
        quiet=_since(records.times[-1] if records.times else None, now),
        usual=usual_pause(store),
        workers=store.settings.setting("workers"),
        leader=_leader(store),
        best=_best(store),
        rungs=tuple((epochs, _ended(records, rung)) for rung, epochs in enumerate(store.rung_epochs)),
        refused=sum(map(len, records.refused.values())),
        under_way=tuple(_under_way(store, now)) if runs else (),
        arms=tuple(_arms(store)),
        last=tuple(_last(store)),
        notices=(),
        resume=resume_command(store.settings, Request),
    )
    return dataclasses.replace(known, notices=tuple(_notices(known, store)))


def _since(time: float | None, now: float) -> float | None:
    return None if time is None else max(0.0, now - time)


def _notices(at: Standing, store: StudyStore) -> Iterator[str]:
    """What a user should know of, the most pressing first."""
    alarm = _alarm(at, store)
    if alarm:
        yield alarm
    if at.limit is not None and at.seconds > at.limit and at.state != "finished":
        yield f"over its time: {at.seconds:.0f} s of {at.limit:.0f} s are spent; it ends with what is under way"
    often = (group for group in failures.grouped(store.records.trials.values()) if len(group.trials) >= failures.AGAIN)
    yield from (f"{len(g.trials)} trials failed the same way ({g.kind}: {g.reason}); {g.remedy}" for g in often)


def _alarm(at: Standing, store: StudyStore) -> str:
    """Say that nobody goes on with it, or seems to; "" where that is not so."""
    resume = f"go on with: {at.resume}"
    if at.writer is not None and at.writer.alive is False:
        return f"the process that wrote it ({at.writer.pid}) is gone; {resume}"
    if at.state == "stopped":
        return f"nobody works on it; {resume}"
    if at.state == "finished" or at.quiet is None or at.quiet <= STALLED * at.usual:
        return ""
    seen = f"nothing was recorded for {at.quiet:.0f} s, usual are {at.usual:.0f} s"
    return f"stalled? {seen}; read log.txt in {store.path}, or stop it and {resume}"


def _of_confirm(planned: Sequence[Work]) -> list[Work]:
    return [work for work in planned if work.part == "confirm" and work.stage != "noise"]


def _leader(store: StudyStore) -> Leader | None:
    best, metric = store.best, store.objective.metric
    if best is None:
        return None
    last, spread = best.rungs[-1], noise.estimate(store.records)
    scored = sum(1 for trial in store.records.trials.values() if trial.rungs and trial.failure is None)
    over = _over_kd(best, store.records)
    return Leader(best.number, last.epochs, metric.value(last.score), over, scored, spread and spread.sd)


def _over_kd(best: TrialRecord, records: Records) -> float | None:
    """The best trial's score minus that of KD by hand at the same rung; None where there is none, or it is that."""
    others = (trial for trial in records.trials.values() if trial.recipe == KD and trial is not best)
    found = [score for trial in others if (score := score_at(trial, len(best.rungs) - 1)) is not None]
    return best.rungs[-1].score - found[0] if found else None


def _best(store: StudyStore) -> tuple[float, ...]:
    """The best validation value so far after each rung, whatever its length, in the order in which rungs ended."""
    rungs = sorted((rung for _, rung in _rungs(store.records.trials.values())), key=lambda rung: rung.ended or 0.0)
    scores = itertools.accumulate((rung.score for rung in rungs), max)
    return tuple(store.objective.metric.values(scores))


def _ended(records: Records, rung: int) -> int:
    return sum(1 for trial in records.trials.values() if len(trial.rungs) > rung)


def _under_way(store: StudyStore, now: float) -> Iterator[Flight]:
    records, ends = store.records, [0, *store.rung_epochs]
    for number, rung in records.in_flight:
        trial = records.trials[number]
        own = seconds_per_epoch([trial] if trial.rungs else records.trials.values())
        since = _since(records.begun.get((number, rung)), now)
        yield Flight(number, ends[rung], ends[rung + 1], since, own * (ends[rung + 1] - ends[rung]) or None)


def _arms(store: StudyStore) -> Iterator[ArmStanding]:
    """The arms of the newest stage that has runs, each with the mean over its seeds on validation."""
    of_round = runs_of_round(store.records)
    runs = [run for run in of_round if run.stage == of_round[-1].stage]
    for name, variant in dict.fromkeys((run.arm, run.variant) for run in runs):
        own = [run for run in runs if (run.arm, run.variant) == (name, variant)]
        called = title_of(name) + (f", {variant}" if variant else "")
        mean = store.objective.metric.value(statistics.fmean(run.score for run in own))
        yield ArmStanding(own[0].stage, called, len(own), _wanted(store.records, own[0]), mean)


def _wanted(records: Records, run: RunRecord) -> int | None:
    """Seeds an arm in the stage of a run; None where nobody has said."""
    designs = [design for design in records.designs if (design.stage, design.round) == (run.stage, run.round)]
    return designs[-1].seeds if designs else None


def _last(store: StudyStore) -> list[Happened]:
    """What ended last, the newest first."""
    metric, trials = store.objective.metric, store.records.trials.values()

    def scored(score: float) -> str:
        return metric.text(metric.value(score))

    found = [
        (rung.ended, f"trial {trial.number}: {scored(rung.score)} after {rung.epochs} ep")
        for trial, rung in _rungs(trials)
    ]
    found += [(trial.failed, f"trial {trial.number} failed, {trial.why_failed}") for trial in trials]
    runs = store.records.runs[-SHOWN:]
    found += [(run.ended, f"{run.stage} {run.arm}: {'failed' if run.failure else scored(run.score)}") for run in runs]
    known = [Happened(when, text) for when, text in found if when is not None]
    return sorted(known, key=lambda one: -one.time)[:SHOWN]


def _rungs(trials: Iterable[TrialRecord]) -> Iterator[tuple[TrialRecord, RungRecord]]:
    return ((trial, rung) for trial in trials for rung in trial.rungs)
