"""Gradients of an untrained network on one batch, as several proxies read them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from autokd.networks.models import as_output
from autokd.types import Inputs


class Weighted(NamedTuple):
    """A weight tensor and the gradient of the loss for it, of the same shape; zeros where the loss does not read it."""

    weight: Tensor
    gradient: Tensor


def weights_of(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights of the trainable layers: parameters of two dimensions and more, so no biases and no norms."""
    return [parameter for parameter in network.parameters() if parameter.ndim > 1 and parameter.requires_grad]


def loss_of(network: nn.Module, inputs: Inputs, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of a batch, nats."""
    return functional.cross_entropy(as_output(network(inputs)).logits, labels)


def weight_gradients(network: nn.Module, inputs: Inputs, labels: Tensor) -> list[Weighted]:
    """Return each weight with the gradient of the mean cross-entropy; nothing is accumulated in the network."""
    weights = weights_of(network)
    return [Weighted(*pair) for pair in zip(weights, gradients(loss_of(network, inputs, labels), weights), strict=True)]


def gradients(value: Tensor, variables: list[Tensor] | list[nn.Parameter], *, again: bool = False) -> list[Tensor]:
    """Return the gradient of a scalar for each variable, zeros where it does not depend on it.

    Args:
      value: a scalar.
      variables: what to differentiate by.
      again: keep the graph, so that the gradients can be differentiated themselves.
    """
    if not value.requires_grad:
        return [torch.zeros_like(variable) for variable in variables]
    found = torch.autograd.grad(value, variables, create_graph=again, allow_unused=True)
    return [torch.zeros_like(v) if g is None else g for v, g in zip(variables, found, strict=True)]
