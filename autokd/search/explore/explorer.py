"""Explore: short distillation trials over the whole pipeline, by successive halving with promotion from checkpoints.

What to do next is a pure function of the records (`next_job`), so a killed study goes on where it was, having lost at
most the rung that was running.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from autokd.engine.profile import OFF, Profile
from autokd.errors import NothingFeasible, TooManyFailures
from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.objective import ACCURACY, Objective
from autokd.search.explore.quasi_random import quasi_random
from autokd.search.screen.screen import (
    LatencyMeter,
    Screener,
    diverse_top,
    key_of,
    over,
    pipeline_cost,
    recorded_cost,
    score_against,
)
from autokd.search.timing.clock import seconds_per_epoch
from autokd.search.timing.pace import expected_seconds
from autokd.search.tpe.sampler import candidates
from autokd.seeds import derive
from autokd.space import Drawn, Space
from autokd.spec import Slot, component_to_plain, fingerprint, make, slots
from autokd.study.pareto import dominators, finished_best_first
from autokd.study.records import RecordLog, Refused, TrialRecord
from autokd.types import Shapes, Task

log = logging.getLogger("autokd")

CANDIDATES = 8
"""Candidates drawn at each ask, of which the best screened one may be taken."""
SCREEN_PROBABILITY = 0.5
STARTUP = 10
"""Trials before TPE takes over."""
FAULTS = ("error", "crash", "timeout")
"""Kinds of failure that are somebody's mistake or the machine's, and not a pipeline that does not train."""
IN_A_ROW = 3
"""Trials failing one after another by a fault that stop the search."""
FORESEEN = 120
"""Trials that are counted on, at most, where it is decided which checkpoints may still be needed."""
TRIES = 400
"""Draws that may fall outside the budget, or repeat a trial, before the ask looks elsewhere."""
TOLD = 8
"""At most so many suggestions outside the budget are recorded at each ask, for the sampler to learn from."""


class Job(NamedTuple):
    """What to do next: train a rung of a trial, or (rung None) ask for a new trial of this number."""

    number: int
    rung: int | None


class Proposal(NamedTuple):
    """A drawn pipeline, where it came from, and the suggestions that were refused before it."""

    source: str
    drawn: Drawn
    refused: tuple[Refused, ...] = ()


def next_job(
    trials: Mapping[int, TrialRecord],
    in_flight: Iterable[tuple[int, int]],
    *,
    wanted: int,
    top_rung: int,
    eta: int,
    objective: Objective = ACCURACY,
) -> Job | None:
    """Return the next job of an asynchronous successive halving, or None where there is none at present.

    Args:
      trials: by number.
      in_flight: (trial, rung) of what runs already.
      wanted: number of trials to ask for in all.
      top_rung: index of the longest rung.
      eta: the best 1/eta of a rung go on.
      objective: says which are the best.
    """
    running = {number for number, _ in in_flight}
    alive = [trial for trial in trials.values() if trial.failure is None]
    for trial in alive:
        baseline = trial.source.startswith("baseline:") and len(trial.rungs) <= top_rung
        if trial.number not in running and (baseline or not trial.rungs):
            return Job(trial.number, len(trial.rungs))
    waiting = {len(trial.rungs) - 1 for trial in alive if trial.number not in running}
    for rung in sorted(waiting & {*range(top_rung)}, reverse=True):
        finished = finished_best_first(alive, rung, objective)
        for trial in finished[: len(finished) // eta]:
            if len(trial.rungs) == rung + 1 and trial.number not in running:
                return Job(trial.number, rung + 1)
    return Job(len(trials), None) if len(trials) < wanted else None


def hopeless(
    trials: Mapping[int, TrialRecord], *, wanted: int, top_rung: int, eta: int, objective: Objective = ACCURACY
) -> list[int]:
    """Return the paused trials that will not go on, whatever the trials to come are worth.

    With one objective, those before a trial stay before it; with several, those that dominate it do.

    Args:
      trials, wanted, top_rung, eta, objective: as for `next_job`.
    """
    found = []
    waiting = {len(trial.rungs) - 1 for trial in trials.values() if trial.failure is None}
    for rung in sorted(waiting & {*range(top_rung)}):
        finished = finished_best_first(trials.values(), rung, objective)
        room = max(wanted, len(finished)) // eta
        before = dominators(finished, rung, objective) if objective.several else range(len(finished))
        behind = [trial for trial, number in zip(finished, before, strict=True) if number >= room]
        found += [trial.number for trial in behind if len(trial.rungs) == rung + 1]
    return found


def baseline(default: Drawn, name: str, space: Space) -> Drawn:
    """Return the space's default student and recipe with its losses replaced by a baseline's, and no head of its own.

    Args:
      default: the space's default pipeline.
      name: "ce" (the student alone) or "kd" (cross-entropy and vanilla KD at temperature 4).
      space: to find the sampler's parameters, where the pipeline lies inside.
    """
    plain = {**default.plain, **baseline_parts(name)}
    return Drawn(plain, space.params_of(plain))


def baseline_parts(name: str) -> dict[str, Any]:
    """Return what the baseline "ce" or "kd" has in place of a plain pipeline's own: losses, and the default head."""
    own = {key: slot for key, slot in slots().items() if isinstance(slot, Slot) and slot.default}
    defaults = {key: component_to_plain(make(slot.kind, slot.default, {})) for key, slot in own.items()}
    return {**defaults, "losses": baseline_losses(name)}


def baseline_losses(name: str) -> dict[str, Any]:
    """Return the plain losses of the baseline "ce" or "kd"."""
    losses = {"ce": component_to_plain(make("losses", "ce", {"weight": 1.0, "label_smoothing": 0.0}))}
    if name == "kd":
        losses["kd"] = component_to_plain(make("losses", "kd", {"weight": 1.0, "temperature": 4.0}))
    return losses


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """Runs explore on a study.

    Args:
      space: the resolved space.
      task: the task.
      log: the study's records.
      executor: trains the rungs.
      screener: scores students at each ask.
      rung_epochs: epochs at the end of each rung.
      eta: the best 1/eta of a rung go on.
      seed: the study's seed.
      folder: where trials keep their checkpoints.
      offers: what the teacher offers; without one (None), the KD baseline is left out.
      branch: length of the side branch on which a rung below the top is scored; 0: there is none.
      objective: what the study is to be good at.
      meter: measures latencies, where they are bounded or an objective; else None.
      enqueue: screened students to try early.
      slots: rungs under way at a time; part of what makes the study this study.
      max_failures: failed trials that stop the search; None: as many as may be.
      profile: measures where the time goes.
    """

    space: Space
    task: Task
    log: RecordLog
    executor: Executor
    screener: Screener
    rung_epochs: Sequence[int]
    eta: int
    seed: int
    folder: Path
    offers: Shapes | None
    branch: float = 0.0
    objective: Objective = ACCURACY
    meter: LatencyMeter | None = None
    enqueue: int = 3
    slots: int = 1
    max_failures: int | None = None
    profile: Profile = OFF

    @property
    def top_rung(self) -> int:
        return len(self.rung_epochs) - 1

    @property
    def _halving(self) -> dict[str, Any]:
        return {"top_rung": self.top_rung, "eta": self.eta, "objective": self.objective}

    @property
    def has_teacher(self) -> bool:
        return self.offers is not None

    def run(self, trials: int, may_begin: Callable[[float], bool], on_change: Callable[[], None]) -> None:
        """Train until nothing is left to do.

        Up to `slots` rungs are under way at a time; their outcomes are recorded in the order of submission, so that
        what is tried does not depend on which of them ends first.

        Args:
          trials: number of trials in all, baselines included.
          may_begin: whether a rung that takes about so many seconds may still begin.
          on_change: called after every event.

        Raises:
          Interrupted: the executor was told to stop.
          TooManyFailures: trials failed again and again.
        """
        failures = Failures(self.max_failures)
        for number, rung in self.log.records.in_flight:  # a killed session left them
            self._submit(number, rung)
        while True:
            while len(self.log.records.in_flight) < self.slots and self._begin_next(trials, may_begin):
                on_change()
            if not self.log.records.in_flight:
                break
            number, rung = self.log.records.in_flight[0]
            self._record_outcome(number, rung, self.executor.collect())
            self._clear(number, rung, trials)
            on_change()
            failures.check(self.log.records.trials[number])
        if self._next(trials, may_begin) is not None and self.propose(len(self.log.records.trials)) is None:
            ran = len(self.log.records.trials)
            log.warning("every pipeline of the space was tried: explore ends after %d trials", ran)

    def _begin_next(self, trials: int, may_begin: Callable[[float], bool]) -> bool:
        """Begin the next rung, of a new trial or of one that goes on; False where there is none at present."""
        job = self._next(trials, may_begin)
        if job is None or (job.rung is None and not self._ask(job.number, may_begin)):
            return False
        if job.rung:
            self._record("promote", number=job.number, rung=job.rung)
        self._submit(job.number, job.rung or 0)
        return True

    def _next(self, trials: int, may_begin: Callable[[float], bool]) -> Job | None:
        """The next job, where there is one at present and it may begin."""
        records = self.log.records
        job = next_job(records.trials, records.in_flight, wanted=trials, **self._halving)
        return job if job is not None and may_begin(self._expected(job)) else None

    def _expected(self, job: Job) -> float:
        """The seconds that a rung is expected to take: at its trial's own pace, or at that of the others."""
        trials, rung = self.log.records.trials, job.rung or 0
        own = [trial for trial in [trials.get(job.number)] if trial is not None and trial.rungs]
        epochs = self.rung_epochs[rung] - (self.rung_epochs[rung - 1] if rung else 0)
        return epochs * seconds_per_epoch(own or trials.values())

    def _ask(self, number: int, may_begin: Callable[[float], bool]) -> bool:
        """Record a new trial; False where all that the space has was tried, or time does not bear this pipeline."""
        with self.profile.part("search"):
            proposal = self.propose(number)
        if proposal is None or not may_begin(self._expected_of(proposal.drawn.plain)):
            return False
        source, drawn, refused = proposal
        if refused and number not in self.log.records.refused:
            self._record("refused", number=number, draws=[dataclasses.asdict(draw) for draw in refused])
        self._record(
            "trial",
            number=number,
            source=source,
            seed=derive(self.seed, "trial", number),
            pipeline=drawn.plain,
            params=drawn.params,
            cost=recorded_cost(drawn.plain, self.task, self.offers, self.meter),
        )
        return True

    def _expected_of(self, pipeline: Mapping[str, Any]) -> float:
        """The seconds that the first rung of a pipeline is expected to take."""
        cost = pipeline_cost(pipeline, self.task, self.offers)._asdict()
        return expected_seconds(self.log.records.trials.values(), pipeline, cost, self.rung_epochs[0]) or 0.0

    def _record(self, event: str, **values: Any) -> None:
        with self.profile.part("storage"):
            self.log.append(event, **values)

    def _submit(self, number: int, rung: int) -> None:
        trial, folder = self.log.records.trials[number], self._folder_of(number)
        self.executor.submit(
            RungJob(
                pipeline=trial.pipeline,
                seed=trial.seed,
                view_seed=derive(self.seed, "views"),
                horizon=self.rung_epochs[-1],
                until=self.rung_epochs[rung],
                branch=0.0 if rung == self.top_rung else self.branch,
                load=folder / f"rung{rung - 1}.pt" if rung else None,
                save=None if rung == self.top_rung else folder / f"rung{rung}.pt",
                cut=folder / "cut.pt",
            )
        )

    def _record_outcome(self, number: int, rung: int, outcome: Outcome) -> None:
        if outcome.result is None:
            self._record("failure", number=number, **(outcome.failure or {}))
        else:
            result = outcome.result
            done = {epoch["epoch"] for r in self.log.records.trials[number].rungs for epoch in r.curve}
            self._record(
                "rung",
                number=number,
                rung=rung,
                epochs=self.rung_epochs[rung],
                score=result.score,
                loss=result.loss,
                seconds=result.seconds,
                curve=[line for line in result.curve if line["epoch"] not in done],
                metrics=dict(result.metrics),
            )

    def _folder_of(self, number: int) -> Path:
        return self.folder / f"{number:04d}"

    def _clear(self, number: int, rung: int, wanted: int) -> None:
        """Remove the checkpoints that nobody needs any more, now that a trial's rung is on record.

        Those are the ones of the rungs before, and of trials that are over, or that will not go on because too many
        better ones stand before them. No more than `FORESEEN` trials are counted on, so that the checkpoints kept are
        bounded however many trials there may be; one that is missed later is made again.
        """
        (self._folder_of(number) / f"rung{rung - 1}.pt").unlink(missing_ok=True)
        trials = self.log.records.trials
        over = [] if trials[number].state(self.top_rung) == "paused" else [number]
        wanted = min(wanted, max(FORESEEN, len(trials)))
        for other in (*over, *hopeless(trials, wanted=wanted, **self._halving)):
            shutil.rmtree(self._folder_of(other), ignore_errors=True)

    def propose(self, number: int) -> Proposal | None:
        """Return the pipeline of a trial, a pure function of space, records, seed and number.

        None where every pipeline inside the budget that is found was tried: the space is exhausted.
        """
        queue = self.queue()
        if number < len(queue):
            return queue[number]
        known = {fingerprint(trial.pipeline) for trial in self.log.records.trials.values()}
        if number < STARTUP:
            return self._start(known) or self._random(number, known)
        found, refused = self._suggested(number, known, CANDIDATES if self._screens(number) else 1)
        if found:
            return Proposal("tpe", self._best_screened(found), refused)
        return self._random(number, known, refused)

    def _start(self, known: set[str]) -> Proposal | None:
        """The first point of the quasi-random sequence that is inside the budget and not yet a trial."""
        points = itertools.islice(quasi_random(self.space, self.seed), TRIES)
        found = next(self._inside(points, known), None)
        return None if found is None else Proposal("quasi_random", found)

    def _suggested(self, number: int, known: set[str], count: int) -> tuple[list[Drawn], tuple[Refused, ...]]:
        """TPE's first suggestions that are inside the budget and no trials yet, and those that were refused before."""
        records = self.log.records
        stream = candidates(
            self.space,
            records.trials.values(),
            seed=self.seed,
            number=number,
            refused=records.refused,
            objective=self.objective,
        )
        found: list[Drawn] = []
        refused: list[Refused] = []
        for drawn in itertools.islice(stream, TRIES // 4):
            excess = self._excess(drawn)
            if excess > 1:
                refused.append(Refused(params=drawn.params or {}, excess=excess))
            elif fingerprint(drawn.plain) not in known:
                found.append(drawn)
            if len(found) == count:
                break
        return found, tuple(refused[:TOLD])

    def queue(self) -> list[Proposal]:
        """Return the trials that come first: baselines, warm starts inside the budget, screened students."""
        default = self._inside_default()
        names = ["ce", "kd"] if self.has_teacher else ["ce"]
        first = [Proposal(f"baseline:{name}", baseline(default, name, self.space)) for name in names]
        warm = [Proposal("warm_start", drawn) for drawn in self.space.warm_starts if self._fits(drawn)]
        top = diverse_top(self.log.records.screen, self.enqueue)
        with_top = (self._with_student(default, row["student"]) for row in top)
        screened = [Proposal("screen", drawn) for drawn in with_top if self._fits(drawn)]
        unique: dict[str, Proposal] = {}
        for proposal in [*first, *warm, *screened]:
            unique.setdefault(fingerprint(proposal.drawn.plain), proposal)
        return list(unique.values())

    def _inside_default(self) -> Drawn:
        """The space's default pipeline, with the best screened student where its own exceeds the budget."""
        default = self.space.default()
        if self._fits(baseline(default, "ce", self.space)):
            return default
        return self._with_student(default, self.log.records.screen[0]["student"])

    def _with_student(self, drawn: Drawn, student: Mapping[str, Any]) -> Drawn:
        """A pipeline with another student, the KD loss beside it where it may be, less the losses that may not."""
        plain = {**drawn.plain, "student": dict(student)}
        if self.has_teacher and "kd" not in plain["losses"]:
            with_kd = {**plain, "losses": {**plain["losses"], **_only_kd()}}
            plain = with_kd if self.space.params_of(with_kd) is not None else plain
        if self.space.params_of(plain) is None:
            least = {**plain, "losses": self.space.default().plain["losses"]}
            plain = least if self.space.params_of(least) is not None else plain
        return Drawn(plain, self.space.params_of(plain))

    def _random(self, number: int, known: set[str], refused: tuple[Refused, ...] = ()) -> Proposal | None:
        """A random pipeline; where hardly any student is inside the budget, one with a screened student."""
        rng = np.random.default_rng(derive(self.seed, "random", number))
        rows = self.log.records.screen
        students = (rows[(number + index) % len(rows)]["student"] for index in range(TRIES // 4))
        draws = itertools.chain(
            (self.space.sample(rng, number) for _ in range(TRIES)),
            (self._with_student(self.space.sample(rng, number), student) for student in students),
            (self._with_student(self.space.default(), row["student"]) for row in rows),
        )
        legal = (drawn for drawn in draws if drawn.params is not None)
        found = next(self._inside(legal, known), None)
        if found is not None:
            return Proposal("random", found, refused)
        if not known:
            raise NothingFeasible("no pipeline of the space lies inside the budget")
        return None

    def _inside(self, draws: Iterable[Drawn], known: set[str]) -> Iterator[Drawn]:
        """Those inside the budget that are not yet trials."""
        return (drawn for drawn in draws if self._fits(drawn) and fingerprint(drawn.plain) not in known)

    def _fits(self, drawn: Drawn) -> bool:
        """Whether a pipeline's student, its head included, lies inside the budget."""
        return self._excess(drawn) <= 1

    def _excess(self, drawn: Drawn) -> float:
        """The largest cost as a multiple of its limit; latency is measured where all else lies inside the budget."""
        limits = self.space.constraints
        excess = over(pipeline_cost(drawn.plain, self.task, self.offers), limits)
        if excess > 1 or self.meter is None or "latency" not in limits:
            return excess
        return max(excess, self.meter(drawn.plain) / limits["latency"])

    def _screens(self, number: int) -> bool:
        """Whether a trial is the best screened one of several candidates, and not simply the first."""
        return bool(np.random.default_rng(derive(self.seed, "take", number)).random() < SCREEN_PROBABILITY)

    def _best_screened(self, found: list[Drawn]) -> Drawn:
        names, rows = self.screener.ranked_by, self.log.records.screen
        scored = {key_of(row["student"]): row["score"] for row in rows}

        def score(drawn: Drawn) -> float:
            student = drawn.plain["student"]
            known: float | None = scored.get(key_of(student))
            return score_against(rows, self.screener.values(student), names) if known is None else known

        return max(found, key=score)


class Failures:
    """Counts the failed trials of a session, and stops the search where they are too many.

    Args:
      most: failed trials that stop the search; None: as many as may be.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._failed: list[TrialRecord] = []
        self._faults_in_a_row = 0

    def check(self, trial: TrialRecord) -> None:
        """Count a trial whose rung is over.

        Raises:
          TooManyFailures: as many as allowed have failed, or `IN_A_ROW` one after another by a fault.
        """
        if trial.failure is None:
            self._faults_in_a_row = 0
            return
        self._failed.append(trial)
        self._faults_in_a_row = self._faults_in_a_row + 1 if trial.failure["kind"] in FAULTS else 0
        if self._faults_in_a_row == IN_A_ROW:
            raise TooManyFailures(f"{IN_A_ROW} trials in a row failed: {self._reasons(self._failed[-IN_A_ROW:])}")
        if self._most is not None and len(self._failed) >= self._most:
            raise TooManyFailures(f"{len(self._failed)} trials failed: {self._reasons(self._failed)}")

    @staticmethod
    def _reasons(trials: list[TrialRecord]) -> str:
        failures = [trial.failure for trial in trials if trial.failure is not None]
        reasons = list(dict.fromkeys(f"{failure['kind']}: {failure['reason']}" for failure in failures))
        return "; ".join(reasons[:IN_A_ROW]) + "; the same command goes on once the cause is mended"


def _only_kd() -> dict[str, Any]:
    return {"kd": baseline_losses("kd")["kd"]}
