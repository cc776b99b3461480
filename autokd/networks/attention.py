"""Queries, keys and values of a network that was not written for autokd, caught by hooks.

They are read from three kinds of attention module, whatever the library: one that projects its input to all three by
one linear layer `qkv` (timm); one with a linear layer for each, named as in `_APART` (transformers); and
`torch.nn.MultiheadAttention`, where it is called and not replaced by its fused fast path.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autokd.networks.models import answer_example
from autokd.types import Task

States = list[Tensor]
"""Queries, keys and values that a watched module computed, [B, heads, N, d] each; [] before it ran."""

Watch = Callable[[nn.Module, States], list[RemovableHandle]]
"""Puts hooks on a module that fill in its states."""

_APART = (("query", "key", "value"), ("q_proj", "k_proj", "v_proj"), ("q", "k", "v"), ("to_q", "to_k", "to_v"))
"""Names that linear layers of an attention module have, one for queries, one for keys and one for values."""

_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "heads")
"""Names that an attention module may keep its number of heads under."""


def find_watch(module: nn.Module) -> Watch | None:
    """Return what puts hooks on an attention module of a known kind, or None for any other module."""
    if isinstance(module, nn.MultiheadAttention):
        return _watch_multihead
    if heads_of(module) == 0:
        return None
    joint = dict(module.named_children()).get("qkv")
    if isinstance(joint, nn.Linear) and joint.out_features % (3 * heads_of(module)) == 0:
        return _watch_joint
    return _watch_apart if _apart(module) else None


@contextlib.contextmanager
def watch_attention(network: nn.Module, caught: dict[str, States]) -> Iterator[None]:
    """Fill in the states of the attention modules at some paths, in the order they run, during one forward pass."""
    handles: list[RemovableHandle] = []
    for path, states in caught.items():
        module = network.get_submodule(path)
        watch = find_watch(module)
        assert watch is not None
        handles += watch(module, states)
    with remove_after(handles):
        yield


def last_attention(network: nn.Module, task: Task) -> str:
    """Return the path of the last module to attend from all tokens of a sample to all of them, or "" without any."""
    caught: dict[str, States] = {
        path: [] for path, module in network.named_modules() if path and find_watch(module) is not None
    }
    if not caught:
        return ""
    ended: list[str] = []

    def noting(path: str) -> Any:
        return lambda module, inputs, output: ended.append(path)

    handles = [network.get_submodule(path).register_forward_hook(noting(path)) for path in caught]
    with remove_after(handles), watch_attention(network, caught):
        answer_example(network, task)
    whole = [path for path in ended if _attends_within_samples(caught[path])]
    return whole[-1] if whole else ""


def _attends_within_samples(states: States) -> bool:
    """Whether queries, keys and values of two samples were caught, each of the same shape."""
    return [state.shape[0] for state in states] == [2] * 3 and len({state.shape for state in states}) == 1


@contextlib.contextmanager
def remove_after(handles: Collection[RemovableHandle]) -> Iterator[None]:
    """Remove hooks after a block."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def heads_of(module: nn.Module) -> int:
    """Return the number of heads that a module says it has; 0 where it says nothing."""
    counts = [vars(module)[name] for name in _COUNTS if isinstance(vars(module).get(name), int)]
    return counts[0] if counts else 0


def _apart(module: nn.Module) -> tuple[nn.Linear, ...]:
    """The linear layers for queries, keys and values, all equally wide; () where there are no such three."""
    parts = dict(module.named_children())
    for names in _APART:
        found = tuple(part for name in names if isinstance(part := parts.get(name), nn.Linear))
        if len(found) == 3 and {layer.out_features for layer in found} == {found[0].out_features}:
            return found if found[0].out_features % heads_of(module) == 0 else ()
    return ()


def _split(joined: Tensor, heads: int) -> Tensor:
    """Bring [B, …, heads * d] to [B, heads, N, d], all positions one after the other; N is 1 where there are none."""
    return joined.reshape(joined.shape[0], -1, heads, joined.shape[-1] // heads).transpose(1, 2)


def _watch_joint(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are the thirds of one layer's output, each head after head."""
    layers = dict(module.named_children())
    norms = [layers.get(name, nn.Identity()) for name in ("q_norm", "k_norm", "")]

    def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        split = (_split(part, heads_of(module)) for part in output.chunk(3, dim=-1))
        states[:] = [norm(part) for norm, part in zip(norms, split, strict=True)]

    return [layers["qkv"].register_forward_hook(hook)]


def _watch_apart(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are the outputs of a layer each."""
    caught: dict[nn.Module, Tensor] = {}
    layers = _apart(module)

    def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        caught[layer] = _split(output, heads_of(module))
        states[:] = [caught[layer] for layer in layers if layer in caught]

    return [layer.register_forward_hook(hook) for layer in layers]


def _watch_multihead(module: nn.Module, states: States) -> list[RemovableHandle]:
    """Queries, keys and values are computed once more from the module's arguments, as it computes them within."""
    assert isinstance(module, nn.MultiheadAttention)

    def hook(layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
        inputs = (given[name] for name in ("query", "key", "value"))
        states[:] = [
            _split(F.linear(x if module.batch_first else x.transpose(0, 1), weight, bias), module.num_heads)
            for x, (weight, bias) in zip(inputs, _projections(module), strict=True)
        ]

    return [module.register_forward_pre_hook(hook, with_kwargs=True)]


def _projections(module: nn.MultiheadAttention) -> list[tuple[Tensor, Tensor | None]]:
    """Weight and bias for queries, keys and values."""
    joint = module.in_proj_weight
    weights = [module.q_proj_weight, module.k_proj_weight, module.v_proj_weight] if joint is None else joint.chunk(3)
    biases = [None] * 3 if module.in_proj_bias is None else module.in_proj_bias.chunk(3)
    return list(zip(weights, biases, strict=True))
