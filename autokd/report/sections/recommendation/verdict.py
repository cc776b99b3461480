"""What a claim says, in words that need no statistics: headline, one sentence a comparison, what it rests on."""

from __future__ import annotations

from autokd.errors import UserError
from autokd.report import words
from autokd.spec import from_plain
from autokd.study.arms import ALONE, KD
from autokd.study.claim import Arm, Claim, Comparison

FEWEST_FOR_A_FORECAST = 3
"""Runs of which the spread says what one more will reach."""
WIDE = 0.1
"""A forecast that is wider, in shares, says that the student is too noisy to use."""


def headline(claim: Claim) -> str:
    """Return the decision in a few words."""
    lead = _lead(claim)
    other, compared = claim.comparator, claim.compared
    if other is None or compared is None:
        return f"{lead}: the best on validation; nothing was compared on test"
    phrase = other_phrase(claim, other)
    if is_itself(claim):
        return f"{lead}: it is {phrase} itself"
    against = _worst(claim)
    if against is not None:
        return f"{lead}: fixed on validation, but test favours {other_phrase(claim, against)}"
    if compared.verdict == "better":
        return f"{lead}: {claim.about.apart(abs(compared.difference))} better than {phrase}"
    return f"{lead}: no difference to {phrase} was shown"


def tone(claim: Claim) -> str:
    """Return "better", "worse" or "open": how the headline is coloured."""
    if claim.compared is None:
        return "open"
    if _worst(claim) is not None:
        return "worse"
    return "better" if claim.compared.verdict == "better" else "open"


def contradiction(claim: Claim) -> str:
    """Return what is to be said in red: test favours an arm that validation did not choose; "" where it does not."""
    against = [name for name, compared in claim.comparisons.items() if compared.verdict == "worse"]
    if not against:
        return ""
    others = words.listed([other_phrase(claim, name) for name in against])
    return (
        f"{words.capital(claim.used.phrase)} was fixed on validation, before test was read; test favours {others}. "
        "The recommendation stays, since test may not choose; search longer, or export the other with --arm."
    )


def sentence(claim: Claim, name: str) -> str:
    """Return what the comparison with one arm says.

    Args:
      claim: the claim.
      name: of the other arm.
    """
    compared, metric, phrase = claim.comparisons[name], claim.about, other_phrase(claim, name)
    if _same(claim, name):
        return f"the same pipeline as {phrase}: the search found nothing better on validation"
    low, high = (words.difference(end, metric) for end in (compared.low, compared.high))
    if compared.verdict != "not distinguishable":
        size = metric.apart(abs(compared.difference))
        return f"{size} {compared.verdict} than {phrase} (95 % interval {low} to {high})"
    seen = f"{words.difference(compared.difference, metric)} {metric.difference_unit}".rstrip()
    told = f"no difference to {phrase} was shown: {seen}, but anything from {low} to {high} is possible"
    return f"{told}. {_needed(claim, compared)}"


def evidence(claim: Claim) -> str:
    """Return what the claim rests on, a sentence."""
    runs = words.number_of(len(claim.used.claimed), "training run")
    if claim.evidence == "none":
        return (
            "No claim: there was too little time for one, or the budget has no seeds for it. The recommendation rests "
            "on single validation scores, the best of several, and test was not read."
        )
    each = f"{runs} a pipeline, {words.count(claim.n_test)} test items"
    if claim.evidence == "same seeds":
        return (
            f"{words.capital(each)}. Chosen and tested on the same seeds; the intervals hold for all pairs of "
            "pipelines at once, which makes them wide enough for that."
        )
    together = " The intervals hold for all comparisons at once." if len(claim.comparators) > 1 else ""
    return f"{words.capital(each)}, on seeds that no choice has seen.{together}"


def forecast(claim: Claim) -> str:
    """Return what training the recommended pipeline once more will reach on test, a sentence; "" where not known."""
    if claim.prediction_interval is None:
        return ""
    if len(claim.used.claimed) < FEWEST_FOR_A_FORECAST:
        return "Two runs are too few to say what one more will reach."
    low, high = claim.prediction_interval
    reach = f"{claim.about.number(low)} to {claim.about.text(high)}"
    if claim.about.unit == "%" and high - low > 2 * WIDE:
        return f"Its runs differ too much to rely on: one more may reach anything from {reach}. Train longer."
    return f"Trained once more, it will reach {reach} on test (95 % of the time)."


def distils(arm: Arm) -> bool:
    """Whether an arm reads a teacher."""
    try:
        return from_plain(arm.pipeline).needs_teacher
    except UserError:  # a component is not here, for instance a plug-in's
        return set(arm.pipeline["losses"]) != {"ce"}


def has_teacher(claim: Claim) -> bool:
    """Whether there was a teacher to learn from."""
    return claim.teacher is not None or any(map(distils, claim.arms))


def is_itself(claim: Claim) -> bool:
    """Whether the recommended pipeline is that of the first comparator: the search ended there."""
    return claim.comparator is not None and _same(claim, claim.comparator)


def other_phrase(claim: Claim, name: str) -> str:
    """Return what an arm of a claim is called inside a sentence, given its name."""
    arm = claim.arm(name)
    return name if arm is None else arm.phrase


def _lead(claim: Claim) -> str:
    used = claim.used
    found = " in the recipe that the search found" if used.kind in (KD, ALONE) and used.recipe is None else ""
    use = f"use {used.phrase}{found}"
    return f"Distilling did not pay: {use}" if has_teacher(claim) and not distils(used) else words.capital(use)


def _worst(claim: Claim) -> str | None:
    """Name of the arm that test favours most over the recommended one, if any."""
    worse = [name for name, compared in claim.comparisons.items() if compared.verdict == "worse"]
    return max(worse, key=lambda name: abs(claim.comparisons[name].difference), default=None)


def _same(claim: Claim, name: str) -> bool:
    arm = claim.arm(name)
    return arm is not None and arm.pipeline == claim.used.pipeline


def _needed(claim: Claim, compared: Comparison) -> str:
    design = f"With {words.number_of(len(claim.used.claimed), 'run')} a side and {words.count(claim.n_test)} test items"
    runs, needed = len(claim.used.claimed), compared.seeds_needed
    enough = "a few more runs" if needed is not None and needed <= runs else f"about {needed} runs a side"
    more = f"{enough} would tell this one" if needed else "more runs would not tell this one: the test set is too small"
    return f"{design} only differences above {claim.about.apart(compared.detectable)} would show; {more}"
