"""Explore: short distillation trials over the whole pipeline, by successive halving with promotion from checkpoints.

What to do next is a pure function of the records (`autokd.search.explore.halving`), so a killed study goes on where it
was, having lost at most the rung that was running.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokd.engine.profile import OFF, Profile
from autokd.execution.executor import Executor, Outcome, RungJob
from autokd.search.explore.failures import Failures
from autokd.search.explore.halving import Halving, Job, climb, hopeless_trials, next_job
from autokd.search.explore.propose import Proposer
from autokd.search.limits import step_cost
from autokd.search.timing.clock import seconds_per_epoch
from autokd.search.timing.pace import expected_seconds
from autokd.seeds import derive
from autokd.study.records import RecordLog
from autokd.study.store import student_of_trial

log = logging.getLogger("autokd")

FORESEEN = 120
"""Trials that are counted on, at most, where it is decided which checkpoints may still be needed."""


def unmeasured(pipeline: Mapping[str, Any], macs: float) -> dict[str, float]:
    """Without a time limit no step is timed."""
    return {}


def _nothing(number: int) -> None:
    """Before a trial is asked, nothing is done."""


@dataclass(frozen=True, kw_only=True)
class Explorer:
    """Runs explore on a study.

    Args:
      proposer: says which pipeline is tried next.
      log: the study's records.
      executor: trains the rungs.
      rung_epochs: epochs at the end of each rung.
      eta: the best 1/eta of a rung go on.
      folder: where trials keep their checkpoints.
      branch: length of the side branch on which a rung below the top is scored; 0: there is none.
      claims: whether a claim follows. Then the recipes by hand are trained to the end whatever they are worth, since it
        compares with them; else the students of the top rung are kept, since the best of them is what comes of it.
      slots: rungs under way at a time; part of what makes the study this study.
      max_failures: failed trials that stop the search; None: as many as may be.
      profile: measures where the time goes.
      before_ask: called with the number of a trial before it is asked.
      step_times: called with a pipeline and its student's MACs; returns what is measured of a training step, by name.
    """

    proposer: Proposer
    log: RecordLog
    executor: Executor
    rung_epochs: Sequence[int]
    eta: int
    folder: Path
    branch: float = 0.0
    claims: bool = True
    slots: int = 1
    max_failures: int | None = None
    profile: Profile = OFF
    before_ask: Callable[[int], None] = _nothing
    step_times: Callable[[Mapping[str, Any], float], Mapping[str, float]] = unmeasured

    @property
    def top_rung(self) -> int:
        """Index of the longest rung."""
        return len(self.rung_epochs) - 1

    @property
    def halving(self) -> Halving:
        """Says which trials go on."""
        return Halving(
            top_rung=self.top_rung, eta=self.eta, spares_baselines=self.claims, objective=self.proposer.objective
        )

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
        if self._next(trials, may_begin) is not None and self.proposer.propose(len(self.log.records.trials)) is None:
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
        job = next_job(records.trials, records.in_flight, self.halving, wanted=trials, waits=self._waits)
        if job is None or job.rung is None:
            up = climb(records.trials, records.in_flight, self.halving)
            job = up if up is not None and self._is_time_for(up, job, may_begin) else job
        return job if job is not None and may_begin(self._expected(job)) else None

    @property
    def _waits(self) -> bool:
        """Whether the best of the known recipes is still to climb, when all were tried or as many as the time bears.

        So it is where no claim follows: the time bears a few full runs then, and one that begins early goes to whatever
        was tried first.
        """
        return not self.claims and all(len(trial.rungs) <= self.top_rung for trial in self.log.records.trials.values())

    def _is_time_for(self, up: Job, new: Job | None, may_begin: Callable[[float], bool]) -> bool:
        """Whether the best recipe is to go up now: no recipe is left, or there is no time for one and for that too."""
        if new is None or not self.proposer.has_recipes_left:
            return True
        assert up.rung is not None
        trial = self.log.records.trials[up.number]
        rest = (self.rung_epochs[-1] - self.rung_epochs[up.rung - 1]) * seconds_per_epoch([trial])
        return not may_begin(self._expected(new) + rest)

    def _expected(self, job: Job) -> float:
        """The seconds that a rung is expected to take: at its trial's own pace, or at that of the others."""
        trials, rung = self.log.records.trials, job.rung or 0
        own = [trial for trial in [trials.get(job.number)] if trial is not None and trial.rungs]
        epochs = self.rung_epochs[rung] - (self.rung_epochs[rung - 1] if rung else 0)
        return epochs * seconds_per_epoch(own or trials.values())

    def _ask(self, number: int, may_begin: Callable[[float], bool]) -> bool:
        """Record a new trial; False where all that the space has was tried, or time does not bear this pipeline."""
        with self.profile.part("search"):
            self.before_ask(number)
            proposal = self.proposer.propose(number)
        if proposal is None:
            return False
        drawn, refused = proposal.drawn, proposal.refused
        cost = step_cost(drawn.plain, self.proposer.task, self.proposer.offers)
        measured = self.step_times(drawn.plain, cost["macs"])
        if not may_begin(self._expected_of(drawn.plain, {**cost, **measured})):
            return False
        if refused and number not in self.log.records.refused:
            self._record("refused", number=number, draws=[dataclasses.asdict(draw) for draw in refused])
        screened = self.proposer.newly_screened(drawn)
        if screened is not None:  # before the trial, so that a search killed here asks for the same one again
            self._record("scored", number=number, student=dataclasses.asdict(screened))
        self._record(
            "trial",
            number=number,
            source=proposal.source,
            seed=derive(self.proposer.seed, "trial", number),
            pipeline=drawn.plain,
            params=drawn.params,
            cost={**self.proposer.cost_of(drawn), **measured},
            base=proposal.base,
        )
        return True

    def _expected_of(self, pipeline: Mapping[str, Any], cost: Mapping[str, float]) -> float:
        """The seconds that the first rung of a pipeline is expected to take."""
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
                view_seed=derive(self.proposer.seed, "views"),
                horizon=self.rung_epochs[-1],
                until=self.rung_epochs[rung],
                branch=0.0 if rung == self.top_rung else self.branch,
                load=folder / f"rung{rung - 1}.pt" if rung else None,
                save=None if rung == self.top_rung else folder / f"rung{rung}.pt",
                student=student_of_trial(self.folder, number) if rung == self.top_rung and not self.claims else None,
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
        for other in (*over, *hopeless_trials(trials, self.halving, wanted=wanted)):
            shutil.rmtree(self._folder_of(other), ignore_errors=True)
