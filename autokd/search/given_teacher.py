"""The teacher that a request names: loaded, and as plain data."""

from __future__ import annotations

from typing import Any

from autokd.errors import TeacherError
from autokd.networks.reference import describe, given_fields, load_teacher
from autokd.search.request import Request
from autokd.teaching import default_teacher
from autokd.teaching.recipe import Effort
from autokd.types import Samples, Task, Teacher


def load_given(request: Request, task: Task, samples: Samples | None = None) -> Teacher | None:
    """Return the teacher that was given, on the CPU, or None.

    Raises:
      TeacherError: it cannot be loaded whole or does not fit the data; or only something about a teacher is given.
      UserError: it is given in two ways.
    """
    if request.given_teacher is not None:
        return load_teacher(request.given_teacher, task, given_fields(request.teacher_classes), samples)
    if request.teacher_classes is not None:
        raise TeacherError("--teacher-classes is about a teacher that is given; give one with --teacher")
    return None


def plain_reference(request: Request, effort: Effort) -> dict[str, Any]:
    """Return the plain reference of the given teacher, or of the default one that is trained with an effort."""
    if request.given_teacher is None:
        return default_teacher.reference(effort)
    return describe(request.given_teacher, given_fields(request.teacher_classes))
