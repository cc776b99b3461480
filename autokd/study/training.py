"""How long the recommended pipeline is trained at the end of a search that was asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = "student"
"""Of the bundle, in the study's folder."""


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


def training_of(trainings: Sequence[Training], round: int) -> Training | None:
    """Return what was fixed for a round of confirm, or None."""
    return next((training for training in trainings if training.round == round), None)


def trained_folder(study: Path, trainings: Sequence[Training], round: int) -> Path | None:
    """Return the bundle that a round's recommendation was trained to; None where there is none that is whole.

    Args:
      study: the study's folder.
      trainings: as recorded.
      round: of confirm.
    """
    training, folder = training_of(trainings, round), study / FOLDER
    whole = training is not None and training.epochs and (folder / "metrics.json").is_file()
    return folder if whole else None
