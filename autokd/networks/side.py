"""The side of the pictures that a teacher looks at."""

from __future__ import annotations

from autokd.networks.class_names import whole
from autokd.networks.ensemble import EnsembleTeacher
from autokd.networks.models import NetworkTeacher
from autokd.types import Teacher


def side_of(teacher: Teacher | None) -> int:
    """Return the side in pixels that a teacher resizes samples to; of an ensemble the largest; 0: as they are."""
    if teacher is None:
        return 0
    inner = whole(teacher)
    if isinstance(inner, EnsembleTeacher):
        return max(map(side_of, inner.members))
    frozen = inner.frozen if isinstance(inner, NetworkTeacher) else None
    return 0 if frozen is None else frozen.form.size
