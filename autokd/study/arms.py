"""Which arms a claim may have: the pipeline that the search picked, and what it is compared with.

This table is the only place that knows them. An arm more is one line here: titles and order in summaries and
reports and the matched baselines of confirm all follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ALONE: Mapping[str, Any] = {"use": "ce", "weight": 1.0, "label_smoothing": 0.0}
_VANILLA: Mapping[str, Any] = {"use": "kd", "weight": 1.0, "temperature": 4.0}


@dataclass(frozen=True, kw_only=True)
class ArmKind:
    """What an arm is.

    Args:
      name: of the kind.
      title: at the head of a row.
      phrase: inside a sentence.
      losses: what a baseline trains with in place of the pick's own losses, plain; None where the arm is no such
        baseline.
      reads_teacher: those losses read the teacher; the baseline is left out without one.
    """

    name: str
    title: str
    phrase: str
    losses: Mapping[str, Mapping[str, Any]] | None = None
    reads_teacher: bool = False


ARM_KINDS: Mapping[str, ArmKind] = {
    kind.name: kind
    for kind in (
        ArmKind(
            name="alone",
            title="No teacher",
            phrase="training without a teacher",
            losses={"ce": _ALONE},
        ),
        ArmKind(name="hand", title="Recipe by hand", phrase="the recipe by hand"),
        ArmKind(
            name="kd",
            title="Plain KD",
            phrase="plain KD",
            losses={"ce": _ALONE, "kd": _VANILLA},
            reads_teacher=True,
        ),
        ArmKind(name="pick", title="Search's pick", phrase="the search's pick"),
    )
}
"""By name, the simplest first."""

PICK = "pick"
"""The pipeline that the search found, tuned where there was time for it."""
ALONE = "alone"
"""The same student without a teacher."""
HAND, KD = "hand", "kd"
"""The best known recipe as published, and the same student with vanilla KD."""
HAND_KD = "hand-kd"
"""Name of the arm that is the recipe "kd" as published, where another recipe is the best one."""
RECOMMENDED_PHRASE = "the recommended student"
"""What the pick is called inside a sentence where it is also what is recommended."""

RECIPE = "recipe:"
"""What the source of a trial begins with that is a known recipe; its name follows."""
PAST = "past-"
"""What the name of a recipe begins with that is a rule of past studies, and no published one."""
BASELINES = (KD, ALONE)
"""Recipes that every study trains to the end: by hand with a teacher, and by hand without one."""


def baseline_kinds(*, has_teacher: bool) -> list[ArmKind]:
    """Return the kinds of arm that are the pick with other losses, the simplest first."""
    return [kind for kind in ARM_KINDS.values() if kind.losses is not None and (has_teacher or not kind.reads_teacher)]


def simplicity(name: str) -> int:
    """Return the place of a kind of arm in the order of `ARM_KINDS`, the simplest 0; -1 where there is no such kind."""
    return next((place for place, kind in enumerate(ARM_KINDS) if kind == name), -1)


def kind_of(name: str) -> ArmKind | None:
    """Return the kind of arm of a name, or None where this version has no such kind."""
    return ARM_KINDS.get(name)


def phrase_of(name: str) -> str:
    """Return what an arm is called inside a sentence; its name where this version has no such kind."""
    return ARM_KINDS[name].phrase if name in ARM_KINDS else name


def title_of(name: str) -> str:
    """Return what an arm is called at the head of a row; its name where this version has no such kind."""
    return ARM_KINDS[name].title if name in ARM_KINDS else name
