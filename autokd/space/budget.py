"""How long a study trains: the section `budget` of a space file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from autokd.types import Task

LONGER = 4
"""Times as many epochs, at most, as without samples without labels."""


@dataclass(frozen=True)
class Budget:
    """How long things are trained. Every run outside explore is as long as explore's longest.

    Args:
      trials: number of trials of explore, baselines included.
      epochs: epochs of the top rung, the horizon of explore's schedules.
      rungs: number of rungs.
      eta: the best 1/eta of a rung go on; a rung is eta times as long as the one before.
      branch: length of the side branch on which a rung below the top is scored, as a share of the steps before it; 0:
        the run is scored as it is.
      views: of each sample under a policy of augmentation that a teacher whose answers are stored is asked about; runs
        go through them again and again; 0: every epoch has new ones.
      recipes: known recipes that are tried first, at most, hand KD and the student alone included.
      noise_seeds: seeds of a baseline that measure the noise; 0: it is not measured.
      finalists: candidates that select compares.
      select_seeds: seeds a finalist in select, beside that of its longest rung; 0: the longest rung decides.
      grid: whether the arms are tuned over a small grid.
      choose_seeds: seeds an arm, of which the mean says what is recommended; 0: the longest rung says it.
      claim_seeds: seeds an arm in claim, 2 or more; 0: nothing is claimed, and test is not read.
      fresh_claim: whether the claim's seeds are others than those of choose.
      ablation_seeds: seeds of each swap from the pick back to the recipe by hand; 0: there are none.
      train_epochs: full length, for `autokd train`.
      teacher_epochs: for a teacher trained by autokd.
    """

    trials: int = 60
    epochs: int = 27
    rungs: int = 3
    eta: int = 3
    branch: float = 0.25
    views: int = 0
    recipes: int = 12
    noise_seeds: int = 2
    finalists: int = 3
    select_seeds: int = 1
    grid: bool = False
    choose_seeds: int = 2
    claim_seeds: int = 3
    fresh_claim: bool = True
    ablation_seeds: int = 0
    train_epochs: int = 100
    teacher_epochs: int = 40

    @property
    def ends_with_a_trial(self) -> bool:
        """Whether a trial, as it was tried, is what comes of it: no runs are kept for a choice or a claim."""
        return not (self.choose_seeds or self.claim_seeds)

    @property
    def only_recipes(self) -> bool:
        """Whether known recipes are all that is tried, as far as there are so many."""
        return self.trials <= self.recipes


def for_data(budget: Budget, task: Task) -> Budget:
    """Return the budget of a space file for a task: with samples without labels, trainings are longer.

    An epoch is as many samples as have a label, however many others there are. With these it would be 1 + U/N times as
    long, so runs take that many times the epochs, at most `LONGER` times.

    >>> for_data(Budget(), Task(dataset="", modality="table", input_shape=(1,), classes=(), train_size=100)).epochs
    27
    """
    if not task.unlabelled:
        return budget
    factor = min(LONGER, 1 + task.unlabelled / task.train_size)
    longer = {name: round(factor * getattr(budget, name)) for name in ("epochs", "train_epochs")}
    return dataclasses.replace(budget, **longer)
