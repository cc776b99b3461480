"""Tune: the pick and its baselines over the same small grid of learning rates and loss weights, on validation."""

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
from autokd.spec import PipelineSpec, component_at, from_plain, replaced
from autokd.study.arms import PICK, baseline_kinds
from autokd.study.design import Design, SeedPlan
from autokd.study.records import RunRecord, TrialRecord

RATE_FACTORS = (0.2, 0.5, 2.0)
"""Of the optimizer's tuned fields in the grid, beside 1; the lowest spares a baseline a rate that only the found losses
bear."""
WEIGHT_FACTORS = (0.5, 2.0)
"""Of the distillation losses' tuned fields in the grid, beside 1."""


@dataclass(frozen=True)
class Tune:
    """Tunes every arm over the same grid, where there is time for it."""

    name: str = "tune"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each arm and point of its grid, on the study's views."""
        kinds, budget = baseline_kinds(has_teacher=scope.has_teacher), scope.budget
        reading = GRID_POINTS * (1 + sum(kind.reads_teacher for kind in kinds))
        runs = reading + sum(not kind.reads_teacher for kind in kinds) * (GRID_POINTS - len(WEIGHT_FACTORS))
        if not scope.grid:
            return []
        epochs = budget.epochs
        return [Work(stage=self.name, runs=runs, epochs=epochs, horizon=budget.epochs, reading=reading)]

    def run(self, session: Session) -> None:
        """Train the grid, unless the newest claim is about all trials."""
        if not session.is_claimed:
            round = Round.of(session)
            tune_arms(round, choose_trial(round))


GRID_POINTS = 1 + len(RATE_FACTORS) + len(WEIGHT_FACTORS)
"""Of an arm with distillation losses; one without them has no weights to tune."""


class TunedArm(NamedTuple):
    """An arm's pipeline, tuned, and the runs of its grid, each with its point; () where nothing was tuned."""

    spec: PipelineSpec
    runs: tuple[tuple[str, RunRecord], ...] = ()


def tune_arms(round: Round, trial: TrialRecord) -> dict[str, TunedArm]:
    """Return each arm by name, tuned; where the time left does not bear the grid, all stay as they are.

    Args:
      round: of confirm.
      trial: that select chose.
    """
    arms = matched_arms(trial.spec, has_teacher=round.context.teacher is not None)
    if not _tunes(round, trial, arms):
        return {name: TunedArm(spec) for name, spec in arms.items()}
    seed = derive(round.seed, "tune", round.number)
    wanted = [
        round.wanted("tune", arm, point, seed=seed, variant=variant)
        for arm, spec in arms.items()
        for variant, point in grid(spec).items()
    ]
    runs: dict[str, list[tuple[str, RunRecord]]] = {arm: [] for arm in arms}
    for asked, run in zip(wanted, round.runner.train(wanted), strict=True):
        runs[asked.arm].append((asked.variant, run))
    return {arm: TunedArm(from_plain(_best(row).pipeline), tuple(row)) for arm, row in runs.items()}


def _best(runs: Sequence[tuple[str, RunRecord]]) -> RunRecord:
    return max((run for _, run in runs), key=lambda run: (run.failure is None, run.score, -run.loss))


def matched_arms(pick: PipelineSpec, *, has_teacher: bool) -> dict[str, PipelineSpec]:
    """Return the pick and its matched baselines by the name of the arm, the pick first."""
    kinds = baseline_kinds(has_teacher=has_teacher)
    return {PICK: pick, **{kind.name: matched_baseline(pick, kind) for kind in kinds}}


def grid(spec: PipelineSpec) -> dict[str, PipelineSpec]:
    """Return the grid that every arm is tuned over, by name: "" (as it is), "learning_rate x0.2", …

    What may be scaled, optimizer and losses declare (`tunes`); without such fields there is only the pipeline itself.
    """
    points = {"": spec}
    rates = _tuned_paths(spec, "optimizer")
    for factor in RATE_FACTORS if rates else ():
        points[f"{' and '.join(map(_field, rates))} x{factor:g}"] = _scaled(spec, rates, factor)
    weights = [path for name in spec.losses for path in _tuned_paths(spec, f"losses.{name}")]
    for factor in WEIGHT_FACTORS if weights else ():
        points[f"loss weights x{factor:g}"] = _scaled(spec, weights, factor)
    return points


def _tuned_paths(spec: PipelineSpec, path: str) -> list[str]:
    """The fields of a component that the grid may scale, as paths."""
    return [f"{path}.{field}" for field in component_at(spec, path).declares.tunes]


def _field(path: str) -> str:
    return path.rpartition(".")[2]


def _scaled(spec: PipelineSpec, paths: Sequence[str], factor: float) -> PipelineSpec:
    """A pipeline with some fields multiplied by a factor."""
    for path in paths:
        component, _, field = path.rpartition(".")
        spec = replaced(spec, path, getattr(component_at(spec, component), field) * factor)
    return spec


def _tunes(round: Round, trial: TrialRecord, arms: Mapping[str, PipelineSpec]) -> bool:
    """Whether the grid is tuned over; decided once where time is limited, and recorded."""
    recorded = round.designed("tune")
    if recorded is not None or round.clock.limit is None:
        return recorded is None or bool(recorded.seeds)
    relative = round.relative_seconds(trial, arms)
    runs = sum(relative[arm] * (len(grid(spec)) + round.budget.claim_seeds) for arm, spec in arms.items())
    bears = round.bearable([trial], 1.0) >= runs
    why = "one seed a point of the grid" if bears else "not tuned: the time left does not bear the grid"
    round.record_design(Design.of("tune", round.number, SeedPlan(int(bears), None, None, None, why)))
    return bears
