"""Which arms of a claim were tuned: their pipelines are points of the grid that tune trained."""

from __future__ import annotations

from autokd.study.claim import Claim
from autokd.study.records import Records, RunRecord


def tuned_arms(records: Records, claim: Claim) -> list[str]:
    """Return the names of a claim's arms that were tuned: their pipelines are points of the grid that tune trained.

    Arms that share a pipeline share its runs, so the name in a run does not say which arms it was for.
    """
    points = [run.pipeline for run in tune_runs(records, claim.round)]
    return [arm.name for arm in claim.arms if arm.pipeline in points]


def all_tuned(records: Records, round: int) -> bool:
    """Whether a round of confirm that tuned did so for all arms of its claim; True while it has made none."""
    claim = claim_of(records, round)
    return claim is None or len(tuned_arms(records, claim)) == len(claim.arms)


def claim_of(records: Records, round: int) -> Claim | None:
    """Return the claim of a round; None where it has made none."""
    return next((claim for claim in reversed(records.claims) if claim.round == round), None)


def tune_runs(records: Records, round: int) -> list[RunRecord]:
    """Return the runs of tune of a round."""
    return [run for run in records.runs if (run.stage, run.round) == ("tune", round)]
