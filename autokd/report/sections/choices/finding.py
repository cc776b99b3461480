"""What the choices tell: the option that stands out in short trainings, and what is left of it on fresh seeds."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd import catalog
from autokd.errors import ComponentError
from autokd.metrics import Metric
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
      epochs: of every run.
    """

    pick: Arm
    other: Arm
    gain: Mean
    epochs: int

    @property
    def after(self) -> str:
        """When: "on fresh seeds after 9 epochs"."""
        return f"on fresh seeds after {words.number_of(self.epochs, 'epoch')}"


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
    if all(option.first.difference is None for option in found):
        why = f"An option is compared where {FEWEST_EACH} trials have it and {FEWEST_EACH} have not."
        return Finding("Too few trials to tell choices apart", [why])
    clear = [option for option in found if option.first.is_clear]
    if not clear:
        return Finding(f"No choice stands out after {epochs[0]}", ["Every interval includes zero."])
    return _of_best(study, max(clear, key=_strength), epochs)


def _of_best(study: StudyStore, best: Option, epochs: Sequence[str]) -> Finding:
    fresh, metric = on_fresh_seeds(study, best), study.objective.metric
    left = _late(best, epochs) if fresh is None or _strength(best)[2] < 0 else _kept(fresh, metric)
    told = [_at(effect, length, metric) for effect, length in zip(best.effects, epochs, strict=True)]
    sentences = [f"{named(best)}: {'; '.join(told)}.", *([] if fresh is None else [_told(fresh, metric)])]
    return Finding(f"{named(best)} {_early(best)}{left}", sentences)


def _strength(option: Option) -> tuple[bool, float, float]:
    """By what the most telling option is found: losses first, then the size of the effect; last its sign."""
    difference = option.first.difference or 0.0
    return _is_loss(option), abs(difference), difference


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
    for pick, other in _pairs(claim, option):
        gain = _gain(study, claim, pick, other)
        if gain is not None:
            return Fresh(pick, other, gain, claim.epochs)
    return None


def _pairs(claim: Claim, option: Option) -> list[tuple[Arm, Arm]]:
    """The pick with each arm that lacks one of its losses, no teacher first."""
    baselines = [arm for kind in (ALONE, KD) for arm in claim.arms if arm.kind == kind]
    having = [arm for arm in claim.arms if arm.kind == PICK and _has(arm, option)]
    return [(pick, other) for pick in having for other in baselines if not _has(other, option)]


def _has(arm: Arm, option: Option) -> bool:
    return option.name in arm.pipeline["losses"]


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


def _early(option: Option) -> str:
    better = _strength(option)[2] > 0
    if len(option.effects) > 1:
        return "starts faster" if better else "starts slower"
    return "goes with better scores" if better else "goes with worse scores"


def _kept(fresh: Fresh, metric: Metric) -> str:
    """The end of the heading: what the claim says of a loss that starts faster."""
    if not fresh.gain.tells():
        return f"; {fresh.after} no gain of it is shown"
    side = "better" if fresh.gain.value > 0 else "worse"
    return f"; {fresh.after} the pick with it is {metric.apart(abs(fresh.gain.value))} {side} than {fresh.other.phrase}"


def _late(option: Option, epochs: Sequence[str]) -> str:
    """The end of the heading where no claim tells: what is left at the longest length."""
    if len(epochs) < 2:
        return ""
    late = option.effects[1]
    if late.difference is None:
        return f"; too few trials trained for {epochs[1]} to tell what is left"
    if not late.is_clear:
        return f"; after {epochs[1]} no difference is shown"
    return f"; after {epochs[1]} it is {'ahead' if late.difference > 0 else 'behind'}"


def _at(effect: Effect, epochs: str, metric: Metric) -> str:
    """An effect at one length in words."""
    if effect.difference is None:
        return f"after {epochs} {effect.n} trials with it and {effect.others} without, too few to tell"
    sides = f"{effect.n} trials with it, {effect.others} without"
    return f"{_interval(effect.difference, effect.low, effect.high, metric)} after {epochs} ({sides})"


def _told(fresh: Fresh, metric: Metric) -> str:
    size, losses = _interval(*fresh.gain, metric), words.losses(fresh.pick.pipeline)
    return f"{words.capital(fresh.after)}, the pick ({losses}) against {fresh.other.phrase}: {size} on test."


def _interval(value: float, low: float | None, high: float | None, metric: Metric) -> str:
    """A difference of scores with its interval: "+1.2 points [+0.1, +2.3]"."""
    ends = f"[{words.difference(low, metric)}, {words.difference(high, metric)}]"
    return f"{words.difference(value, metric)} {metric.difference_unit}".rstrip() + f" {ends}"
