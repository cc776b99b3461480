"""The teacher that a request names: loaded, tried on training samples, and as plain data."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from autokd import catalog
from autokd.data import Dataset
from autokd.errors import TeacherError
from autokd.networks.ensemble import EnsembleTeacher, by_fingerprint, describe_together, described_members
from autokd.networks.reference import (
    Reference,
    describe,
    fields_set,
    given_fields,
    is_in_python,
    load_teacher,
    to_component,
)
from autokd.options import Teacher as WithInput
from autokd.search.request import Notify, Progress, Request
from autokd.study.settings import StudySettings
from autokd.teaching.checked import OPEN, Checked, Given, check
from autokd.types import Teacher

BESIDE = ("classes", "mean", "std", "size")
"""What may be given beside a teacher: the options `teacher_…`, and the fields of `autokd.Teacher`."""
STORED = "predictions"
"""Name of the teacher whose answers are in a file."""
log = logging.getLogger("autokd")
SILENT = 2.0
"""Seconds of trying after which progress is told."""
WHOLE = 600.0
"""Seconds of a search from which on trying may cost as much as it does without a limit of time."""


class Named(NamedTuple):
    """What a request says of a teacher.

    Args:
      reference: of the teacher.
      fields: of its component, that are given beside the reference.
    """

    reference: Reference
    fields: dict[str, Any]

    @property
    def in_python(self) -> bool:
        """Whether it was handed over in Python, so that nobody else can load it."""
        return is_in_python(self.reference)

    @property
    def open(self) -> frozenset[str]:
        """What the user left open of its input and of the order of its outputs."""
        described = isinstance(self.reference, Mapping)
        return frozenset() if described else OPEN - fields_set(self.reference, self.fields)


class Obtained(NamedTuple):
    """A given teacher.

    Args:
      teacher: it, where it is to answer.
      reference: plain data from which it is loaded again.
      line, remarks: what is said of it; see `autokd.teaching.checked.Checked`.
    """

    teacher: Teacher
    reference: dict[str, Any]
    line: str = ""
    remarks: tuple[str, ...] = ()


def named(request: Request) -> tuple[Named, ...]:
    """Return the teacher that a request names, or the members of an ensemble; () where it names none.

    Raises:
      TeacherError: something about a teacher is given and no teacher, or several, or it is given twice.
      UserError: the teacher is given in two ways.
    """
    teacher, beside = request.given_teacher, _said(request, "teacher_")
    members = described_members(teacher) or (list(teacher) if isinstance(teacher, (list, tuple)) else [teacher])
    if beside and len(members) > 1:
        raise TeacherError(
            f"--teacher-{min(beside)} is about one teacher, and {len(members)} are given; say it of each: before its "
            "@, as in resnet20:mean=0.5@FILE, or in Python in autokd.Teacher"
        )
    if beside and members in ([None], []):
        raise TeacherError(f"--teacher-{min(beside)} is about a teacher that is given; give one with --teacher")
    return tuple(_named(member, beside) for member in members if teacher is not None)


def _named(teacher: Any, beside: dict[str, Any]) -> Named:
    if not isinstance(teacher, WithInput):
        return Named(teacher, given_fields(**beside))
    inside = _said(teacher, "")
    for name in inside.keys() & beside.keys():
        raise TeacherError(f"the teacher's {name} is given twice: in autokd.Teacher and as teacher_{name}")
    return Named(teacher.teacher, given_fields(**inside, **beside))


def _said(asked: Request | WithInput, prefix: str) -> dict[str, Any]:
    """What is given beside a teacher, of what may be."""
    values = {name: getattr(asked, f"{prefix}{name}") for name in BESIDE}
    return {name: value for name, value in values.items() if value is not None}


def without_unanswered(request: Request) -> Request:
    """Return a request without made rows, if its teacher's answers are stored: nobody answers about new rows then."""
    if request.made_rows is None:
        return request
    components = [to_component(one.reference, one.fields) for one in named(request)]
    if all(catalog.name_of(component) != STORED for component in components):
        return request
    log.warning("made_rows is left out: the teacher's answers are stored, so it answers about no rows that are made")
    return dataclasses.replace(request, made_rows=None)


def obtain_given(
    request: Request, data: Dataset, device: torch.device, before: StudySettings | None, notify: Notify
) -> Obtained | None:
    """Return the teacher that a request names, None where it names none.

    In a new study it is tried on training samples; one that goes on is fed as it was.

    Args:
      request: what was asked.
      data: the dataset.
      device: where the teacher is to answer.
      before: what `study.yaml` says of a study that goes on, or None.
      notify: called while the teacher is tried, and with the line about it.

    Raises:
      TeacherError: it cannot be loaded whole, does not fit the data or knows nothing; or only something about a
        teacher is given.
    """
    asked = named(request)
    if not asked:
        return None
    if before is None and request.teacher_as_is:
        found = _untried(_as_before(asked, data, device, {}))
    elif before is None:
        found = _tried(asked, data, device, notify, request.time)
    else:
        known, facts = before.identity.teacher.reference or {}, before.teacher
        found = _as_before(asked, data, device, known)
        if found.reference == dict(known) and facts is not None:
            found = found._replace(line=facts.line, remarks=facts.remarks)
    if found.line:
        notify(Progress(stage="given", done=1, total=1, note=found.line))
    return found


def load_again(request: Request, obtained: Obtained, data: Dataset, device: torch.device) -> Teacher:
    """Load the teacher of a request once more, for other samples, fed as it was found.

    Args:
      request: what was asked; a teacher that was handed over in Python is there.
      obtained: what `obtain_given` returned for it.
      data: the dataset with these samples.
      device: where the teacher is to answer.
    """
    return _as_before(named(request), data, device, obtained.reference).teacher


def _tried(
    asked: Sequence[Named], data: Dataset, device: torch.device, notify: Notify, seconds: float | None
) -> Obtained:
    """The teacher, tried; of several each by itself, and then the ensemble of them."""
    began = time.monotonic()

    def tell(ways: int) -> None:
        if time.monotonic() - began > SILENT:
            notify(Progress(stage="teacher", done=ways, total=ways, note="trying what it was trained on"))

    share = (1.0 if seconds is None else min(1.0, seconds / WHOLE)) / len(asked)
    members = []
    for one in asked:
        found: Checked = check(_given(one, data, device), data, device, tell, share)
        reference = describe(one.reference, {**one.fields, **found.changed})
        members.append(Obtained(found.teacher, reference, found.line, found.remarks))
    if len(members) == 1:
        return members[0]
    ensemble = EnsembleTeacher([member.teacher for member in members])
    members.sort(key=lambda member: member.teacher.fingerprint)  # as the ensemble numbers them
    lines = [_numbered(number, member) for number, member in enumerate(members, start=1)]
    for number, line in enumerate(lines, start=1):
        notify(Progress(stage="given", done=number, total=len(lines), note=line))
    whole = check(Given(None, frozenset(), lambda changed: ensemble), data, device, tell, share)
    remarks = [f"{member.teacher.origin}: {remark}" for member in members for remark in member.remarks]
    reference = describe_together([member.reference for member in members])
    return Obtained(ensemble, reference, whole.line, (*lines, *remarks, *whole.remarks))


def _numbered(number: int, member: Obtained) -> str:
    return f"teacher.{number}, a member of the ensemble: {member.line or member.teacher.origin}"


def _untried(found: Obtained) -> Obtained:
    return found._replace(line=f"{found.teacher.origin}: taken as it is, nothing of it was tried")


def _given(asked: Named, data: Dataset, device: torch.device) -> Given:
    def build(changed: Mapping[str, Any]) -> Teacher:
        return _load(asked, changed, data, device)

    return Given(to_component(asked.reference, asked.fields), asked.open, build)


def _load(asked: Named, changed: Mapping[str, Any], data: Dataset, device: torch.device) -> Teacher:
    return load_teacher(asked.reference, data.task, {**asked.fields, **changed}, data.samples).to(device)


def _as_before(asked: Sequence[Named], data: Dataset, device: torch.device, known: Mapping[str, Any]) -> Obtained:
    """The known teacher where what is asked agrees with it, fed as it was; else the one that is asked."""
    members = described_members(known) or [known]
    plain = [describe(one.reference, one.fields) for one in asked]
    order = sorted(range(len(asked)), key=lambda index: by_fingerprint(plain[index]))
    as_they_were = members if len(members) == len(asked) else [{}] * len(asked)
    found = [
        _as_it_was(asked[index], plain[index], member, data, device)
        for index, member in zip(order, as_they_were, strict=True)
    ]
    teacher, reference = found[0]
    if len(found) > 1:
        teacher = EnsembleTeacher([member for member, _ in found])
        reference = describe_together([each for _, each in found])
    return Obtained(teacher, reference)


def _as_it_was(
    asked: Named, plain: dict[str, Any], known: Mapping[str, Any], data: Dataset, device: torch.device
) -> tuple[Teacher, dict[str, Any]]:
    """One teacher and its plain reference: fed as it was where it is the known one, else as it is asked."""
    chosen = {name: known[name] for name in asked.open & known.keys()}
    if {**plain, **chosen} != dict(known):
        return _load(asked, {}, data, device), plain
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    return _load(asked, fields, data, device), dict(known)
