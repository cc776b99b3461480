"""What a session of a search counted: the teacher's outputs that it found or computed, and where its time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class ArtefactRecord(NamedTuple):
    """What a component prepared before its pipeline was trained.

    Args:
      component: "selection.difference_sampling", "losses.lelp".
      key: its fingerprint.
      seconds: of making it.
    """

    component: str
    key: str
    seconds: float


class BankSession(NamedTuple):
    """What the teacher bank did in one session.

    Args:
      hits, computed, dropped: epochs that found their outputs, that had to compute them, and of these not kept.
      policies, groups: distinct augmentation policies, and policies with view seeds.
      nbytes: size of the outputs that were used; None where an earlier version did not record it.
      lost_mass: mean probability outside the kept logits; 0 where all are kept.
    """

    hits: int
    computed: int
    dropped: int
    policies: int
    groups: int
    nbytes: int | None
    lost_mass: float

    @property
    def asked(self) -> int:
        """Epochs that read stored outputs."""
        return self.hits + self.computed

    @property
    def hit_rate(self) -> float:
        """Share of them that found their outputs; 0 where none was asked for."""
        return self.hits / max(1, self.asked)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> BankSession:
        """Return what the values of an event "bank" say."""
        return cls(
            hits=plain["hits"],
            computed=plain["computed"],
            dropped=plain["dropped"],
            policies=plain["policies"],
            groups=plain.get("groups", plain["policies"]),
            nbytes=plain.get("bytes"),
            lost_mass=plain["lost_mass"],
        )


class StageEnd(NamedTuple):
    """A stage that ended.

    Args:
      stage: its name; "prepare" for what comes before the first.
      seconds: that it took.
      time: when that was recorded, seconds since 1970; None where it is not known.
    """

    stage: str
    seconds: float
    time: float | None


class Profile(NamedTuple):
    """Where the time of a profiled session went.

    Args:
      total: seconds of the session.
      parts: seconds by part of the work; together at most the total.
    """

    total: float
    parts: Mapping[str, float]
