"""How long the recommended pipeline is trained at the end of a search that was asked to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training at the end of a round of confirm, fixed before its first epoch.

    Args:
      round: of the claim whose recommendation is trained.
      epochs: its length; 0: there was no time for more than the claim's own runs, so there is none.
      full: epochs of full training.
      samples: of the training split that it uses.
      reason: in words.
    """

    round: int
    epochs: int
    full: int
    samples: int
    reason: str
