"""The state of a training run: taken from its live objects, kept in a file, and brought back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autokd.engine.step import LiveRun
from autokd.engine.trained import AVERAGE, STUDENT
from autokd.files import write_bytes
from autokd.types import Checkpoint

log = logging.getLogger("autokd")

CHECKPOINT_FORMAT = 1
NETWORK = "network"
"""Key of a network's own state among its parts; the student's parts stand at the top of a checkpoint, with its name."""
DIGEST = 32
"""Bytes of SHA-256 that a file begins with."""
BARE = b"PK\x03\x04"
"""What a file begins with that `torch.save` wrote by itself, as the checkpoints of trials were until version 0.1."""


def take_checkpoint(run: LiveRun, seen: int) -> Checkpoint:
    """Return a run's state as named parts of tensors and plain data.

    Args:
      run: the run; its tensors are not copied.
      seen: samples that it has seen.
    """
    others = {name: trained.state(NETWORK) for name, trained in run.networks.items() if name != STUDENT}
    return {"format": CHECKPOINT_FORMAT, "seen": seen, **run.student.state(STUDENT), **others}


def delivered_state(checkpoint: Checkpoint) -> Mapping[str, Tensor]:
    """Return the weights of the student that is delivered: those of its running average where there is one."""
    state: Mapping[str, Tensor] = checkpoint[AVERAGE]["network"] if AVERAGE in checkpoint else checkpoint[STUDENT]
    return state


def restore(run: LiveRun, start: Checkpoint) -> int:
    """Load a checkpoint into a run and return the samples it had seen."""
    run.student.load(start, STUDENT)
    for name, trained in run.networks.items():
        if name != STUDENT:
            trained.load(start[name], NETWORK)
    return int(start["seen"])


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain data with their checksum: whole or not at all.

    Raises:
      OSError: the file cannot be written.
    """
    buffer = io.BytesIO()  # torch's own writer hides what is wrong with a disk
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    write_bytes(path, hashlib.sha256(content).digest() + content)


def load_state(path: Path, device: torch.device) -> dict[str, Any] | None:
    """Read what `save_state` wrote, or None where it is missing or damaged; a damaged file is put aside.

    No code in the file is ever run.

    Args:
      path: of the file; a damaged one then ends in `.damaged`.
      device: where its tensors go.
    """
    try:
        state = torch.load(io.BytesIO(_checked(path.read_bytes())), map_location=device, weights_only=True)
        if not isinstance(state, dict):
            raise TypeError(f"it holds a {type(state).__name__}")
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file raises many things; what it held is then trained again
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        log.warning("the checkpoint %s is damaged and put aside (%s); what it held is trained again", path, reason)
        with contextlib.suppress(OSError):
            path.replace(path.with_suffix(".damaged"))
        return None
    return state


def load_checkpoint(path: Path, device: torch.device) -> Checkpoint | None:
    """Read a run's checkpoint, or None where it is missing, damaged, or of another format."""
    checkpoint = load_state(path, device)
    if checkpoint is not None and checkpoint.get("format") != CHECKPOINT_FORMAT:
        log.warning("checkpoint %s has format %s; training again from scratch", path, checkpoint.get("format"))
        return None
    return checkpoint


def _checked(content: bytes) -> bytes:
    """What `torch.save` wrote, its checksum taken off."""
    if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
        return content[DIGEST:]
    if not content.startswith(BARE):
        raise ValueError("its checksum is wrong")
    return content
