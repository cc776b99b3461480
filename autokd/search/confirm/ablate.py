"""Ablate: where the gain of the pick comes from, one slot at a time, on validation.

Each slot in which the pick differs from the best recipe by hand is swapped back to the recipe's, all others staying.
The runs are on choose's seeds, so that each is paired with one of the pick's; see `autokd.study.ablation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autokd.engine.build import build_run
from autokd.errors import ComponentError
from autokd.search.confirm.choose import Decision, decide, wanted_run
from autokd.search.confirm.round import Round
from autokd.search.confirm.seeds import SWAPS
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.spec import PipelineSpec, beside_slots, replaced, slots, to_plain
from autokd.study import noise
from autokd.study.arms import PICK
from autokd.study.design import Design, SeedPlan


@dataclass(frozen=True)
class Ablate:
    """Swaps one slot of the pick at a time back to the recipe by hand, where the budget has seeds for it."""

    name: str = "ablate"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each slot and seed, on the study's views."""
        budget = scope.budget
        seeds = min(budget.ablation_seeds, budget.choose_seeds)
        if not seeds:
            return []
        return [
            Work(
                stage=self.name,
                runs=SWAPS * seeds,
                most=len(slots()) * seeds,
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=SWAPS * seeds * scope.has_teacher,
            )
        ]

    def run(self, session: Session) -> None:
        """Train the swaps of the newest claim."""
        if session.is_claimed and session.budget.ablation_seeds and session.budget.choose_seeds:
            ablate(Round.of(session))


def ablate(round: Round) -> None:
    """Train the pick with one slot at a time as in the recipe by hand; what is recorded is not trained again."""
    decision = decide(round)
    arms = {arm.name: arm.spec for arm in decision.contenders.arms}
    hand = decision.contenders.hand
    if PICK not in arms or hand is None:
        return
    swapped, refused = swaps(round, arms[PICK], arms[hand])
    design = round.designed("ablate") or _design(round, decision, len(swapped), refused)
    round.runner.train(
        [
            wanted_run(round, PICK, spec, i)._replace(stage="ablate", variant=slot, save=None)
            for slot, spec in swapped.items()
            for i in range(design.seeds)
        ]
    )


def swaps(round: Round, pick: PipelineSpec, hand: PipelineSpec) -> tuple[dict[str, PipelineSpec], list[str]]:
    """Return the pick with one slot as in another pipeline, by slot, and a line for each swap that cannot be built.

    Args:
      round: of confirm.
      pick, hand: the two pipelines.
    """
    own, other = to_plain(pick), to_plain(hand)
    alone = [slot for slot in slots() if slot not in beside_slots(slots())]  # a peer goes with the losses that read it
    every = {slot: replaced(pick, slot, getattr(hand, slot)) for slot in alone if own.get(slot) != other.get(slot)}
    reasons = {slot: _refusal(round, spec) for slot, spec in every.items()}
    built = {slot: spec for slot, spec in every.items() if reasons[slot] is None}
    return built, [f"{slot} ({reason})" for slot, reason in reasons.items() if reason is not None]


def _refusal(round: Round, spec: PipelineSpec) -> str | None:
    """Why a pipeline cannot be built; None where it can."""
    try:
        build_run(round.context, spec, round.budget.epochs * len(round.context.data.train))
    except ComponentError as error:
        return str(error)
    return None


def _design(round: Round, decision: Decision, swapped: int, refused: Sequence[str]) -> Design:
    """As many seeds as the budget says and choose had, or none where the time left does not bear them."""
    chosen = min(len(runs) for runs in decision.runs.values())
    seeds = min(round.budget.ablation_seeds, chosen)
    bears = round.bearable([decision.trial], 1.0) >= swapped * seeds
    why = f"{seeds} seeds a slot, those of choose" if bears else "left out: the time left does not bear it"
    left_out = f"; not built: {'; '.join(refused)}" if refused else ""
    plan = SeedPlan(seeds if bears else 0, None, None, noise.estimate(round.log.records), f"{why}{left_out}")
    return round.record_design(Design.of("ablate", round.number, plan, 1 + swapped))
