"""In which precision and on how many threads a student trains: functions of the student, the batch and the machine.

Teachers always answer, and students are always evaluated, in float32.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import torch
from torch import nn

from autokd.networks.cost import student_cost
from autokd.spec import PipelineSpec
from autokd.types import Task

SMALL_STEP = 5e8
"""Multiply-accumulates of a batch below which one CPU thread is faster than several."""
HALF_STEP = 1e8
"""Multiply-accumulates of a batch from which bfloat16 is faster on a CPU that computes it natively."""
PRECISIONS = ("auto", "float32", "bfloat16")


def train_dtype(wanted: str, network: nn.Module, macs: int, device: torch.device) -> torch.dtype:
    """Return the type that a network's forward and backward pass compute in.

    With "auto": bfloat16 on CUDA (float16 with loss scaling where the device has none), and on CPUs that compute it
    natively for steps large enough to gain; depthwise convolutions lose there and stay in float32.

    Args:
      wanted: one of `PRECISIONS`.
      network: the network.
      macs: multiply-accumulates of a batch.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if macs >= HALF_STEP and cpu_has_bfloat16() and _dense(network) else torch.float32


def threads_for(spec: PipelineSpec, task: Task, available: int) -> int:
    """Return the CPU threads for a pipeline's steps: one where a step is too small to be worth more.

    Threads that wait for each other cost more than such a step, many times more on a busy machine.
    """
    components = [spec.student] if spec.peer is None else [spec.student, spec.peer]
    largest = max(student_cost(component, task).macs for component in components)
    return 1 if largest * spec.batch_size < SMALL_STEP else available


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Whether this CPU computes bfloat16 natively (AVX512-BF16, AMX, or Arm's BF16); False where it does not say."""
    if platform.system() != "Linux":
        return False
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _dense(network: nn.Module) -> bool:
    return all(module.groups == 1 for module in network.modules() if isinstance(module, nn.Conv2d))
