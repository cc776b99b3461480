"""The verdict on a study: one of a few, each with its headline; what to use is the claim's word, never that of test.

Two questions decide: does the teacher help, and does the search help beyond plain KD? `judge` answers them with the
claim's own comparisons; `early` says what can be said before there is a claim.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from autokd.metrics import Metric
from autokd.report import words
from autokd.study.arms import ALONE, KD, PICK
from autokd.study.claim import Arm, Claim, Comparison
from autokd.study.failures import grouped
from autokd.study.noise import estimate
from autokd.study.ranking import ranked

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

Tone = Literal["good", "open", "bad", "quiet"]
"""How a headline is coloured; it never says more than the headline."""
Gain = tuple[str, Comparison] | None
"""Name of the arm that is compared with, and the comparison."""
FEW_EPOCHS = 10
"""Trainings that are shorter than this many epochs are named in the headline."""


class Verdict(NamedTuple):
    """What a study comes to.

    Args:
      kind: a short name, the same for all studies that end so.
      title: the headline.
      tone: its colour.
      gain: name of the arm that the headline compares with, and that comparison; None without one.
    """

    kind: str
    title: str
    tone: Tone
    gain: Gain = None


def judge(claim: Claim) -> Verdict:
    """Return the verdict on a claim."""
    against = _worst(claim)
    if not claim.comparisons or claim.comparator is None:
        return Verdict("untested", f"{_use(claim)}: the best on validation; nothing was compared on test", "open")
    if against is not None:
        title = f"{_use(claim)}: fixed on validation; test favours {other_phrase(claim, against)}"
        return Verdict("contradicted", title, "bad", (against, claim.comparisons[against]))
    verdict = _distilled(claim) if claim.used.distils else _on_labels(claim)
    few = f", after {words.number_of(claim.epochs, 'epoch')}" if claim.epochs < FEW_EPOCHS else ""
    return verdict._replace(title=f"{verdict.title}{few}")


def headline(claim: Claim) -> str:
    """Return the decision in a few words."""
    return judge(claim).title


def early(study: StudyStore) -> Verdict:
    """Return what there is to say of a study without a claim."""
    trials, metric = study.records.trials, study.objective.metric
    if study.best is None:
        failed = grouped(trials.values())
        if not failed:
            return Verdict("empty", "No trial has finished yet", "quiet")
        reasons = ", ".join(f"{len(group.trials)} × {group.kind.replace('_', ' ')}" for group in failed)
        return Verdict("failed", f"Nothing was trained: {reasons}", "bad")
    done = f"{len(trials)}{_of_all(study)} trials"
    return Verdict("running", f"Not finished: {done}{_leader(study, metric)}", "quiet")


def amount(compared: Comparison, metric: Metric) -> str:
    """Return a difference with its interval: "+1.9 points [+0.8, +3.0]"."""
    low, high = (words.difference(end, metric) for end in (compared.low, compared.high))
    seen = f"{words.difference(compared.difference, metric)} {metric.difference_unit}".rstrip()
    return f"{seen} [{low}, {high}]"


def has_teacher(claim: Claim) -> bool:
    """Whether there was a teacher to learn from."""
    return claim.teacher is not None or any(arm.distils for arm in claim.arms)


def other_phrase(claim: Claim, name: str) -> str:
    """Return what an arm of a claim is called inside a sentence, given its name."""
    arm = claim.arm(name)
    if arm is None:
        return name
    return "plain KD by hand" if arm.recipe == KD else arm.phrase


def is_plain_kd(claim: Claim, arm: Arm) -> bool:
    """Whether an arm is plain KD, matched or by hand, or the same pipeline as one that is."""
    return any(KD in (other.kind, other.recipe) and other.pipeline == arm.pipeline for other in (arm, *claim.arms))


def _distilled(claim: Claim) -> Verdict:
    """The verdict where what is to be used reads the teacher."""
    over_kd, over_alone = _over(claim, _kd_names(claim)), _over(claim, _names_without_teacher(claim))
    if is_plain_kd(claim, claim.used):
        if _is_gain(over_alone):
            title = f"{_use(claim)}: {_over_what(claim, over_alone)}; the search found nothing better"
            return Verdict("plain_kd", title, "good", over_alone)
        return _no_gain(claim, _use(claim), over_alone)
    if _is_gain(over_kd) and _is_gain(over_alone) and _is_harder(claim, over_alone, over_kd):
        beside = f"and {_less(claim, over_kd)}"
        return Verdict("distilled", f"{_use(claim)}: {_over_what(claim, over_alone)}, {beside}", "good", over_alone)
    if _is_gain(over_kd):
        return Verdict("distilled", f"{_use(claim)}: {_over_what(claim, over_kd)}", "good", over_kd)
    if _is_gain(over_alone):
        level = "; plain KD may do as well" if over_kd is not None else ""
        title = f"{_use(claim)}: {_over_what(claim, over_alone)}{level}"
        return Verdict("like_kd", title, "good", over_alone)
    return _no_gain(claim, _use(claim), over_alone)


def _on_labels(claim: Claim) -> Verdict:
    """The verdict where what is to be used reads no teacher."""
    if not has_teacher(claim):
        gain = _over(claim, claim.comparisons)
        if _is_gain(gain):
            return Verdict("no_teacher", f"{_use(claim)}: {_over_what(claim, gain)}", "good", gain)
        return _no_gain(claim, _use(claim))
    gain = _over(claim, [name for name in claim.comparisons if name not in _names_without_teacher(claim)])
    if claim.used.kind == PICK:
        title = "Train the student on labels alone: the search itself found no use for the teacher"
        return Verdict("pick_without_teacher", title, "open", gain)
    brought = f"distilling brought no gain that {words.count(claim.n_test)} test samples can show"
    return Verdict("labels_alone", f"Train the student on labels alone: {brought}", "open", gain)


def _no_gain(claim: Claim, lead: str, gain: Gain = None) -> Verdict:
    """The verdict where nothing was shown: against the arm without a teacher, or else the claim's first one."""
    name = claim.comparator if gain is None else gain[0]
    assert name is not None
    other, shown = other_phrase(claim, name), f"that {words.count(claim.n_test)} test samples can show"
    if _same(claim, name):
        return Verdict("itself", f"{lead}: the search found nothing better than {other}", "open")
    return Verdict("no_gain", f"{lead}: no gain over {other} {shown}", "open", (name, claim.comparisons[name]))


def _use(claim: Claim) -> str:
    """What to use, at the beginning of a headline."""
    if claim.used.distils:
        plain = f"Distil with plain KD{' by hand' if claim.used.recipe == KD else ''}"
        return plain if is_plain_kd(claim, claim.used) else "Use the distilled student"
    return "Train the student on labels alone" if has_teacher(claim) else f"Use {claim.used.phrase}"


def _over(claim: Claim, names: Iterable[str]) -> Gain:
    """The first comparison with one of these arms, and what that is called; one that is the same pipeline is none."""
    found = [name for name in names if name in claim.comparisons and not _same(claim, name)]
    return (found[0], claim.comparisons[found[0]]) if found else None


def _over_what(claim: Claim, gain: Gain) -> str:
    assert gain is not None
    name, compared = gain
    less = "" if claim.about.higher_is_better else " (less is better)"
    other = claim.arm(name)
    what = "no teacher" if other is not None and other.kind == ALONE else other_phrase(claim, name)
    return f"{amount(compared, claim.about)} over {what}{less}"


def _less(claim: Claim, gain: Gain) -> str:
    """A gain without its interval: "+10.0 over plain KD by hand"."""
    assert gain is not None
    return f"{words.difference(gain[1].difference, claim.about)} over {other_phrase(claim, gain[0])}"


def _is_harder(claim: Claim, gain: Gain, other: Gain) -> bool:
    """Whether the first arm is the harder one to beat: training without a teacher may do better than plain KD."""
    assert gain is not None and other is not None
    return claim.about.score(gain[1].difference) < claim.about.score(other[1].difference)


def _is_gain(gain: Gain) -> bool:
    return gain is not None and gain[1].verdict == "better"


def _kd_names(claim: Claim) -> list[str]:
    """Arms that are plain KD, the one that is matched to the pick first: it is the harder one to beat."""
    arms = [arm for arm in claim.arms if is_plain_kd(claim, arm)]
    return [arm.name for arm in sorted(arms, key=lambda arm: arm.kind != KD)]


def _names_without_teacher(claim: Claim) -> list[str]:
    """Arms that read no teacher, the one that is matched to the pick first."""
    arms = [arm for arm in claim.arms if not arm.distils]
    return [arm.name for arm in sorted(arms, key=lambda arm: arm.kind != ALONE)]


def _worst(claim: Claim) -> str | None:
    """Name of the arm that test favours most over the recommended one, if any."""
    worse = [name for name, compared in claim.comparisons.items() if compared.verdict == "worse"]
    return max(worse, key=lambda name: abs(claim.comparisons[name].difference), default=None)


def _same(claim: Claim, name: str) -> bool:
    arm = claim.arm(name)
    return arm is not None and arm.pipeline == claim.used.pipeline


def _of_all(study: StudyStore) -> str:
    """ " of 24" where the number of trials is known."""
    asked = study.settings.setting("trials")
    return f" of {asked:,}" if isinstance(asked, int) else ""


def _leader(study: StudyStore, metric: Metric) -> str:
    """What the best trial has so far, and what seeds alone do to it."""
    best = ranked(study.records.trials.values())[0]
    assert best.score is not None
    noise = estimate(study.records)
    spread = "" if noise is None else f", noise {metric.apart(noise.sd)}"
    after = words.number_of(best.rungs[-1].epochs, "epoch")
    return f", leader {words.quality(metric.value(best.score), metric)} on validation after {after}{spread}"
