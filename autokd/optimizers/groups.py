"""Which parameters decay: the rule that all optimizers share.

The optimizers use torch's `foreach` form, which is faster than a loop. The `fused` form is faster still, but on the CPU
it reads a parameter and its state by raw position in memory: state restored in another memory layout than the
parameter's (channels_last) would be applied to the wrong weights, silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import Optimizer

Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
"""Parameters, or groups {"params": parameters, …}, as torch.optim takes them."""

MakeOptimizer = Callable[[Parameters], Optimizer]


def decay_groups(parameters: Parameters) -> list[dict[str, Any]]:
    """Split every group in two: weights, and parameters of at most one dimension, which get no weight decay.

    Biases and the scales and shifts of normalisation have one dimension; decaying them shrinks what needs no
    regularisation (He et al. 2018, arXiv 1812.01187, section 3.1). Order is kept; frozen parameters are left out.

    Raises:
      ValueError: nothing to train.
    """
    given: list[Any] = list(parameters)
    groups = given if given and isinstance(given[0], dict) else [{"params": given}]
    found = []
    for group in groups:
        trained = [parameter for parameter in group["params"] if parameter.requires_grad]
        found.append({**group, "params": [p for p in trained if p.ndim > 1]})
        found.append({**group, "params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0})
    found = [group for group in found if group["params"]]
    if not found:
        raise ValueError("the optimizer got no parameters to train; give it a network with requires_grad parameters")
    return found
