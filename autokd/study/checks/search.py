"""Checks of the search: whether it looked far enough, long enough, and at enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from autokd.study import edges, failures
from autokd.study.arms import kind_of
from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.checks.facts import number_of
from autokd.study.claim import Arm, Claim
from autokd.study.design import POINTS
from autokd.study.fidelity import FEWEST, GOOD, interval, short_predicts_long
from autokd.study.settling import FEWEST as FEWEST_TRIALS
from autokd.study.settling import LATE, settling
from autokd.study.training import training_of

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts
    from autokd.study.fidelity import Agreement

SURE = 2.0
"""Standard deviations of a difference of two runs that chance hardly reaches."""
FAILED = 0.1
"""Share of failed trials from which on they are more than bad luck."""


def inside_its_ranges(facts: Facts) -> Found | None:
    """Whether values of the recommended pipeline lie on an end of their range."""
    claim = facts.claim
    if claim is None or claim.used.recipe is not None:
        return None
    kind = kind_of(claim.used.kind)
    given = () if kind is None or kind.losses is None else ("losses",)  # a baseline's are not drawn
    drawn = {slot: value for slot, value in claim.used.pipeline.items() if slot not in given}
    found = edges.words(drawn, facts.study.settings.identity.space)
    found += list(_grid_edge(facts, claim, claim.used))
    if not found:
        return passed("No value of the recommended pipeline lies on an end of its range.")
    return warn(f"The best value lies on the end of its range: {'; '.join(found)}.")


def _grid_edge(facts: Facts, claim: Claim, arm: Arm) -> Iterator[str]:
    """The end of the tuning grid where it is better than its neighbour by more than seeds alone make it."""
    runs = {
        float(r.variant.rpartition(" x")[2] or 1): claim.about.score(r.validation) for r in arm.runs.get("tune", ())
    }
    order = sorted(runs)
    if len(order) < edges.FEWEST:
        return
    spread = 0.0 if facts.noise is None else facts.noise.sd
    for end, next_to, name in ((order[0], order[1], "lowest"), (order[-1], order[-2], "highest")):
        if runs[end] == max(runs.values()) and runs[end] - runs[next_to] > spread:
            yield f"the learning rate is {end:g} times the drawn one, the {name} that was tried when it was tuned"


def has_levelled_off(facts: Facts) -> Found | None:
    """Whether the pick still gained much from its last, longest training."""
    pick = facts.pick
    if pick is None or not pick.rungs:
        return None
    if len(pick.rungs) < 2:
        return unknown("Whether longer training would pay is not known: the pick was trained at one length only.")
    before, last = pick.rungs[-2:]
    noise, metric = facts.noise, facts.metric
    gained, least = last.score - before.score, max(POINTS, 0.0 if noise is None else SURE * math.sqrt(2) * noise.sd)
    says = f"from {before.epochs} to {last.epochs} epochs the pick gained {metric.apart(gained)}".replace("-", "−")
    if gained <= least:
        return passed(f"Longer training has hardly anything left to give: {says}.")
    return warn(f"Still rising at the end: {says}, more than {metric.apart(least)}.")


def is_trained_as_measured(facts: Facts) -> Found | None:
    """Whether the figures are for as many epochs and samples as the student is trained for in the end."""
    claim, study = facts.claim, facts.study
    if claim is None:
        return None
    training = training_of(facts.records.trainings, claim.round)
    full = study.settings.identity.budget_of(claim.trials).train_epochs
    epochs = training.epochs if training is not None and training.epochs else full
    plan = study.settings.time_plan
    less = [] if epochs == claim.epochs else [f"{number_of(claim.epochs, 'epoch')}, not the {epochs} of full training"]
    if plan is not None and plan.limit_train is not None:
        whole = "all" if plan.whole_train is None else f"{plan.whole_train:,}"
        less.append(f"{study.settings.data.train:,} training samples, not {whole} of them")
    if not less:
        return passed(f"Figures are for {number_of(claim.epochs, 'epoch')}, as many as full training has.")
    return warn(f"All figures are for {' and '.join(less)}; what that reaches was not measured.")


def short_predicts(facts: Facts) -> Found | None:
    """Whether short trainings order pipelines like long ones."""
    found = short_predicts_long(facts.records)
    if not found:
        return None
    weak = [each for each in found if each.verdict == "weak"]
    known = [each for each in found if each.verdict in ("strong", "moderate")]
    worst = min(weak or known or found, key=_caution)
    if weak:
        return warn(f"Short runs do not predict long ones: {_told(worst)}.")
    if known:
        return passed(f"Short runs predict long ones: {_told(worst)}.")
    return unknown(f"Whether short runs predict long ones is not known: {worst.why}.")


def _caution(agreement: Agreement) -> tuple[int, float]:
    """The fewest epochs first, then the lowest correlation."""
    return agreement.shorter, 1.0 if agreement.tau is None else agreement.tau.tau


def _told(agreement: Agreement) -> str:
    longer = "means over seeds at full length" if agreement.longer is None else f"those after {agreement.longer}"
    pairs = number_of(agreement.n, "trial")
    return (
        f"scores after {number_of(agreement.shorter, 'epoch')} against {longer}, tau {interval(agreement.tau)}, {pairs}"
    )


def has_settled(facts: Facts) -> Found | None:
    """Whether the best trial came early enough for more trials hardly to pay."""
    found = settling(facts.records)
    if found is None:
        return None
    if not found.known:
        return unknown(f"Whether more trials would pay is not known: there are {found.trials}.")
    says = f"trial {found.first} of {found.trials} is the first that is as good as the best, but for the noise"
    return warn(f"Still improving at the end: {says}.") if found.late else passed(f"The search has settled: {says}.")


def went_through(facts: Facts) -> Found | None:
    """Whether trials failed, and of what."""
    trials = facts.records.trials.values()
    if not trials:
        return None
    groups = failures.grouped(trials)
    failed = sum(len(group.trials) for group in groups)
    if not failed:
        return passed(f"None of {number_of(len(trials), 'trial')} failed.")
    kinds = ", ".join(f"{len(group.trials)} × {group.kind.replace('_', ' ')} ({group.reason})" for group in groups[:3])
    more = f", and {number_of(len(groups) - 3, 'reason')} more" if len(groups) > 3 else ""
    says = f"{failed} of {number_of(len(trials), 'trial')} failed: {kinds}{more}."
    remedy = f"{groups[0].remedy[:1].upper()}{groups[0].remedy[1:]}."
    if failed == len(trials):
        return stop(f"Nothing was trained. {says}", remedy)
    return warn(says, remedy) if failed > FAILED * len(trials) else passed(says)


RULES = (
    Rule(
        number=13,
        title="Ends of ranges",
        means="If the best value is at the end of its range, better ones may lie beyond.",
        how="Numbers of the recommended pipeline that are the lowest or highest value of the space (except 0, and "
        "ends that follow from a limit on the student's cost). Also a learning rate at the end of its tuning grid, "
        "if it beats the next point by more than the noise. Published recipes and losses of baselines are left out.",
        todo="Widen these ranges in the space file and search again.",
        look=inside_its_ranges,
    ),
    Rule(
        number=14,
        title="Still rising",
        means="A pipeline that gained much from longer training may gain again, and another pipeline may then be "
        "the best.",
        how="The pick's score at the longest rung minus that at the rung before; each is the end of a complete "
        f"schedule. This check warns if the gain is larger than {POINTS:g} of what the metric is counted in, and "
        f"larger than {SURE:g} standard deviations of a difference of two runs.",
        todo="Search with more epochs (--epochs), or train longer and measure again.",
        look=has_levelled_off,
    ),
    Rule(
        number=15,
        title="Measured and trained",
        means="The figures of a study hold for the epochs and samples of its claim. A student that is trained "
        "longer, or on more data, is usually better, but nobody has measured it.",
        how="The claim's epochs next to those of autokd train (or of --train), and its training samples next to all "
        "of them. This check warns if they differ.",
        todo="After training, measure it on samples of your own, or search with as many epochs.",
        look=is_trained_as_measured,
    ),
    Rule(
        number=16,
        title="Short and long runs",
        means="Most pipelines were given up after a short training. That is right only if short runs order "
        "pipelines as long ones do.",
        how="Kendall's tau between the scores of the same trials after a short and a long training, with a 95 % "
        f"bootstrap interval. This check warns if the interval ends below {GOOD:g}, unless the trials hardly differ "
        f"more than seeds do. With fewer than {FEWEST} trials, or a wide interval, nothing is known.",
        todo="Search with a longer first rung, or with more epochs in all.",
        look=short_predicts,
    ),
    Rule(
        number=17,
        title="Last improvement",
        means="If the best trial came near the end, more trials are likely to find a better one.",
        how="The first trial at full length whose score is the best, or within the noise between seeds of it. This "
        f"check warns if that trial is in the last {100 * (1 - LATE):.0f} %. With fewer than {FEWEST_TRIALS} trials "
        "nothing is known.",
        todo="Run the same command with more --trials or more --time.",
        look=has_settled,
    ),
    Rule(
        number=18,
        title="Failed trials",
        means="A trial that fails is left out of the comparison, and the search goes elsewhere. With many failures, "
        "a part of the space was never tried.",
        how=f"Failed trials by kind and reason. It warns where more than {100 * FAILED:g} % of the trials failed, and "
        "stops where all did.",
        todo="Read log.txt in the study's folder.",
        look=went_through,
    ),
)
