"""How many seeds an arm of a claim gets."""

from __future__ import annotations

from collections.abc import Mapping

from autokd.search.confirm.round import Round
from autokd.space import Budget
from autokd.spec import PipelineSpec
from autokd.study.design import Design
from autokd.study.records import TrialRecord

FEWEST, FILL = 2, 4
"""Seeds of an arm where time is short, and times the budget's seeds, at most, where there is time left."""
SWAPS = 5
"""Slots in which the pick and the recipe by hand differ, about."""


def claims_on_same_seeds(budget: Budget) -> bool:
    """Whether the runs that choose what is recommended are the claim's too."""
    return bool(budget.choose_seeds and budget.claim_seeds and not budget.fresh_claim)


def claim_design(round: Round, stage: str, trial: TrialRecord, arms: Mapping[str, PipelineSpec]) -> Design:
    """Return how many seeds the arms of a claim get; recorded before the first run.

    Args:
      round: of confirm.
      stage: that trains them, "claim" or "choose".
      trial: that the pick comes from.
      arms: by name.
    """
    budget = round.budget
    least = budget.claim_seeds if stage == "claim" else budget.choose_seeds
    share = 1 - round.share_of([trial], SWAPS * budget.ablation_seeds)
    weight = sum(round.relative_seconds(trial, arms).values())
    bearable = max(FEWEST, round.bearable([trial], share, arms=weight, predicted=len(arms)))
    filled = min(bearable, FILL * least) if round.clock.limit is not None else None
    return round.design(stage, arms=len(arms), least=least, most=bearable, filled=filled)
