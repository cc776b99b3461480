"""Tune: the pick and its baselines over the same few learning rates, on validation.

Every arm gets as many points. Where the best one of an arm lies on the edge of its grid and beats its neighbour by more
than the noise, every arm gets one more, outward on its own better side. The recipe by hand runs as published. What is
measured here chooses a rate and nothing else: the best of a few runs on one seed owes part of its score to luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autokd.search.baselines import matched_baseline
from autokd.search.confirm.round import Round
from autokd.search.confirm.select import choose_trial
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.seeds import derive
from autokd.spec import PipelineSpec, component_at, replaced
from autokd.study import noise
from autokd.study.arms import PICK, baseline_kinds
from autokd.study.design import Design, SeedPlan
from autokd.study.posterior import noise_sd
from autokd.study.records import RunRecord, TrialRecord

STEP = 2.5
"""Between neighbouring rates."""
POINTS, MORE = 3, 2
"""Of an arm's grid, and added to it at most."""


@dataclass(frozen=True)
class Tune:
    """Tunes every arm over the same grid, where there is time for it."""

    name: str = "tune"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each arm and point of its grid, on the study's views."""
        budget, kinds = scope.budget, baseline_kinds(has_teacher=scope.has_teacher)
        if not budget.grid or not budget.choose_seeds:
            return []
        arms, reading = 1 + len(kinds), sum(kind.reads_teacher for kind in kinds) + scope.has_teacher
        return [
            Work(
                stage=self.name,
                runs=POINTS * arms,
                most=(POINTS + MORE) * arms,
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=POINTS * reading,
            )
        ]

    def run(self, session: Session) -> None:
        """Train the grid, unless the newest claim is about all trials."""
        if not session.is_claimed and session.budget.choose_seeds:
            round = Round.of(session)
            tune_arms(round, choose_trial(round))


class TunedArm(NamedTuple):
    """An arm's pipeline, tuned, and the runs of its grid, each with its point; () where nothing was tuned."""

    spec: PipelineSpec
    runs: tuple[tuple[str, RunRecord], ...] = ()


class _Point(NamedTuple):
    """A point of an arm's grid, and its run: `place` steps above the arm's own rate."""

    place: int
    run: RunRecord


def tune_arms(round: Round, trial: TrialRecord) -> dict[str, TunedArm]:
    """Return each arm by name, tuned; where the time left does not bear the grid, all stay as they are.

    Args:
      round: of confirm.
      trial: that select chose.
    """
    arms = matched_arms(trial.spec, has_teacher=round.context.teacher is not None)
    if not _tunes(round, trial, arms):
        return {name: TunedArm(spec) for name, spec in arms.items()}
    sd = noise_sd(noise.estimate(round.log.records), len(round.context.data.validation))
    own = range(-(POINTS // 2), POINTS // 2 + 1)
    points = _train(round, arms, {arm: own if tuned_fields(spec) else range(1) for arm, spec in arms.items()})
    for _ in range(MORE):
        if not any(_goes_on(row, sd) for row in points.values()):
            break
        more = _train(round, arms, {arm: [_outward(row)] for arm, row in points.items() if len(row) > 1})
        points = {arm: sorted([*row, *more.get(arm, [])], key=lambda point: point.place) for arm, row in points.items()}
    return {arm: _tuned(spec, points[arm]) for arm, spec in arms.items()}


def _train(
    round: Round, arms: Mapping[str, PipelineSpec], places: Mapping[str, Sequence[int]]
) -> dict[str, list[_Point]]:
    """Train points of the grid, all on one seed."""
    asked = [(arm, place) for arm, row in places.items() for place in row]
    seed = derive(round.seed, "tune", round.number)
    wanted = [
        round.wanted("tune", arm, at_rate(arms[arm], place), seed=seed, variant=variant(arms[arm], place))
        for arm, place in asked
    ]
    points: dict[str, list[_Point]] = {arm: [] for arm in places}
    for (arm, place), run in zip(asked, round.runner.train(wanted), strict=True):
        points[arm].append(_Point(place, run))
    return points


def _goes_on(row: Sequence[_Point], sd: float) -> bool:
    """Whether the best point lies on the edge and beats its neighbour by more than the noise."""
    best = _best(row)
    edges = {row[0].place: 1, row[-1].place: -2} if len(row) > 1 else {}
    neighbour = edges.get(best.place)
    return neighbour is not None and best.run.score - row[neighbour].run.score > sd


def _outward(row: Sequence[_Point]) -> int:
    """The next place beyond the better edge."""
    return row[-1].place + 1 if row[-1].run.score > row[0].run.score else row[0].place - 1


def _best(row: Sequence[_Point]) -> _Point:
    return max(row, key=lambda p: (p.run.failure is None, p.run.score, -p.run.loss, -abs(p.place)))


def _tuned(spec: PipelineSpec, row: Sequence[_Point]) -> TunedArm:
    runs = tuple((variant(spec, point.place), point.run) for point in row)
    return TunedArm(at_rate(spec, _best(row).place), runs)


def matched_arms(pick: PipelineSpec, *, has_teacher: bool) -> dict[str, PipelineSpec]:
    """Return the pick and its matched baselines by the name of the arm, the pick first."""
    kinds = baseline_kinds(has_teacher=has_teacher)
    return {PICK: pick, **{kind.name: matched_baseline(pick, kind) for kind in kinds}}


def tuned_fields(spec: PipelineSpec) -> Sequence[str]:
    """Return the fields of the optimizer that are tuned: those that it declares (`tunes`)."""
    fields: Sequence[str] = component_at(spec, "optimizer").declares.tunes
    return fields


def variant(spec: PipelineSpec, place: int) -> str:
    """Return the name of a point of the grid: "" for the pipeline as it is, "learning_rate x0.4", …"""
    return f"{' and '.join(tuned_fields(spec))} x{STEP**place:.3g}" if place else ""


def at_rate(spec: PipelineSpec, place: int) -> PipelineSpec:
    """Return a pipeline at a point of the grid.

    Args:
      spec: the pipeline.
      place: steps above its own rate, 0 for the pipeline as it is.
    """
    for field in tuned_fields(spec) if place else ():
        spec = replaced(spec, f"optimizer.{field}", getattr(spec.optimizer, field) * STEP**place)
    return spec


def _tunes(round: Round, trial: TrialRecord, arms: Mapping[str, PipelineSpec]) -> bool:
    """Whether the grid is tuned over; decided once where time is limited, and recorded."""
    recorded = round.designed("tune")
    if recorded is not None:
        return bool(recorded.seeds)
    if not round.budget.grid or round.clock.limit is None:
        return round.budget.grid
    relative = round.relative_seconds(trial, arms)
    later = round.budget.choose_seeds + round.budget.claim_seeds
    bears = round.bearable([trial], 1.0) >= sum(relative[arm] * (POINTS + later) for arm in arms)
    why = "one seed a point of the grid" if bears else "not tuned: the time left does not bear the grid"
    round.record_design(Design.of("tune", round.number, SeedPlan(int(bears), None, None, None, why)))
    return bears
