"""Several teachers of any kind as one, which answers with the mean of their probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from autokd.errors import TeacherError
from autokd.networks.models import mean_logits
from autokd.types import Inputs, Output, SampleTeacher, Shapes, Teacher, TeacherHead

USE = "ensemble"
"""What the plain reference of an ensemble has in the place of a component's name."""


class EnsembleTeacher:
    """A teacher whose logits are the logarithm of the mean of its members' probabilities, all at temperature 1.

    The mean of the predictive distributions is what Hinton, Vinyals and Dean (2015), section 1, take from an ensemble.
    Each member is fed in its own way. There are no features and no classifier. It is the same whatever the order of its
    members, to the bit.

    Args:
      members: two or more, on the same task; where one answers about samples as they are alone, so does the ensemble.

    Raises:
      TeacherError: two of them are the same.
    """

    head: TeacherHead | None = None

    def __init__(self, members: Sequence[Teacher]) -> None:
        self.members = sorted(members, key=lambda member: member.fingerprint)
        for one, other in zip(self.members, self.members[1:], strict=False):
            if one.fingerprint == other.fingerprint:
                raise TeacherError(
                    f"two teachers of the ensemble are the same ({one.origin}; {other.origin}); give each of them once"
                )
        self.origin = f"ensemble of {len(members)} ({'; '.join(member.origin for member in members)})"
        offered = tuple(member.offers for member in self.members)
        self.offers = Shapes(views=all(offers.views for offers in offered), members=offered)
        told = " ".join(member.fingerprint for member in self.members)
        self.fingerprint = hashlib.sha256(f"{USE} {told}".encode()).hexdigest()[:16]

    @property
    def params(self) -> int:
        """Number of parameters, over all members; 0 where that of a member is not known."""
        counts = [member.params for member in self.members]
        return sum(counts) if all(counts) else 0

    def predict(self, inputs: Inputs) -> Output:
        """Answer a batch; see `autokd.types.Teacher`.

        Raises:
          ComponentError: a member answers about samples alone.
        """
        return Output(mean_logits([member.predict(inputs).logits for member in self.members]))

    def answer(self, ids: Tensor, inputs: Inputs) -> Output:
        """Answer about samples as they are; see `autokd.types.SampleTeacher`."""
        outputs = [
            member.predict(inputs) if member.offers.views else cast(SampleTeacher, member).answer(ids, inputs)
            for member in self.members
        ]
        return Output(mean_logits([output.logits for output in outputs]))

    def to(self, device: torch.device) -> EnsembleTeacher:
        """Move it to a device; return it."""
        self.members = [member.to(device) for member in self.members]
        return self


def describe_together(members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the plain reference of an ensemble, given those of its members; the same for any order of these.

    Those without a fingerprint, which are objects handed over in Python, stay in their order.
    """
    return {"use": USE, "members": [dict(member) for member in sorted(members, key=by_fingerprint)]}


def by_fingerprint(member: Mapping[str, Any]) -> str:
    """Return what the plain references of members are sorted by; what is found by trying is no part of it."""
    return str(member.get("fingerprint", ""))


def described_members(reference: Any) -> list[Mapping[str, Any]] | None:
    """Return the plain references in that of an ensemble; None for any other reference.

    Raises:
      TeacherError: it lists no members.
    """
    if not isinstance(reference, Mapping) or reference.get("use") != USE:
        return None
    members = reference.get("members")
    listed = isinstance(members, (list, tuple)) and all(isinstance(member, Mapping) for member in members)
    if not listed or not members:
        raise TeacherError("an ensemble of teachers needs `members`, a list with a teacher's description each")
    return list(members)
