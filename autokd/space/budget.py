"""How long a study trains: the section `budget` of a space file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How long things are trained.

    Args:
      trials: number of trials of explore, baselines included.
      epochs: epochs of the top rung, the horizon of explore's schedules.
      rungs: number of rungs.
      eta: the best 1/eta of a rung go on; a rung is eta times as long as the one before.
      branch: length of the side branch on which a rung below the top is scored, as a share of the steps before it; 0:
        the run is scored as it is.
      finalists: candidates that select compares.
      select_seeds: seeds a finalist in select.
      claim_seeds: fresh seeds an arm in claim.
      confirm_epochs: epochs of every confirm run.
      train_epochs: full length, for `autokd train`.
      teacher_epochs: for a teacher trained by autokd.
    """

    trials: int = 30
    epochs: int = 27
    rungs: int = 3
    eta: int = 3
    branch: float = 0.25
    finalists: int = 3
    select_seeds: int = 3
    claim_seeds: int = 5
    confirm_epochs: int = 27
    train_epochs: int = 100
    teacher_epochs: int = 40
