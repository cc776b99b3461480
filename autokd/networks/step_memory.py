"""How much memory a training step takes at least, from shapes alone: nothing is allocated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from autokd import batching
from autokd.components import StudentComponent
from autokd.networks.cost import in_form
from autokd.networks.inputs import feed_of
from autokd.types import Task

SAMPLES = 2
"""Samples that are looked at: batch normalisation needs two."""


def kept_bytes(component: StudentComponent, task: Task) -> int:
    """Return the bytes that a student's training step keeps of each sample until the gradients are there.

    It is what autograd saves of a batch in train mode, each storage counted once, without the weights; what a step
    takes beside that, gradients of activations and the workspace of convolutions, is not in it.

    Args:
      component: the student.
      task: the task.
    """
    module = in_form(component, task, None, None).train()
    inputs = batching.to(feed_of(task).example(SAMPLES, None), torch.device("meta"))
    own = {_storage(tensor) for _, tensor in _named(module)}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in own:
            kept[_storage(tensor)] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = functional_call(module, dict(_named(module)), (inputs,))
        total = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    del outputs
    return total // SAMPLES


def _named(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _storage(tensor: Tensor) -> int:
    """What two tensors share that are views of one: weights are kept as such, too."""
    return int(tensor.untyped_storage()._cdata)
