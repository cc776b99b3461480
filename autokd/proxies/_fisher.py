"""Fisher: how much the loss reacts to removing whole channels.

Source: Theis et al., Faster Gaze Prediction with Dense Networks and Fisher Pruning, 2018, arXiv 1801.05787, in the
form of Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021, arXiv 2101.08134: the value of a channel
counts once for each of its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from autokd import declarations
from autokd.errors import ComponentError
from autokd.proxies.gradients import gradients, loss_of
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput


def channel_fisher(activation: Tensor, gradient: Tensor, channel: int) -> Tensor:
    """Return 1/2 mean over samples of (sum over places of activation times gradient)², one value a channel.

    Args:
      activation, gradient: [B, …], what a layer puts out, and the loss's gradient for it.
      channel: which dimension the channels are.
    """
    product = (activation * gradient).movedim(channel, 1)
    return product.reshape(*product.shape[:2], -1).sum(2).square().mean(0) / 2


def fisher(network: nn.Module, inputs: Inputs, labels: Tensor) -> float:
    """Return the sum of `channel_fisher` over the channels of all convolutions and linear layers, times their weights.

    Raises:
      ComponentError: the network calls no such layer.
    """
    called: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        called.append((module, output))
        return output.clone()  # what follows may work in place

    layers = [module for module in network.modules() if isinstance(module, (_ConvNd, nn.Linear))]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    loss = loss_of(network, inputs, labels)
    for handle in handles:
        handle.remove()
    if not called:
        raise ComponentError("fisher reads convolutions and linear layers; this student calls none")
    slopes = gradients(loss, [output for _, output in called])
    return sum(_of_layer(*call, slope) for call, slope in zip(called, slopes, strict=True))


def _of_layer(layer: nn.Module, output: Tensor, gradient: Tensor) -> float:
    channel = -1 if isinstance(layer, nn.Linear) else 1
    weight = cast(Tensor, layer.weight)
    return float(channel_fisher(output.detach(), gradient, channel).sum()) * weight.numel() / output.shape[channel]


@dataclass(frozen=True, kw_only=True)
class Fisher:
    """Effect of all channels together on the cross-entropy of the screening batch.

    Raises:
      ComponentError: the student has no convolution and no linear layer.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="squared nats")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return fisher(untrained_student(screen), screen.inputs, screen.labels)
