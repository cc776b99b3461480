"""Checks of the teacher: whether there is something to learn from it, and whether it was learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autokd.study.checks.check import Found, Rule, passed, stop, unknown, warn
from autokd.study.checks.facts import interval, number_of
from autokd.study.claim import distils
from autokd.study.ladder import hand_step
from autokd.study.weak_teacher import weak_teacher

if TYPE_CHECKING:
    from autokd.study.checks.facts import Facts

SMALLER = 2.0
"""Times fewer parameters than the teacher from which on a student is worth its training: below, the teacher itself
hardly costs more."""

_OWN = (
    "autokd trained it, and these samples taught it no more; classes may be too rare for it. Give a better one with "
    "--teacher."
)


def _has_teacher(facts: Facts) -> bool:
    return facts.study.settings.teacher is not None


def _is_given(facts: Facts) -> bool:
    """Whether the teacher is the user's own, or was trained on more than the training split."""
    teacher = facts.study.settings.teacher
    return teacher is not None and teacher.may_have_seen_validation


def _on_validation(facts: Facts) -> float | None:
    """The teacher's value on validation: that of the claim, or else the one from when the study was begun."""
    claim, teacher = facts.claim, facts.study.settings.teacher
    if claim is not None and claim.teacher is not None:
        return claim.teacher.validation
    return None if teacher is None else teacher.validation.get(facts.metric.in_float)


def better_than_alone(facts: Facts) -> Found | None:
    """Whether the teacher is better than a student without one."""
    if not _has_teacher(facts):
        return None
    found, claim = facts.teacher_beside_alone, facts.claim
    if found is None or claim is None:
        return _better_on_validation(facts)
    metric, seen = claim.about, interval(claim.about, *found)
    if found.tells() and metric.score(found.value) < 0:
        return warn(f"The teacher is worse than the student without it: {seen} on {claim.n_test:,} test samples.")
    if found.tells():
        return passed(f"The teacher is better than the student without it: {seen} on test.")
    samples = number_of(claim.n_test, "test sample")
    return unknown(f"{samples} cannot tell the teacher from the student without it: {seen}.")


def _better_on_validation(facts: Facts) -> Found:
    """The same by the recipes by hand, as long as test was not read."""
    study, metric, teacher = facts.study, facts.metric, _on_validation(facts)
    epochs, items = study.rung_epochs[-1], study.settings.data.validation
    alone = hand_step(facts.records, "alone", epochs, metric)
    if teacher is None or alone is None:
        missing = (
            "the teacher's value is not known" if teacher is None else "no student without it was trained to the end"
        )
        return unknown(f"Teacher and student were not compared: {missing}.")
    weak = weak_teacher(facts.records, teacher=teacher, epochs=epochs, validation=items, metric=metric)
    values = f"{metric.text(teacher)} against {metric.text(alone.mean)} on validation"
    if weak is None:
        return passed(f"The teacher is better than the student alone: {values}.")
    if weak.is_worse:
        return warn(f"The teacher is worse than the student alone: {values}.")
    return unknown(
        f"The teacher cannot be told from the student alone: {values}, with noise of {metric.apart(weak.noise)}."
    )


def used_by_pick(facts: Facts) -> Found | None:
    """Whether what the search picked reads the teacher."""
    if not _has_teacher(facts) or facts.pick is None:
        return None
    losses = " + ".join(facts.pick.pipeline["losses"])
    if distils(facts.pick.pipeline):
        return passed(f"The search's pick, trial {facts.pick.number}, learns from the teacher ({losses}).")
    return warn(f"The search's pick, trial {facts.pick.number}, uses no teacher at all ({losses}).")


def better_than_guessing(facts: Facts) -> Found | None:
    """Whether the teacher knows more than the commonest class."""
    if not _has_teacher(facts):
        return None
    data, metric, value = facts.study.settings.data, facts.metric, _on_validation(facts)
    common = data.majority("validation", metric)
    if value is None or common is None:
        missing = "its value on validation is" if value is None else "the classes' counts are"
        return unknown(f"The teacher was not compared with guessing: {missing} not known.")
    values = f"{metric.text(value)} on validation, {metric.text(common.value)} for always giving the commonest class"
    if metric.score(value) <= metric.score(common.value) + common.error:
        says, own = f"The teacher knows no more than guessing: {values}.", not _is_given(facts)
        unread = facts.claim is not None and not distils(facts.claim.used.pipeline)
        return warn(says, _OWN) if own and unread else stop(says, _OWN if own else "")
    return passed(f"The teacher knows more than guessing: {values}.")


def larger(facts: Facts) -> Found | None:
    """Whether the student is smaller than the teacher by enough to be worth it."""
    claim, teacher = facts.claim, facts.study.settings.teacher
    if claim is None or teacher is None:
        return None
    own = claim.used.cost.get("params")
    if not teacher.params or not own:
        return unknown("The sizes were not compared: nobody knows how many parameters the teacher has.")
    times = teacher.params / own
    if times < 1:
        return warn(f"The student is larger than the teacher: {own:,.0f} parameters against {teacher.params:,}.")
    says = f"{times:.3g} times fewer parameters than the teacher ({own:,.0f} against {teacher.params:,})"
    return passed(f"{says}.") if times >= SMALLER else warn(f"Hardly smaller: only {says}.")


RULES = (
    Rule(
        number=1,
        title="Teacher and student",
        means="A student learns little from a teacher that is no better than the student.",
        how="The teacher minus the best student that was trained without one, on the test samples of the claim, "
        "with a 95 % interval over samples and seeds. This check warns if the whole interval is on the "
        "student's side. If the interval contains 0, the test set cannot tell, and nothing is said for or against "
        "the teacher. Before there is a claim, it compares validation values of the teacher and of the recipe by "
        "hand, with the noise between seeds as margin.",
        todo="Give a better teacher with --teacher, or train without one.",
        look=better_than_alone,
    ),
    Rule(
        number=2,
        title="Use of the teacher",
        means="If the search itself found no use for the teacher, nothing was distilled, and the study says nothing "
        "about distillation.",
        how="This check warns if no loss and no sample selection of the search's pick reads the teacher.",
        todo="Train on labels alone, or search a space whose losses read the teacher.",
        look=used_by_pick,
    ),
    Rule(
        number=3,
        title="Teacher and guessing",
        means="A teacher that knows no more than the commonest class teaches nothing. Most often its outputs are in "
        "another order, or it is fed differently from how it was trained.",
        how="The teacher's value on validation, next to that of always giving the commonest class of the training "
        "samples. This check stops if the teacher is better by no more than one standard error of that value. It only "
        "warns if autokd trained the teacher and what is recommended does not read it.",
        todo="Check how it is fed, and the order of its outputs (docs/teachers.md).",
        look=better_than_guessing,
    ),
    Rule(
        number=4,
        title="Size beside the teacher",
        means="Distilling is for students that are smaller than their teacher.",
        how="The teacher's parameters divided by those of the recommended student. This check warns below "
        f"{SMALLER:g} times.",
        todo="Use the teacher itself, or search with a tighter --max-params.",
        look=larger,
    ),
)
