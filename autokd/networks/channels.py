"""Channels inside a network that can go without changing what its blocks take and give; and how important each is.

Which layers share a channel is found by Torch-Pruning (Fang et al., DepGraph, CVPR 2023, arXiv 2301.12900). Of its
groups those are taken that a single layer writes or that lie inside one residual block: the hidden channels, between a
block's first convolution and its last, the hidden units of a transformer's MLP, and every layer of a network without
such blocks. What runs along the residual connections stays as it is. Heads of attention go as a whole, where the
attention is one that projects to queries, keys and values by one layer `qkv`, as timm's does.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd import compat
from autokd.networks.attention import heads_of
from autokd.networks.models import as_output
from autokd.types import Inputs

EXTRA = "pruning"
"""The extra that brings Torch-Pruning."""
Keep = Callable[[Sequence[int]], None]


class Weights(NamedTuple):
    """Weights that belong to channels.

    Args:
      parameter: a layer's.
      dim: along which its channels lie.
      parts: so many times one after the other: 3 for queries, keys and values.
    """

    parameter: Tensor
    dim: int
    parts: int = 1

    def by_channel(self, tensor: Tensor, channels: int) -> Tensor:
        """Return a tensor of the parameter's shape as [channels, weights of one]."""
        apart = tensor.movedim(self.dim, 0).reshape(self.parts, channels, -1)
        return apart.transpose(0, 1).reshape(channels, -1)


class Channels(NamedTuple):
    """Channels that several layers share, and of which some can go.

    Args:
      size: how many there are.
      written: weights of the layers that compute them.
      read: weights of the layers that read them.
      keep: takes the indices, ascending, of those that are to stay, and removes the others.
    """

    size: int
    written: tuple[Weights, ...]
    read: tuple[Weights, ...]
    keep: Keep


Score = Callable[[nn.Module, Sequence[Channels]], Sequence[Tensor]]
"""(network, its channels) -> how important each channel is, [size] for each of them."""


def first_ones(network: nn.Module, found: Sequence[Channels]) -> list[Tensor]:
    """Return scores by which the first channels stay: the form is the same whichever do."""
    return [torch.arange(channels.size, 0, -1, device="cpu") for channels in found]


@torch.no_grad()
def magnitude(network: nn.Module, found: Sequence[Channels]) -> list[Tensor]:
    """Return the sum of the absolute weights that compute a channel.

    Source: Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv 1608.08710, section 3.1.
    """
    return [
        torch.stack([w.by_channel(w.parameter.abs(), channels.size).sum(1) for w in channels.written]).sum(0)
        for channels in found
    ]


def taylor(
    losses: Callable[[nn.Module], Iterator[Tensor]], network: nn.Module, found: Sequence[Channels]
) -> list[Tensor]:
    """Return the mean over batches of the squared change of the loss, to first order, if a channel were 0.

    That is (Σ g·w)² over the weights that read the channel, which is (z ∂L/∂z)², the importance of a gate on it.

    Args:
      losses: network -> its loss on each batch, a scalar.
      network: its gradients are left at None.
      found: its channels.
    Source: Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019, arXiv 1906.10771, eqs. 4, 8.
    """
    totals, batches = [torch.zeros(()) for _ in found], 0
    network.requires_grad_(True)
    for loss in losses(network):
        network.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        totals = [total.to(loss.device) + _effect(channels) for total, channels in zip(totals, found, strict=True)]
        batches += 1
    network.zero_grad(set_to_none=True)
    return [total / max(1, batches) for total in totals]


@torch.no_grad()
def _effect(channels: Channels) -> Tensor:
    each = [
        w.by_channel(w.parameter * w.parameter.grad, channels.size).sum(1)
        for w in channels.read
        if w.parameter.grad is not None
    ]
    return torch.stack(each).sum(0).square()


def prune(network: nn.Module, found: Sequence[Channels], share: float, score: Score) -> None:
    """Keep the most important channels, in place, in their order; of equals the first.

    Args:
      network: changed in place.
      found: its channels.
      share: of the channels that stay, in (0, 1]; at least one of each does.
      score: says how important they are.
    """
    for channels, scores in zip(found, score(network, found), strict=True):
        kept = max(1, round(share * channels.size))
        order = scores.sort(descending=True, stable=True).indices[:kept]
        if kept < channels.size:
            channels.keep(sorted(order.tolist()))


def find_channels(network: nn.Module, inputs: Inputs, inside: Sequence[str]) -> list[Channels]:
    """Return the channels of a network of which some can go.

    Args:
      network: in eval mode.
      inputs: two samples.
      inside: paths of its residual blocks.
    Raises:
      MissingDependency: Torch-Pruning is not installed.
    """
    pruning = compat.import_module("torch_pruning", EXTRA)
    network.requires_grad_(True)
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about parameters that are in no layer
        graph = pruning.DependencyGraph().build_dependency(
            network, example_inputs=[inputs], output_transform=lambda answer: as_output(answer).logits, verbose=False
        )
        groups = list(graph.get_all_groups())
    attention, paths = _attention(network), {module: path for path, module in network.named_modules()}
    found: list[Channels] = []
    for group in groups:
        layers = [(dep.target.module, graph.is_out_channel_pruning_fn(dep.handler)) for dep, _ in group]
        own = [paths[module] for module, _ in layers if module in paths]
        if _apart(group) and not _beneath(own, attention) and (_one_writes(layers) or _within_one(own, inside)):
            found += _group(pruning, graph, group, layers)
    return found + list(_heads(pruning, network))


def _attention(network: nn.Module) -> list[str]:
    """Paths of the modules that attend: those with heads, and none of such within."""
    heads = [path for path, module in network.named_modules() if heads_of(module)]
    return [path for path in heads if not any(other.startswith(f"{path}.") for other in heads)]


def _one_writes(layers: Sequence[tuple[nn.Module, bool]]) -> bool:
    """Whether the channels of a group are the output of one layer alone, depthwise convolutions aside."""
    writers = [module for module, out in layers if out and isinstance(module, (nn.Conv2d, nn.Linear))]
    return sum(not (isinstance(module, nn.Conv2d) and module.groups > 1) for module in writers) == 1


def _beneath(paths: Sequence[str], parents: Sequence[str]) -> bool:
    """Whether any path lies below one of the others."""
    return any(f"{path}.".startswith(f"{parent}.") for path in paths for parent in parents)


def _within_one(paths: Sequence[str], blocks: Sequence[str]) -> bool:
    return any(all(path.startswith(f"{block}.") for path in paths) for block in blocks)


def _apart(group: Any) -> bool:
    """Whether each channel of a group goes by itself: nothing on its way is split, joined or counted in groups."""
    kinds = {dep.target.type.name for dep, _ in group}
    whole = len({len(indices) for _, indices in group}) == 1
    grouped = any(
        1 < module.groups < module.out_channels
        for module in (dep.target.module for dep, _ in group)
        if isinstance(module, nn.Conv2d)
    )
    return whole and not grouped and not kinds & {"CONCAT", "SPLIT", "UNBIND", "EXPAND", "GN", "MHA", "LSTM", "OUTPUT"}


def _group(pruning: Any, graph: Any, group: Any, layers: Sequence[tuple[nn.Module, bool]]) -> Iterator[Channels]:
    """A group of Torch-Pruning as channels, where a layer reads them that is not made of channels one by one."""
    root, count = layers[0][0], len(group[0].idxs)
    weighty = [(module, out) for module, out in layers if isinstance(module, (nn.Conv2d, nn.Linear))]
    written = tuple(Weights(module.weight, 0) for module, out in weighty if out)
    read = tuple(Weights(module.weight, 1) for module, out in weighty if not out)
    handler = group[0].dep.handler

    def keep(kept: Sequence[int]) -> None:
        gone = sorted(set(range(count)) - set(kept))
        graph.get_pruning_group(root, handler, idxs=gone).prune()

    if read and count > 1:
        yield Channels(count, written, read, keep)


def _heads(pruning: Any, network: nn.Module) -> Iterator[Channels]:
    """The heads of every attention that can do with fewer."""
    for module in network.modules():
        parts, heads = dict(module.named_children()), heads_of(module)
        qkv, proj = parts.get("qkv"), parts.get("proj")
        if heads > 1 and isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear) and _can_lose_heads(module):
            written = (Weights(qkv.weight, 0, parts=3),)
            yield Channels(heads, written, (Weights(proj.weight, 1),), partial(_keep_heads, pruning, module))


_WIDTH = "attn_dim"
"""Under which an attention keeps how wide all its heads are together, where that need not be the width of its input."""


def _can_lose_heads(module: nn.Module) -> bool:
    """Whether an attention reads its width from `attn_dim`, and has no weights that belong to heads but `qkv`'s."""
    width = vars(module).get(_WIDTH)
    weighty = {name for name, part in module.named_children() if any(True for _ in part.parameters())}
    alone = weighty <= {"qkv", "proj", "q_norm", "k_norm"} and not any(True for _ in module.parameters(recurse=False))
    qkv, proj = module.get_submodule("qkv"), module.get_submodule("proj")
    sizes = vars(qkv).get("out_features"), vars(proj).get("in_features")
    return alone and isinstance(width, int) and sizes == (3 * width, width)


def _keep_heads(pruning: Any, module: Any, kept: Sequence[int]) -> None:
    heads, width = heads_of(module), getattr(module, _WIDTH)
    each = width // heads
    gone = [head * each + place for head in sorted(set(range(heads)) - set(kept)) for place in range(each)]
    pruning.prune_linear_out_channels(module.qkv, [part * width + index for part in range(3) for index in gone])
    pruning.prune_linear_in_channels(module.proj, gone)
    module.num_heads = len(kept)
    setattr(module, _WIDTH, each * len(kept))
