"""How far full training has come, and the two checkpoints that keep it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autokd.engine.checkpoint import load_state, save_state
from autokd.errors import BundleError
from autokd.types import Checkpoint

CHECKPOINTS = ("checkpoint.pt", "checkpoint.previous.pt")
"""The newest one, and the one before."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A training run up to the end of an epoch; what a checkpoint file holds.

    Args:
      plan: fingerprint of what is being trained.
      teacher: fingerprint of the teacher, or None.
      data: fingerprint of the data; None in checkpoints that did not say so yet.
      curve: one mapping an epoch; see `autokd.types.RungResult`.
      seconds: wall time spent training.
      engine: the engine's checkpoint; None before the first epoch.
    """

    plan: str
    teacher: str | None
    data: str | None = None
    curve: list[Mapping[str, Any]]
    seconds: float = 0.0
    engine: Checkpoint | None = None


def save_training(folder: Path, state: TrainingState) -> None:
    """Write a checkpoint; the one before is kept beside it.

    Args:
      folder: of the bundle.
      state: what to keep.
    """
    newest, previous = (folder / name for name in CHECKPOINTS)
    if newest.exists():
        newest.replace(previous)
    save_state(newest, {field.name: getattr(state, field.name) for field in dataclasses.fields(state)})


def load_training(folder: Path) -> TrainingState | None:
    """Read the newest checkpoint that is whole, or None where there is none; damaged ones are put aside.

    Raises:
      BundleError: it holds something else than this version writes.
    """
    for path in (folder / name for name in CHECKPOINTS):
        plain = load_state(path, torch.device("cpu"))
        if plain is not None:
            return _training_state(path, plain)
    return None


def delete_training(folder: Path) -> None:
    """Delete the checkpoints, also those that were put aside."""
    for path in (folder / name for name in CHECKPOINTS):
        path.unlink(missing_ok=True)
        path.with_suffix(".damaged").unlink(missing_ok=True)


def _training_state(path: Path, plain: Mapping[str, Any]) -> TrainingState:
    try:
        return TrainingState(**plain)
    except TypeError as error:
        raise BundleError(f"the checkpoint {path} is not one of this version of autokd: {error}") from error
