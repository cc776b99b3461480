"""The card at the top of the page: what to use, how good it is, whether the gain is real, and what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import words
from autokd.report.sections.recommendation.facts import Decision, best_so_far, bundle_of
from autokd.report.sections.recommendation.sentences import closed
from autokd.report.sections.recommendation.verdict import amount, has_teacher, other_phrase
from autokd.study.arms import PICK
from autokd.study.claim import Claim
from autokd.study.int8 import measured_int8
from autokd.study.means import means_of

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


COMPARED = {"params": ("smaller", "larger"), "macs": ("fewer MACs", "more MACs"), "latency": ("faster", "slower")}
"""What a student is called that takes less than the teacher, and more, by the cost."""


class Cell(NamedTuple):
    """One of the questions.

    Args:
      asked: the question, in a word or two.
      answer: in a few words.
      below: lines in small type.
    """

    asked: str
    answer: str
    below: tuple[str, ...]


def card(study: StudyStore, decision: Decision | None) -> list[Cell]:
    """Return the cells; [] where no trial has a score."""
    if decision is None:
        return _early(study)
    claim = decision.claim
    return [
        Cell("Use", _used(claim), tuple(_trained_with(study, claim))),
        Cell("How good", *_how_good(study, decision)),
        Cell("Is the gain real?", *_real(study, decision)),
        Cell("What it costs", *_cost(study, claim)),
    ]


def _used(claim: Claim) -> str:
    student = words.student_in_words(claim.used.pipeline)
    return student if claim.used.distils or not has_teacher(claim) else f"{student}, no teacher"


def _trained_with(study: StudyStore, claim: Claim) -> Iterator[str]:
    from autokd.recipes.rules import rule_of  # torch comes with it

    pipeline = claim.used.pipeline
    rest = [str(pipeline[slot]["use"]) for slot in ("augment", "optimizer") if slot in pipeline]
    yield ", ".join([words.losses(pipeline), *(name for name in rest if name != "none")])
    rule = None if claim.used.recipe is None else rule_of(claim.used.recipe)
    yield claim.used.title if rule is None else f"published recipe: {rule.title}"
    yield from _taught(study, claim)


def _taught(study: StudyStore, claim: Claim) -> Iterator[str]:
    """The rule of past studies that the pick was tried as, if it was."""
    past, trial = study.settings.past, study.records.trials.get(claim.trial)
    if past is None or trial is None or trial.published or claim.used.kind != PICK:
        return
    advised = past.rule(trial.recipe)
    if advised is not None:
        yield f"a rule of past studies: {advised.title}"


def _how_good(study: StudyStore, decision: Decision) -> tuple[str, tuple[str, ...]]:
    claim, metric = decision.claim, decision.metric
    mean = means_of(study.path, claim).of(claim.use)
    if mean is None:
        chosen = next(row for row in decision.rows if row.recommended).validation
        value = f"{metric.text(statistics.fmean(chosen))} on validation" if chosen else "not trained to the end"
        return value, ("the best of several, which flatters it",)
    seeds = words.number_of(len(claim.used.test), "seed")
    below = [f"95 %: {metric.number(mean.low)} to {metric.number(mean.high)}, {seeds}"]
    if claim.teacher is not None:
        below.append(f"the teacher has {words.quality(claim.teacher.test, metric)}")
    return f"{words.quality(mean.value, metric)} test {metric.title}", tuple(below)


def _real(study: StudyStore, decision: Decision) -> tuple[str, tuple[str, ...]]:
    claim, metric, gain = decision.claim, decision.metric, decision.verdict.gain
    if gain is None:
        known = "it is the same pipeline" if claim.comparisons else "test was not read"
        return "Not compared", (known,)
    name, compared = gain
    answer = {"better": "Yes", "worse": "No, it is a loss"}.get(compared.verdict, "No gain shown")
    below = [f"{amount(compared, metric)} against {other_phrase(claim, name)}"]
    if compared.verdict == "not distinguishable":
        below.append(f"under {metric.apart(compared.detectable)} this study is blind")
    share = None if claim.alone is None else means_of(study.path, claim).gap_closed(claim.use, claim.alone.name)
    text = closed(claim, share)
    return answer, (*below, *([text] if text else []))


def _cost(study: StudyStore, claim: Claim) -> tuple[str, tuple[str, ...]]:
    cost, below = claim.used.cost, list(_beside_teacher(study, claim))
    size = f"{words.count(cost['params'])} parameters"
    if "macs" in cost:
        size += f", {words.compact(cost['macs'])} MACs"
    measured = [words.milliseconds(cost["latency"])] if "latency" in cost else []
    measured += [words.size(cost["size"])] if "size" in cost else []
    measured += [f"{words.size(cost['size_int8'])} in 8 bits"] if "size_int8" in cost else []
    return size, (*below, *([", ".join(measured)] if measured else []), *_in_int8(study), _trained_for(claim))


def _in_int8(study: StudyStore) -> Iterator[str]:
    """What the student that is handed on takes and loses in 8 bits, where that was measured."""
    found = measured_int8(bundle_of(study) or study.path / "best")
    if found is not None:
        smaller = f"{words.size(found.size)} in place of {words.size(found.float_size)}"
        faster = f"{words.milliseconds(found.latency)} in place of {words.milliseconds(found.float_latency)}"
        yield f"in 8 bits: {smaller}, {faster}, accuracy {found.validation.text} on validation"
        if found.validation.drops:
            yield "8 bits cost accuracy, by more than chance"


def _beside_teacher(study: StudyStore, claim: Claim) -> Iterator[str]:
    """How much less than the teacher the student takes, as far as both are known."""
    teacher, cost = study.settings.teacher, claim.used.cost
    if teacher is None:
        return
    theirs = {"params": float(teacher.params), **teacher.cost}
    ratios = {name: theirs[name] / cost[name] for name in theirs if theirs[name] and cost.get(name)}
    told = [words.times(ratios[name], how) for name, how in COMPARED.items() if name in ratios]
    if told:
        yield f"{words.listed(told)} than the teacher"


def _trained_for(claim: Claim) -> str:
    return f"trained for {words.number_of(claim.epochs, 'epoch')}"


def _early(study: StudyStore) -> list[Cell]:
    """What can be said on validation alone: the leader, and what is beside it."""
    metric, leader = study.objective.metric, study.best
    if leader is None or leader.score is None:
        return []
    beside = [line for line in best_so_far(study) if line.value is not None and line.trial != leader.number]
    value = words.quality(metric.value(leader.score), metric)
    after = f"after {words.number_of(leader.rungs[-1].epochs, 'epoch')}; the best of several, which flatters it"
    told = tuple(f"{line.title}: {words.quality(line.value, metric)}" for line in beside)
    return [
        Cell(
            "Leads so far",
            words.student_in_words(leader.pipeline),
            (words.losses(leader.pipeline), f"trial {leader.number}"),
        ),
        Cell("How good", f"{value} on validation", (after,)),
        Cell("Is the gain real?", "Not known yet", told),
        Cell("What it costs", f"{words.count(leader.cost.get('params'))} parameters", ()),
    ]
