"""Checks of what is recommended: whether it learned something, can be believed, and serves every class."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autokd.calibration import Bin
from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.checks.facts import interval
from autokd.study.claim import Claim
from autokd.study.learned import FARTHEST, Answered
from autokd.study.majority import FAIR, Majority, majority

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts

OFF = 0.05
"""Calibration error that matters: a model that says 90 % is then right in 85 %."""
TIMES, LEAST_OFF = 2.0, 0.02
"""A student whose error is so many times its teacher's lost something on the way; less than the second is harmless."""
DRAWS, SURE = 400, 0.95
"""Draws of answers that are as right as their confidences say, and the share of them that has a smaller error."""
NOT_KEPT = "the answers on test are not kept"


def learned_something(facts: Facts) -> Found | None:
    """Whether the recommended student knows more than the commonest class."""
    claim = facts.claim
    if claim is None:
        return None
    metric, (value, common, split) = claim.about, _beside_commonest(facts, claim)
    if value is None or common is None:
        return unknown("The student was not compared with guessing: the classes' counts are not known.")
    values = f"{metric.text(value)} on {split}, {metric.text(common.value)} for always giving the commonest class"
    if metric.score(value) > metric.score(common.value) + common.error:
        return passed(f"The student knows more than guessing: {values}.")
    todo = "" if metric.name in FAIR else f"Try --objective {FAIR[0]} or {FAIR[1]}, train longer, or look at the data."
    return stop(f"The student learned nothing: {values}.", todo)


def _beside_commonest(facts: Facts, claim: Claim) -> tuple[float | None, Majority | None, str]:
    """The student's value, that of the commonest class, and the split that both are of: test, where it was read."""
    data, used = facts.study.settings.data, claim.used
    if used.test and sum(claim.test_counts):
        return statistics.fmean(used.test), majority(data.counts("train"), claim.test_counts, claim.about), "test"
    runs = next((used.runs[purpose] for purpose in ("choose", "explore", "claim") if used.runs.get(purpose)), ())
    value = statistics.fmean(run.validation for run in runs) if runs else None
    return value, data.majority("validation", claim.about), "validation"


def beats_plain_models(facts: Facts) -> Found | None:
    """Whether a model that takes five lines to write is better."""
    claim, plain = facts.claim, facts.plain
    if claim is None:
        return None
    if plain is None:
        return unknown("The student was not compared with plain models: none has answered on test.")
    metric = claim.about
    seen = interval(metric, plain.difference, plain.low, plain.high)
    if plain.is_better(metric):
        return stop(f"A plain model is better: {metric.text(plain.test)} with {plain.name}; the student is {seen}.")
    what = f"the best plain model, {plain.name} with {metric.text(plain.test)} on test"
    if min(metric.score(plain.low), metric.score(plain.high)) > 0:
        return passed(f"The student is better than {what}: {seen}.")
    return warn(f"The student cannot be told from {what}: {seen}.", "See whether the plain model does as well for you.")


def calibrated(facts: Facts) -> Found | None:
    """Whether confidences can be taken at their word."""
    if facts.claim is None:
        return None
    used, learned = facts.used, facts.learned
    if used is None or learned is None:
        return unknown(f"Calibration was not measured: {NOT_KEPT}.")
    teacher = learned.teacher
    beside = "" if teacher is None else f", the teacher's by {100 * teacher.calibration_error:.1f}"
    says = f"confidence is off by {100 * used.calibration_error:.1f} points{beside}"
    by_chance = chance_error(used.bins, int(learned.counts.sum()))
    if not _is_off(used, teacher) or used.calibration_error <= by_chance:
        return passed(f"Confidences can be relied on: {says}.")
    left = f"{100 * used.calibrated_error:.1f}"
    if used.calibrated_error > max(OFF, by_chance):
        todo = "Do not use its probabilities as they are; give it more validation samples, or calibrate it on your own."
        return stop(f"Badly calibrated: {says}, and a fitted temperature leaves {left}.", todo)
    how = "Badly calibrated" if used.calibration_error > OFF else "Calibrated worse than the teacher"
    return warn(f"{how}: {says}. The temperature in its bundle leaves {left}.")


def _is_off(used: Answered, teacher: Answered | None) -> bool:
    more = teacher is not None and used.calibration_error > max(LEAST_OFF, TIMES * teacher.calibration_error)
    return more or used.calibration_error > OFF


def chance_error(bins: Sequence[Bin], items: int) -> float:
    """Return the calibration error that answers as right as their confidences say stay below in 95 % of draws.

    Source: consistency resampling, Bröcker and Smith, Weather and Forecasting 22 (2007), 651-661.

    Args:
      bins: of a reliability diagram, of one run or of several.
      items: of one run.
    """
    there = [each for each in bins if each.items]
    share = np.array([each.items for each in there]) / sum(each.items for each in there)
    confidence = np.clip([each.confidence for each in there], 0.0, 1.0)
    counts = np.maximum(1, np.round(share * items)).astype(int)
    right = np.random.default_rng(0).binomial(counts, confidence, size=(DRAWS, len(there))) / counts
    return float(np.quantile((np.abs(right - confidence) * share).sum(-1), SURE))


def serves_every_class(facts: Facts) -> Found | None:
    """Whether a class is known far worse than the others."""
    claim = facts.claim
    if claim is None:
        return None
    used, learned = facts.used, facts.learned
    if used is None or learned is None:
        return unknown(f"Classes were not looked at: {NOT_KEPT}.")
    classes, worst = facts.study.task.classes, learned.worst_class(claim.use)
    if worst is None:
        lowest = int(np.nanargmin(used.by_class))
        least = f"class {classes[lowest]} with {100 * used.by_class[lowest]:.1f} %"
        return passed(
            f"No class is far below the others; the lowest is {least} of {int(learned.counts[lowest]):,} samples."
        )
    index, below = worst
    share, of = used.by_class[index], f"{int(learned.counts[index]):,} test samples of class {classes[index]}"
    mean = f"{100 * used.accuracy:.1f} % on all"
    if share == 0:
        return stop(f"None of the {of} is recognised, against {mean}.")
    return warn(f"{100 * share:.1f} % of the {of} are right, against {mean}: {below:.1f} standard deviations below.")


RULES = (
    Rule(
        number=5,
        title="Student and guessing",
        means="A student that is no better than always giving the commonest class has learned nothing, however high "
        "its accuracy is.",
        how="The recommended student's mean test value (on validation, if test was not read), next to that of "
        "always giving the commonest class of the training samples. This check stops if the student is better by no "
        "more than one standard error of that value.",
        todo="Train longer, or look at the data.",
        look=learned_something,
    ),
    Rule(
        number=6,
        title="Student and plain models",
        means="If logistic regression does as well, nobody needs a network, a teacher or a search.",
        how="Four plain models are trained on the same samples: the commonest class, logistic regression, nearest "
        "neighbour and boosted trees. The student minus the best of them (by validation), on test, with a 95 % "
        "bootstrap interval over samples and seeds. This check stops if the whole interval is on the plain model's "
        "side, and warns if it contains 0.",
        todo="Use the plain model, or give the student more room (--max-params), more epochs or more data.",
        look=beats_plain_models,
    ),
    Rule(
        number=7,
        title="Calibration",
        means="A model is calibrated if 90 % of the answers that it gives with 90 % confidence are right. "
        "Thresholds, abstaining and costs of errors all rest on that.",
        how="The expected calibration error (Guo et al. 2017; 15 bins) of the recommended student on test, mean "
        f"over seeds. This check warns above {100 * OFF:g} points, or above {TIMES:g} times the teacher's if that is "
        f"more than {100 * LEAST_OFF:g} points. It does so only if so few samples would not show such an error by "
        "chance (95 % of draws from the confidences themselves show less). A temperature is fitted on validation "
        f"and kept in the bundle. If it leaves more than {100 * OFF:g} points, the check stops.",
        todo="Use the probabilities of autokd predict or student.predict, which use that temperature, not the "
        "softmax of the logits.",
        look=calibrated,
    ),
    Rule(
        number=8,
        title="Worst class",
        means="A good mean can hide a class that is hardly ever recognised.",
        how="The recommended student's accuracy on each class of the test split, mean over seeds. This check warns "
        f"if a class lies more than {FARTHEST:g} standard deviations (of a share of so many samples) below the "
        "overall accuracy, and stops if none of its samples is right.",
        todo="Look at its samples and its confusions. More training samples of it help most; then try --objective "
        f"{FAIR[0]}.",
        look=serves_every_class,
    ),
)
