"""One round of confirm: what its stages share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autokd.engine.context import TrainContext
from autokd.engine.rung import FORWARD, run_samples
from autokd.execution.executor import Executor
from autokd.objective import ACCURACY, Objective
from autokd.search.limits import Meter, step_cost
from autokd.search.runs import Runner, WantedRun
from autokd.search.session import Session
from autokd.search.timing.clock import Clock, seconds_per_epoch
from autokd.search.timing.pace import seconds_model
from autokd.seeds import derive
from autokd.space import Budget
from autokd.spec import PipelineSpec, to_plain
from autokd.study import noise
from autokd.study.design import Design
from autokd.study.records import RecordLog, RunRecord, TrialRecord
from autokd.types import Shapes


@dataclass(frozen=True, kw_only=True)
class Round:
    """A round of confirm on a study.

    Args:
      log: the study's records.
      executor: trains the runs.
      context: data, teacher and device.
      budget: finalists, seeds and length.
      seed: the study's seed.
      folder: the study's folder.
      clock: how much time is left.
      on_change: called after every run.
      stretch: at most so many times the budget's seeds are taken where the noise asks for more.
      objective: what the study is to be good at; the claim is about the first.
      meter: measures what does not follow from a student's form, where that counts; else None.
      is_claimed: whether it is the newest claim's round; else the one that is to make a claim.
    """

    log: RecordLog
    executor: Executor
    context: TrainContext
    budget: Budget
    seed: int
    folder: Path
    clock: Clock
    on_change: Callable[[], None]
    stretch: int = noise.STRETCH
    objective: Objective = ACCURACY
    meter: Meter | None = None
    is_claimed: bool = False

    @classmethod
    def of(cls, session: Session) -> Round:
        """Return the round that a session is in: the newest claim's where that is about all trials."""
        return cls(
            log=session.store.log,
            executor=session.executor,
            context=session.context,
            budget=session.budget,
            seed=session.seed,
            folder=session.store.path,
            clock=session.clock,
            on_change=session.on_confirm_change,
            objective=session.objective,
            meter=session.meter,
            is_claimed=session.is_claimed,
        )

    @property
    def number(self) -> int:
        """0, or more where a finished study was continued."""
        return len(self.log.records.claims) - int(self.is_claimed)

    @property
    def offers(self) -> Shapes | None:
        """What the teacher offers; None without a teacher."""
        return None if self.context.teacher is None else self.context.teacher.offers

    @property
    def runner(self) -> Runner:
        """Trains the round's runs."""
        return Runner(
            log=self.log,
            executor=self.executor,
            folder=self.folder / "confirm",
            on_change=self.on_change,
            worst=self.objective.metric.worst_score,
        )

    def derive(self, purpose: str, i: int) -> int:
        """Return a seed of this round."""
        return derive(self.seed, purpose, self.number, i)

    def wanted(self, stage: str, arm: str, spec: PipelineSpec, *, seed: int, variant: str = "") -> WantedRun:
        """Return a run on the study's own views."""
        views = derive(self.seed, "views")
        return WantedRun(stage, self.number, arm, variant, seed, views, spec, self.budget.epochs)

    def train_arms(self, wanted: Sequence[WantedRun]) -> dict[str, list[RunRecord]]:
        """Train what is not recorded yet, and return the runs by arm, in the order in which they are wanted."""
        runs: dict[str, list[RunRecord]] = {run.arm: [] for run in wanted}
        for asked, run in zip(wanted, self.runner.train(wanted), strict=True):
            runs[asked.arm].append(run)
        return runs

    def designed(self, stage: str) -> Design | None:
        """Return how many seeds a stage takes, where that is recorded."""
        designs = self.log.records.designs
        return next((d for d in designs if (d.stage, d.round) == (stage, self.number)), None)

    def design(self, stage: str, *, arms: int, least: int, most: int, filled: int | None = None) -> Design:
        """Return how many seeds a stage takes; what was recorded once is kept.

        Args:
          stage: its name.
          arms: that are compared.
          least: what the budget says.
          most: what the time left bears.
          filled: seeds that fill the time left, whatever the noise asks for; None: as many as it asks for.
        """
        recorded = self.designed(stage)
        if recorded is not None:
            return recorded
        estimate, metric = noise.estimate(self.log.records), self.objective.metric
        plan = noise.plan_seeds(estimate, arms=arms, least=least, stretch=self.stretch, metric=metric)
        if filled is not None or plan.seeds > most:
            why = "as many as the time left bears"
            plan = noise.describe_seeds(estimate, filled or most, arms=arms, why=why, metric=metric)
        return self.record_design(Design.of(stage, self.number, plan, arms))

    def record_design(self, design: Design) -> Design:
        """Record how many seeds a stage takes, before its first run."""
        self.log.append("design", **design.to_plain())
        return self.log.records.designs[-1]

    def run_seconds(self, trials: Sequence[TrialRecord]) -> float:
        """Return what a run of some trials' pipelines takes, by their own runs of this round where there are any."""
        arms = {f"trial {trial.number}" for trial in trials}
        timed = [r.seconds for r in self.log.records.runs if r.round == self.number and r.arm in arms and not r.failure]
        return float(np.mean(timed)) if timed else self.budget.epochs * seconds_per_epoch(trials)

    def share_of(self, trials: Sequence[TrialRecord], runs: int) -> float:
        """Return the share of the time left that so many runs of some trials' pipelines take, at most 1."""
        if not runs or self.clock.limit is None:
            return 0.0
        return min(1.0, runs * self.run_seconds(trials) / self.executor.capacity / max(self.clock.left, 1e-9))

    def bearable(self, trials: Sequence[TrialRecord], share: float, *, arms: float = 1.0, predicted: int = 0) -> int:
        """Return how many runs a share of the time left bears, at the pace of some trials.

        Args:
          trials: their own runs of this round say how long one takes, where there are any.
          share: of the time left.
          arms: runs that count as one, in runs of these trials' pipelines.
          predicted: in a claim, the students whose predictions count with them.
        """
        if self.clock.limit is None:
            return sys.maxsize
        run = self.run_seconds(trials)
        each = arms * run / self.executor.capacity
        each += predicted * self._prediction_seconds(run)
        return int(max(0.0, share * self.clock.left / max(each, 1e-9)))

    def _prediction_seconds(self, run: float) -> float:
        """What one student's predictions of validation and test take, given the seconds of a run."""
        data, epochs = self.context.data, self.budget.epochs
        items = len(data.validation) + data.test_size
        return run * FORWARD * items / run_samples(epochs, epochs, len(data.train), len(data.validation))

    def relative_seconds(self, trial: TrialRecord, arms: Mapping[str, PipelineSpec]) -> Mapping[str, float]:
        """Return how long a run of each arm is expected to take, as a multiple of one of the trial's pipeline."""
        model = seconds_model(self.log.records.trials.values())
        if model is None:
            return dict.fromkeys(arms, 1.0)

        def seconds(spec: PipelineSpec) -> float:
            plain = to_plain(spec)
            return model.per_epoch(plain, step_cost(plain, self.context.data.task, self.offers))

        whole = seconds(trial.spec)
        return {arm: seconds(spec) / whole for arm, spec in arms.items()}
