"""How confirm came to its claim: noise, designs, select's race, tune's grid, and the claim seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.report.tables import Row, failure_columns
from autokd.study.arms import title_of
from autokd.study.choice import Candidate
from autokd.study.claim import Arm, Claim
from autokd.study.design import Design
from autokd.study.records import Records, RunRecord
from autokd.study.tuning import claim_of, tune_runs

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class NoiseRuns(NamedTuple):
    """What was measured of the noise early in the study.

    Args:
      title: the baseline's, for people.
      scores: validation scores, one a seed.
    """

    title: str
    scores: list[float]


class TuneRow(NamedTuple):
    """A run of tune.

    Args:
      title: of its arm.
      run: as recorded.
      chosen: the arm was claimed with this pipeline.
    """

    title: str
    run: RunRecord
    chosen: bool


class SeedRow(NamedTuple):
    """A seed of the claim.

    Args:
      seed: its place among them, from 1; the seeds themselves are in `evidence.csv`.
      values: (validation, test) of each arm as they are shown; None where it has no run with this seed.
    """

    seed: int
    values: list[tuple[float | None, float | None]]


def noise_runs(records: Records) -> NoiseRuns | None:
    """Return the runs that measured the noise, or None where there are none."""
    runs = [run for run in records.runs if run.stage == "noise" and run.failure is None]
    return NoiseRuns(title_of(runs[0].arm), [run.score for run in runs]) if runs else None


def designs(records: Records) -> list[Design]:
    """Return how many seeds the stages of the newest round took, as recorded."""
    newest = max((design.round for design in records.designs), default=0)
    return [design for design in records.designs if design.round == newest]


def standing(candidate: Candidate, chosen: int) -> str:
    """What became of a finalist in select, in a few words."""
    if candidate.trial == chosen:
        return "chosen"
    if candidate.on_front is not None:
        return "on the front" if candidate.on_front else "another one is better in every objective"
    if candidate.dropped_after:
        return f"stopped after {candidate.dropped_after} seeds: clearly worse"
    return "tied with the best" if candidate.tied else "behind"


def tune_rows(records: Records, round: int) -> list[TuneRow]:
    """Return the runs of tune of a round of confirm."""
    claim = claim_of(records, round)
    runs = tune_runs(records, round)
    return [_tune_row(run, None if claim is None else claim.arm(run.arm), claim) for run in runs]


def newest_round(records: Records) -> int:
    """Return the round of confirm that the last run was of."""
    return records.runs[-1].round if records.runs else 0


def _tune_row(run: RunRecord, arm: Arm | None, claim: Claim | None) -> TuneRow:
    if claim is None or arm is None:
        return TuneRow(title_of(run.arm), run, chosen=False)
    return TuneRow(claim.title_of(arm), run, run.pipeline == arm.pipeline)


def seed_rows(claim: Claim) -> list[SeedRow]:
    """Return the claim's values seed by seed, those of the recommended arm first."""
    arms: Sequence[Arm] = _claimed(claim)
    seeds = dict.fromkeys(seed for arm in arms for seed in arm.seeds)
    runs = [{run.seed: (run.validation, run.test) for run in arm.claimed} for arm in arms]
    return [SeedRow(i, [made.get(seed, (None, None)) for made in runs]) for i, seed in enumerate(seeds, 1)]


def run_rows(study: StudyStore) -> list[Row]:
    """Return one row a training run outside explore."""
    return [
        {
            "stage": run.stage,
            "round": run.round,
            "arm": run.arm,
            "variant": run.variant,
            "seed": run.seed,
            "score": run.score,
            **run.metrics,
            "loss": run.loss,
            "seconds": run.seconds,
            **failure_columns(run.failure),
        }
        for run in study.records.runs
    ]


def arm_titles(claim: Claim) -> list[str]:
    """Return the titles of a claim's arms, that of the recommended one first."""
    return [claim.title_of(arm) for arm in _claimed(claim)]


def _claimed(claim: Claim) -> list[Arm]:
    """The arms that were trained for the claim, as they are shown."""
    return [arm for arm in claim.ordered if arm.claimed]
