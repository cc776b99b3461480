"""An untrained student, ready to be scored, and what proxies read of it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from autokd.errors import ComponentError
from autokd.networks.models import seeded
from autokd.types import Output, ScreenInput, Teacher


def untrained_student(screen: ScreenInput) -> nn.Module:
    """Return a freshly initialised student on the device of the screening batch.

    It normalises with the statistics of the batch, since an untrained network has no running ones, and drops nothing
    out, since that would add noise to a score.
    """
    return scored(screen.build(screen.seed).to(screen.labels.device))


def scored(network: nn.Module) -> nn.Module:
    """Return the network in the mode that students are scored in, see `untrained_student`."""
    network.train()
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    return network


def gaussian_(network: nn.Module, seed: int) -> nn.Module:
    """Draw every convolution's and linear layer's weights from N(0, 1) and zero their biases, in place; return it."""
    with seeded(seed, next(network.parameters()).device):
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return network


def last_feature(output: Output, whose: str) -> Tensor:
    """Return the deepest feature of an output.

    Raises:
      ComponentError: it has none.
    """
    if not output.features:
        raise ComponentError(f"this proxy reads feature maps; this {whose} offers none")
    return output.features[-1]


def needed_teacher(screen: ScreenInput) -> Teacher:
    """Return the teacher.

    Raises:
      ComponentError: none was given.
    """
    if screen.teacher is None:
        raise ComponentError("this proxy compares the student with a teacher; none was given")
    return screen.teacher


def teacher_answer(screen: ScreenInput) -> Output:
    """Return what the teacher says of the screening batch; a `ComponentError` where there is none."""
    return needed_teacher(screen).predict(screen.inputs)
