"""What was answered when a claim was made: the logits of its students, of the teacher and of plain models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from autokd.files import read_tensors

if TYPE_CHECKING:
    from torch import Tensor


def answers_file(study: Path, round: int) -> Path:
    """Return where a claim's answers are kept, on validation and test."""
    return study / "confirm" / f"round{round}.safetensors"


def written(file: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written again, for the key of a cache; None where there is no file."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def read_answers(file: Path) -> dict[str, Tensor] | None:
    """Return a claim's answers by name ("ARM/SEED/SPLIT", "labels/SPLIT", …); None where they cannot be read."""
    try:
        return read_tensors(file)[0]
    except (OSError, SafetensorError):
        return None
