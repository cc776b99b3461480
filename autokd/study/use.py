"""Which arm a study recommends, and what it is compared with: decided on validation, before the claim's first run.

The rule: among the arms, the simplest first, the first whose mean validation score is as good as the best one's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Use:
    """Which arm a round of confirm recommends.

    Args:
      round: of confirm.
      trials: how many there were.
      use: name of the arm.
      comparators: names of the arms that it is compared with, the one first that the verdict is about; () without a
        claim.
      means: validation score of each arm that could have been recommended: its mean over seeds, or its trial's at the
        top rung.
      tolerance: difference of scores up to which an arm counts as as good as the best one.
      seeds: an arm, of the claim; 0 without one.
      reason: in words.
    """

    round: int
    trials: int
    use: str
    comparators: tuple[str, ...]
    means: Mapping[str, float]
    tolerance: float
    seeds: int
    reason: str

    def to_plain(self) -> dict[str, Any]:
        """Return it as the values of its event."""
        return {**dataclasses.asdict(self), "comparators": list(self.comparators)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Use:
        """Inverse of `to_plain`."""
        return cls(**{**plain, "comparators": tuple(plain["comparators"])})
