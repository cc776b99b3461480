"""An untrained student, ready to be scored."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from autokd.types import ScreenInput


def untrained_student(screen: ScreenInput, seed: int) -> nn.Module:
    """Return a freshly initialised student on the device of the screening batch.

    It normalises with the statistics of the batch, since an untrained network has no running ones, and drops nothing
    out, since that would add noise to a score.
    """
    network = screen.build(seed).to(screen.labels.device).train()
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    return network
