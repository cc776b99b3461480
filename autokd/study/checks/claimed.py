"""Checks of the claim: whether test agrees with what validation chose, and what it can show at all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.checks.facts import interval, number_of
from autokd.study.claim import Claim
from autokd.study.design import POINTS, SHARE
from autokd.study.intervals import LEVEL
from autokd.study.split_reads import INT8, reads_of_test

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts

FEWEST_DF = 5
"""Degrees of freedom below which a standard deviation may be off by a factor of 2.5 (95 % interval)."""


def agrees_on_test(facts: Facts) -> Found | None:
    """Whether test favours another arm than the one that validation chose."""
    claim = facts.claim
    if claim is None or not claim.comparisons:
        return None
    metric = claim.about
    worse = {name: found for name, found in claim.comparisons.items() if found.verdict == "worse"}
    if not worse:
        return passed("On test, nothing that it was compared with is better than what validation chose.")
    name = max(worse, key=lambda each: abs(worse[each].difference))
    found, arm = worse[name], claim.arm(name)
    other, seen = name if arm is None else arm.phrase, interval(metric, found.difference, found.low, found.high)
    return stop(f"Test favours {other}: {claim.phrase_of(claim.used)} is {seen} beside it.")


def shows_what_matters(facts: Facts) -> Found | None:
    """Whether the claim could have shown a difference that matters."""
    claim = facts.claim
    if claim is None:
        return None
    if claim.compared is None:
        return warn(
            "There is no claim on test: what is recommended is the best of several validation scores, which flatters.",
            "Search with more --time, or with seeds for a claim in the budget.",
        )
    metric, seen, matters = claim.about, claim.compared.detectable, _matters(claim)
    samples, runs = number_of(claim.n_test, "test sample"), number_of(len(claim.used.claimed), "run")
    says = f"{samples} and {runs} a side show differences from {metric.apart(seen)}"
    if seen <= matters:
        return passed(f"{says}; {metric.apart(matters)} would matter.")
    more = claim.compared.seeds_needed
    todo = f"About {more} runs a side would tell this difference." if more else ""
    return warn(f"{says}, but {metric.apart(matters)} would matter.", todo)


def _matters(claim: Claim) -> float:
    """The smallest difference of test values that matters: as in the design, by the first comparator's error."""
    other = None if claim.comparator is None else claim.arm(claim.comparator)
    values = (other or claim.used).test
    metric = claim.about
    error = metric.score(metric.perfect) - metric.score(sum(values) / len(values)) if values else 0.0
    return max(POINTS, SHARE * error)


def read_once(facts: Facts) -> Found | None:
    """Whether the test split was read more than once."""
    times = sum(read.why != INT8 for read in reads_of_test(facts.study.path))
    if facts.claim is None and not times:
        return None
    if times > 1:
        return warn(f"The test split was read {times} times: each claim after the first is on samples already seen.")
    return passed("The test split was read once." if times else "The test split was never read.")


def noise_is_known(facts: Facts) -> Found | None:
    """Whether the spread between seeds is known well enough."""
    from scipy import stats

    noise, metric = facts.noise, facts.metric
    if noise is None:
        if not facts.records.trials:
            return None
        return unknown("How much seeds alone move a score is not known: nothing was trained under two seeds.")
    low, high = (noise.sd * math.sqrt(noise.df / end) for end in stats.chi2.interval(LEVEL, noise.df)[::-1])
    between = f"anything from {metric.number(low)} to {metric.number(high)} is possible"
    says = f"Seeds alone move a score by {metric.apart(noise.sd)} ({noise.df} degrees of freedom; {between})"
    return passed(f"{says}.") if noise.df >= FEWEST_DF else warn(f"{says}.")


RULES = (
    Rule(
        number=9,
        title="Test and validation",
        means="The recommendation is fixed on validation before test is read. If test clearly favours another arm, "
        "one of the two splits misleads.",
        how="This check stops if the 95 % interval of one of the claim's comparisons lies entirely on the other "
        "arm's side.",
        todo="Search longer or with more validation samples, or export the other arm with autokd export --arm.",
        look=agrees_on_test,
    ),
    Rule(
        number=10,
        title="What test can show",
        means="That no difference was shown may only mean that the test set is too small to show one.",
        how="The smallest true difference that the claim detects with 80 % power, next to the smallest one that "
        f"matters: {POINTS:g} of what the metric is counted in, or {100 * SHARE:g} % of the error of the other arm. "
        "This check warns if the first is larger, and if there is no claim on test at all.",
        todo="More runs cannot show so small a difference on this test set. Get more test samples.",
        look=shows_what_matters,
    ),
    Rule(
        number=11,
        title="Reads of the test split",
        means="Every look at the test split that is followed by a choice makes the next result on it too good.",
        how="The lines of test_reads.jsonl in the study's folder, but for those that measure the claimed student in 8 "
        "bits: nothing is chosen by them. This check warns from the second one on.",
        todo="Believe the first claim. For another one, get test samples that nobody has seen.",
        look=read_once,
    ),
    Rule(
        number=12,
        title="Noise between seeds",
        means="How much a score changes with the seed decides how many seeds are enough. A bad estimate gives too few.",
        how="The standard deviation of runs that differ only in their seed, pooled over pipelines, with its 95 % "
        f"interval (chi-square). This check warns below {FEWEST_DF} degrees of freedom.",
        todo="Give the budget more noise_seeds, or the search more --time.",
        look=noise_is_known,
    ),
)
