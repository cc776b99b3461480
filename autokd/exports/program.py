"""Modules as programs of torch.export, which run with torch alone on a batch of any length."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from autokd import batching
from autokd.networks.inputs import feed_of
from autokd.types import Task


def traced(module: nn.Module, task: Task) -> ExportedProgram:
    """Return a module in eval mode as a program; the module stays as it is.

    Args:
      module: takes samples of the task as a network does, [B, …].
      task: whose samples they are.

    Raises:
      Exception: of any kind, where the module's own code cannot be traced.
    """
    example = feed_of(task).example(2, None)
    batch: Any = {0: torch.export.Dim("batch", min=1)}
    shapes = (batching.each(example, lambda _: batch),)
    with torch.no_grad():
        return torch.export.export(_compact(module), (example,), dynamic_shapes=shapes, strict=False)


def as_bytes(program: ExportedProgram, extra_files: dict[str, Any] | None = None) -> bytes:
    """Return the content of a program's file, with further files inside by name."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files=extra_files)
    return content.getvalue()


def _compact(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose tensors are each in memory of their own and in the usual layout."""
    module = copy.deepcopy(module).eval()
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return module
