"""What the choices tell: the option that stands out in short trainings, and what is left of it on fresh seeds."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd import catalog
from autokd.errors import ComponentError
from autokd.report import words
from autokd.report.sections.choices.medians import FEWEST_EACH, Effect, Option
from autokd.spec import Slot, slots
from autokd.study.arms import ALONE, KD, PICK
from autokd.study.claim import Arm, Claim
from autokd.study.means import Mean, means_of

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


class Fresh(NamedTuple):
    """The search's pick against an arm that lacks one of its losses, on test under seeds that no choice has seen.

    Args:
      pick, other: the arms.
      gain: of the pick, as a score: more is better.
    """

    pick: Arm
    other: Arm
    gain: Mean


class Finding(NamedTuple):
    """What is said above and below the table.

    Args:
      title: the heading.
      sentences: with the numbers.
    """

    title: str
    sentences: list[str]


def finding(study: StudyStore, found: Sequence[Option], rungs: Sequence[int]) -> Finding:
    """Return what stands out.

    Args:
      study: of the options.
      found: the options, as `options` returns them.
      rungs: the lengths at which they are compared, as `lengths` returns them.
    """
    epochs = [words.number_of(study.rung_epochs[rung], "epoch") for rung in rungs]
    if not any(option.first.difference is not None for option in found):
        why = f"An option is compared where {FEWEST_EACH} trials have it and {FEWEST_EACH} have not."
        return Finding("Too few trials to tell choices apart", [why])
    clear = [option for option in found if option.first.is_clear]
    if not clear:
        return Finding(f"No choice stands out after {epochs[0]}", ["All intervals hold zero."])
    best = max(clear, key=lambda option: (_is_loss(option), abs(option.first.difference or 0)))
    fresh = on_fresh_seeds(study, best)
    title = f"{named(best)} {_early(best, len(rungs))}{_left(study, best, fresh, epochs)}"
    told = [f"{named(best)}: {'; '.join(_at(study, best.effects[i], epochs[i]) for i in range(len(epochs)))}."]
    if fresh is not None and study.records.claim is not None:
        told.append(_told(study, fresh, study.records.claim))
    return Finding(title, told)


def named(option: Option) -> str:
    """Return what an option is called: a loss by its name, anything else with its slot."""
    return option.name if _is_loss(option) else f"{option.slot.replace('_', ' ')} {option.name}"


def meaning(option: Option) -> str:
    """Return what a component is, with its paper, in the line that begins its file; "" where it is not known here."""
    slot = slots().get(option.slot)
    try:
        component = catalog.load(slot.kind, option.name) if isinstance(slot, Slot) else None
    except ComponentError:
        return ""
    module = None if component is None else sys.modules.get(component.__module__)
    return inspect.cleandoc((module and module.__doc__) or "").partition("\n")[0]


def on_fresh_seeds(study: StudyStore, option: Option) -> Fresh | None:
    """Return how the pick did against an arm without one of its losses; None where no claim tells."""
    claim = study.records.claim
    if claim is None or not _is_loss(option):
        return None
    having = [arm for arm in claim.arms if arm.kind == PICK and option.name in arm.pipeline["losses"]]
    lacking = [arm for arm in claim.arms if arm.kind in (ALONE, KD) and option.name not in arm.pipeline["losses"]]
    for other in sorted(lacking, key=lambda arm: arm.kind != ALONE):
        gain = _gain(study, claim, having[0], other) if having else None
        if gain is not None:
            return Fresh(having[0], other, gain)
    return None


def _gain(study: StudyStore, claim: Claim, pick: Arm, other: Arm) -> Mean | None:
    """The pick's score on test less another arm's: the claim's own comparison where it has it."""
    compared = claim.comparisons.get(other.name) if claim.use == pick.name else None
    reverse = claim.comparisons.get(pick.name) if claim.use == other.name else None
    if compared is not None:
        value, low, high = compared.difference, compared.low, compared.high
    elif reverse is not None:
        value, low, high = -reverse.difference, -reverse.high, -reverse.low
    else:
        measured = means_of(study.path, claim).difference(pick.name, other.name)
        if measured is None:
            return None
        value, low, high = measured
    ends = sorted((claim.about.score(low), claim.about.score(high)))
    return Mean(claim.about.score(value), *ends)


def _is_loss(option: Option) -> bool:
    slot = slots().get(option.slot)
    return isinstance(slot, Slot) and slot.many


def _early(option: Option, several: int) -> str:
    better = (option.first.difference or 0) > 0
    if several > 1:
        return "starts faster" if better else "starts slower"
    return "goes with better scores" if better else "goes with worse scores"


def _left(study: StudyStore, option: Option, fresh: Fresh | None, epochs: Sequence[str]) -> str:
    """The end of the heading: what is left of an early effect."""
    metric, claim = study.objective.metric, study.records.claim
    if fresh is not None and claim is not None and (option.first.difference or 0) > 0:
        length = words.number_of(claim.epochs, "epoch")
        if not fresh.gain.tells():
            return f"; on fresh seeds after {length} no gain of it is shown"
        side = "better" if fresh.gain.value > 0 else "worse"
        size = f"{metric.apart(abs(fresh.gain.value))} {side} than {fresh.other.phrase}"
        return f"; on fresh seeds after {length} the pick with it is {size}"
    if len(epochs) < 2:
        return ""
    late = option.effects[1]
    if late.difference is None:
        return f"; too few trials trained for {epochs[1]} to tell what is left"
    if not late.is_clear:
        return f"; after {epochs[1]} no difference is shown"
    return f"; after {epochs[1]} it is still {'ahead' if late.difference > 0 else 'behind'}"


def _at(study: StudyStore, effect: Effect, epochs: str) -> str:
    """An effect at one length in words."""
    metric = study.objective.metric
    if effect.difference is None:
        return f"after {epochs} {effect.n} trials with it and {effect.others} without, too few to tell"
    unit = f" {metric.difference_unit}".rstrip()
    ends = f"[{words.difference(effect.low, metric)}, {words.difference(effect.high, metric)}]"
    sides = f"{effect.n} trials with it, {effect.others} without"
    return f"{words.difference(effect.difference, metric)}{unit} {ends} after {epochs} ({sides})"


def _told(study: StudyStore, fresh: Fresh, claim: Claim) -> str:
    metric, gain = study.objective.metric, fresh.gain
    ends = f"[{words.difference(gain.low, metric)}, {words.difference(gain.high, metric)}]"
    losses = words.losses(fresh.pick.pipeline)
    size = f"{words.difference(gain.value, metric)} {metric.difference_unit}".rstrip()
    length = words.number_of(claim.epochs, "epoch")
    return f"On fresh seeds after {length}, the pick ({losses}) against {fresh.other.phrase}: {size} {ends} on test."
