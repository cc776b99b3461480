"""The card at the top of the page: what to use, how good it is, whether the gain is real, and what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from autokd.report import words
from autokd.report.sections.recommendation.facts import Decision, best_so_far
from autokd.report.sections.recommendation.sentences import closed
from autokd.report.sections.recommendation.verdict import amount, distils, has_teacher, other_phrase
from autokd.study.claim import Claim
from autokd.study.means import means_of

if TYPE_CHECKING:
    from autokd.study.store import StudyStore


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
        Cell("Use", _used(claim), tuple(_trained_with(claim))),
        Cell("How good", *_how_good(study, decision)),
        Cell("Is the gain real?", *_real(study, decision)),
        Cell("What it costs", *_cost(study, claim)),
    ]


def _used(claim: Claim) -> str:
    student = words.student_in_words(claim.used.pipeline)
    return student if distils(claim.used) or not has_teacher(claim) else f"{student}, no teacher"


def _trained_with(claim: Claim) -> Iterator[str]:
    pipeline = claim.used.pipeline
    rest = [str(pipeline[slot]["use"]) for slot in ("augment", "optimizer") if slot in pipeline]
    yield ", ".join([words.losses(pipeline), *(name for name in rest if name != "none")])
    yield claim.used.title


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
    cost, below = claim.used.cost, []
    size = f"{words.count(cost['params'])} parameters"
    if "macs" in cost:
        size += f", {words.compact(cost['macs'])} MACs"
    teacher = study.settings.teacher
    if teacher is not None and teacher.params and cost["params"]:
        below.append(words.times(teacher.params / cost["params"], "smaller than the teacher"))
    measured = [words.milliseconds(cost["latency"])] if "latency" in cost else []
    measured += [words.size(cost["size"])] if "size" in cost else []
    if measured:
        below.append(", ".join(measured))
    return size, (*below, f"trained for {words.number_of(claim.epochs, 'epoch')}")


def _early(study: StudyStore) -> list[Cell]:
    """What can be said on validation alone: the leader, and how far it is ahead."""
    metric, lines = study.objective.metric, best_so_far(study)
    leader = study.best
    if leader is None or not lines or lines[0].value is None:
        return []
    best, others = lines[0], [line for line in lines[1:] if line.value is not None]
    value = words.quality(best.value, metric)
    beside = [f"{line.title}: {words.quality(line.value, metric)}" for line in others]
    return [
        Cell("Leads so far", words.student_in_words(leader.pipeline), (words.losses(leader.pipeline), best.title)),
        Cell("How good", f"{value} on validation", ("the best of several, which flatters it",)),
        Cell("Is the gain real?", "Not known yet", tuple(beside)),
        Cell("What it costs", f"{words.count(best.params)} parameters", ()),
    ]
