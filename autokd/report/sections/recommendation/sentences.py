"""What a claim says, in words that need no statistics: one sentence a comparison, what it rests on, what to expect."""

from __future__ import annotations

from autokd.report import words
from autokd.report.sections.recommendation.verdict import amount, other_phrase
from autokd.study.claim import Claim, Comparison
from autokd.study.means import Mean

FEWEST_FOR_A_FORECAST = 3
"""Runs of which the spread says what one more will reach."""
WIDE = 0.1
"""A forecast that is wider, in shares, says that the student is too noisy to use."""
NEAR = 0.01
"""Arms whose difference certainly lies within this, in shares, are practically equal."""


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
    other = claim.arm(name)
    if other is not None and other.pipeline == claim.used.pipeline:
        return f"The same pipeline as {phrase}: the search found nothing better on validation."
    seen = amount(compared, metric)
    if compared.verdict != "not distinguishable":
        return f"{words.capital(compared.verdict)} than {phrase}: {seen}."
    if metric.unit == "%" and max(abs(compared.low), abs(compared.high)) <= NEAR:
        return f"Practically equal to {phrase}: {seen}."
    noticed = f"We would have noticed {metric.apart(compared.detectable)} or more."
    return f"No gain over {phrase}: {seen}. {noticed} {_needed(claim, compared)}"


IN_8_BITS = ", each student scored by its file in 8 bits (teacher and plain models are as they are)"


def evidence(claim: Claim) -> str:
    """Return what the claim rests on, a sentence."""
    runs = words.number_of(len(claim.used.claimed), "training run")
    if claim.evidence == "none":
        return (
            "No claim: there was too little time for one, or the budget has no seeds for it. The recommendation rests "
            "on single validation scores, the best of several, and test was not read."
        )
    each = f"{runs} a pipeline, {words.count(claim.n_test)} test items{IN_8_BITS if claim.about.quantised else ''}"
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
    return f"Train it once more and expect {reach} on test (95 % of the time)."


def closed(claim: Claim, share: Mean | None) -> str:
    """Return how much of the gap to the teacher is closed, a sentence; "" where there is no gap to speak of."""
    if share is None or not claim.used.distils:
        return ""
    low, high = (f"{100 * end:.0f}".replace("-", "−") for end in (share.low, share.high))
    return f"Closes {100 * share.value:.0f} % [{low}, {high}] of the gap from no teacher to the teacher."


def _needed(claim: Claim, compared: Comparison) -> str:
    needed, runs = compared.seeds_needed, len(claim.used.claimed)
    if needed is None:
        return "More seeds will not settle it; a larger test set might."
    return "A few more runs would settle it." if needed <= runs else f"About {needed} runs a side would settle it."
