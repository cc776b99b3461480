"""When the losses of a space count: whatever is drawn must be a window, and some loss must count all along."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from autokd import spec
from autokd.loss_keys import KEYS, LossKeys
from autokd.ranges import Scalar
from autokd.space.candidate import Candidate
from autokd.space.values import edges


def uncovered(always: Sequence[Candidate]) -> str | None:
    """Say in which stretch of training none of the losses that are always there may count; None where there is none.

    Each is taken at its shortest, so that all that is drawn covers training; one whose weight may be 0 does not count.

    Args:
      always: candidates of one slot.
    """
    if not always or always[0].kind not in KEYS:
        return None
    return spec.gap_in([_shortest(candidate) for candidate in always if all(_values(candidate, "weight"))])


def refused_keys(candidate: Candidate) -> str | None:
    """Say why some values of a candidate's keys cannot stand together; None where all can."""
    if candidate.kind not in KEYS:
        return None
    names = list(spec.key_defaults(candidate.kind))
    for values in itertools.product(*(_values(candidate, name) for name in names)):
        try:
            KEYS[candidate.kind](**dict(zip(names, values, strict=True)))
        except ValueError as error:
            return str(error)
    return None


def _shortest(candidate: Candidate) -> LossKeys:
    return LossKeys(begin=max(_values(candidate, "begin")), end=min(_values(candidate, "end")))


def _values(candidate: Candidate, field: str) -> Sequence[Any]:
    """The ends of a field's range, or its fixed value."""
    if field in candidate.ranges:
        return edges(candidate.ranges[field])
    fixed: Mapping[str, Scalar] = {**spec.key_defaults(candidate.kind), **candidate.fixed}
    return (fixed[field],)
