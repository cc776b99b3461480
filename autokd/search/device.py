"""The device that a search or a training runs on."""

from __future__ import annotations

import torch

from autokd.errors import UserError


def pick_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:i".

    Raises:
      UserError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s); use cpu or auto"
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: use auto, cpu, cuda or cuda:0")
    return device
