"""Whose answers the losses of a pipeline read, by name: the teacher's, or those of a network that trains beside it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from autokd import catalog
from autokd.components import LossComponent
from autokd.declarations import Loss
from autokd.errors import nearest
from autokd.spec.placed import keys_of
from autokd.types import Shapes

TEACHER = "teacher"
"""Name of the study's teacher."""
LOSSES = "losses"
_MEMBER = re.compile(rf"{TEACHER}\.([1-9]\d{{0,3}})")


def is_teacher(name: str) -> bool:
    """Whether answers of this name are the study's teacher's, or those of a member of an ensemble."""
    return name == TEACHER or member_of(name) > 0


def member_of(name: str) -> int:
    """Return the number of the member of an ensemble that a name is of, from 1; 0 where it is of none.

    >>> [member_of(name) for name in ("teacher.2", "teacher", "peer", "teacher.0")]
    [2, 0, 0, 0]
    """
    found = _MEMBER.fullmatch(name)
    return int(found[1]) if found else 0


def members_read(loss: LossComponent, count: int) -> tuple[str, ...]:
    """Return the names of the members whose answers a loss reads one by one: () for a loss that reads one model's.

    Args:
      loss: of a pipeline.
      count: members of the teacher; 0 where it is no ensemble.
    """
    return tuple(f"{TEACHER}.{number}" for number in range(1, count + 1)) if loss.declares.members else ()


def read_by(loss: LossComponent) -> str:
    """Return the name of the model whose answers a loss of a pipeline reads; "" where it reads none."""
    return keys_of(loss).teacher or loss.declares.reads_of


def read_by_plain(loss: Mapping[str, Any]) -> str:
    """Return the same of a plain loss."""
    return str(loss.get("teacher") or catalog.load(LOSSES, loss["use"]).declares.reads_of)


def needs_no_labels(loss: LossComponent) -> bool:
    """Return whether a loss of a pipeline says something of samples without labels, from somebody's answers alone."""
    return bool(read_by(loss)) and not loss.declares.reads_labels


def needs_no_labels_plain(loss: Mapping[str, Any]) -> bool:
    """Return the same of a plain loss."""
    return bool(read_by_plain(loss)) and not catalog.load(LOSSES, loss["use"]).declares.reads_labels


def offered_by(name: str, teacher: Shapes) -> Shapes:
    """Return what a member of the teacher offers where the name is of one, and what the teacher does for all others."""
    number = member_of(name)
    return teacher.members[number - 1] if 0 < number <= len(teacher.members) else teacher


def refused_teacher(declares: Loss, teacher: str, names: Collection[str]) -> str | None:
    """Say why a loss cannot read the answers of whom a pipeline names, or None where it can.

    >>> from autokd.declarations import Scale
    >>> refused_teacher(Loss(teacher="stored", scale=Scale(1.0, "a mean")), "techer", ["teacher", "peer"])
    "there is nobody of this name, got 'techer'; did you mean 'teacher'?"

    Args:
      declares: what the loss declares.
      teacher: the name; "" where the pipeline names nobody.
      names: of those who answer.
    """
    if not teacher:
        return None
    if teacher not in names and not member_of(teacher):
        return f"there is nobody of this name, got {teacher!r}; {nearest(teacher, names)}"
    if not declares.reads_of:
        return "this loss reads nobody's answers; leave the key out"
    if declares.members and teacher != TEACHER:
        return "this loss reads every member of an ensemble; leave the key out"
    return None if teacher == TEACHER else _bound(declares, teacher)


def _bound(declares: Loss, teacher: str) -> str | None:
    """Say why a loss reads nobody but the teacher, where that is so."""
    if declares.prepared_from is None and not any(name.startswith("head.") for name in declares.requires):
        return None
    if member_of(teacher):
        return "this loss is made from the whole teacher; leave the key out"
    return f"this loss is made from a teacher that does not change, and {teacher} does; leave the key out"


def answer_problems(losses: Mapping[str, tuple[Loss, str]], beside: Mapping[str, bool]) -> Iterator[str]:
    """Say which losses read answers that nobody gives, and which networks give answers that no loss reads.

    Args:
      losses: what each declares, and whom the pipeline names as its teacher ("" for nobody), by its own name.
      beside: the slots that may hold a network that trains beside the student, and whether they do.
    """
    read = {key: teacher or declares.reads_of for key, (declares, teacher) in losses.items()}
    for key, (declares, teacher) in losses.items():
        why = refused_teacher(declares, teacher, [TEACHER, *beside])
        name = read[key]
        if why is not None:
            yield f"{LOSSES}.{key}.teacher: {why}"
        elif name in beside and not beside[name]:
            yield f"{LOSSES}.{key}: it reads the answers of a {name}, and the pipeline has none; add a {name}"
    for name, there in beside.items():
        if there and name not in read.values():
            yield f"{name}: no loss reads its answers; add one that does, such as dml, or leave it out"
