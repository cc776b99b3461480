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
    listed: list[Any] = list(parameters)
    groups = listed if listed and isinstance(listed[0], dict) else [{"params": listed}]
    halves = [half for group in groups for half in _split_by_decay(group) if half["params"]]
    if not halves:
        raise ValueError("the optimizer got no parameters to train; give it a network with requires_grad parameters")
    return halves


def _split_by_decay(group: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A group's trained weights, and its other trained parameters without decay."""
    trained = [parameter for parameter in group["params"] if parameter.requires_grad]
    weights, others = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    return {**group, "params": weights}, {**group, "params": others, "weight_decay": 0.0}
