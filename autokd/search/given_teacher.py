"""The teacher that a request names: loaded, tried on training samples, and as plain data."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from autokd.data import Dataset
from autokd.errors import TeacherError
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


def named(request: Request) -> Named | None:
    """Return the teacher that a request names; None where it names none.

    Raises:
      TeacherError: something about a teacher is given and no teacher, or it is given twice.
      UserError: the teacher is given in two ways.
    """
    teacher, beside = request.given_teacher, _said(request, "teacher_")
    if teacher is None:
        if beside:
            raise TeacherError(f"--teacher-{min(beside)} is about a teacher that is given; give one with --teacher")
        return None
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
    if asked is None:
        return None
    if before is None:
        found = _tried(asked, data, device, notify, request.time)
    else:
        found = _as_before(asked, data, device, before)
    if found.line:
        notify(Progress(stage="given", done=1, total=1, note=found.line))
    return found


def _tried(asked: Named, data: Dataset, device: torch.device, notify: Notify, seconds: float | None) -> Obtained:
    began = time.monotonic()

    def tell(ways: int) -> None:
        if time.monotonic() - began > SILENT:
            notify(Progress(stage="teacher", done=ways, total=ways, note="trying what it was trained on"))

    share = 1.0 if seconds is None else min(1.0, seconds / WHOLE)
    found: Checked = check(_given(asked, data, device), data, device, tell, share)
    reference = describe(asked.reference, {**asked.fields, **found.changed})
    return Obtained(found.teacher, reference, found.line, found.remarks)


def _given(asked: Named, data: Dataset, device: torch.device) -> Given:
    def build(changed: Mapping[str, Any]) -> Teacher:
        return load_teacher(asked.reference, data.task, {**asked.fields, **changed}, data.samples).to(device)

    return Given(to_component(asked.reference, asked.fields), asked.open, build)


def _as_before(asked: Named, data: Dataset, device: torch.device, before: StudySettings) -> Obtained:
    """The teacher of the study where what is asked agrees with it, fed as it was; else the one that is asked."""
    plain, known = describe(asked.reference, asked.fields), before.identity.teacher.reference or {}
    chosen = {name: known[name] for name in asked.open & known.keys()}
    if {**plain, **chosen} != dict(known):
        return Obtained(load_teacher(asked.reference, data.task, asked.fields, data.samples).to(device), plain)
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    teacher = load_teacher(asked.reference, data.task, {**asked.fields, **fields}, data.samples).to(device)
    facts = before.teacher
    return Obtained(teacher, dict(known), "" if facts is None else facts.line, () if facts is None else facts.remarks)
