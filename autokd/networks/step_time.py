"""How long a training step of a network takes, measured on a few."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from autokd import batching
from autokd.networks.inputs import feed_of
from autokd.networks.models import as_output
from autokd.types import Task

STEP = 64
"""Samples of a step."""
MOST_MACS = 5e9
"""Multiply-accumulates of the steps that are timed, about: of large samples fewer are taken, and the time is scaled."""
_WARM_UP, _REPEATS = 1, 3


def step_time(module: nn.Module, task: Task, device: torch.device, macs: float) -> float:
    """Return the milliseconds of a training step on 64 samples: forward, cross-entropy, backward and SGD.

    The median of a few, warm-up excluded, on random inputs that are on the device already. The module is trained by it.

    Args:
      module: a network for the task.
      task: the task.
      device: where it computes.
      macs: its multiply-accumulates of one sample.
    """
    count = int(min(STEP, max(2, MOST_MACS / 3 / max(macs, 1.0))))
    network = module.to(device).train()
    inputs = batching.to(feed_of(task).example(count, torch.Generator().manual_seed(0)), device)
    labels = torch.arange(count, device=device) % task.num_classes
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        began = time.perf_counter()
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(as_output(network(inputs)).logits, labels))
        optimizer.step()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        return time.perf_counter() - began

    seconds = [step() for _ in range(_WARM_UP + _REPEATS)][_WARM_UP:]
    return 1000.0 * statistics.median(seconds) * STEP / count
