"""Residual blocks of a network that was not written for autokd, found by what they compute; and leaving some out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from autokd.networks.attention import remove_after
from autokd.types import Inputs

_SAME = 1e-4
"""Share of what goes into a block by which what comes out may differ from it."""


class Run(NamedTuple):
    """Blocks of one class that follow one another and hand on the same shape; the first may be what makes it.

    Args:
      container: path of the `nn.Sequential` or `nn.ModuleList` that they are in.
      places: of the blocks in it.
    """

    container: str
    places: tuple[int, ...]


class Blocks(NamedTuple):
    """What is known of a network's residual blocks.

    Args:
      runs: of two blocks or more, of which all but the first may be left out.
      types: classes of the blocks, those that change the shape too.
    """

    runs: tuple[Run, ...]
    types: tuple[type[nn.Module], ...]

    def paths(self, network: nn.Module) -> list[str]:
        """Return the paths of all blocks of these classes."""
        return [path for path, module in network.named_modules() if path and type(module) in self.types]


class _Call(NamedTuple):
    """How a module was called, and what it answered."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: Any

    @property
    def keeps_shape(self) -> bool:
        """Whether a tensor came out that is as large as the one that went in."""
        first = self.args[0] if self.args else None
        return isinstance(first, Tensor) and isinstance(self.output, Tensor) and first.shape == self.output.shape


@torch.no_grad()
def find_blocks(network: nn.Module, inputs: Inputs) -> Blocks:
    """Return the residual blocks of a network.

    A block is residual if it hands on what it gets, perhaps through a ReLU, once all its weights are 0.

    Args:
      network: in eval mode, with values; it stays as it is.
      inputs: samples, not all zeros.
    """
    calls = _calls(network, inputs)
    residual = {path: module for path, module in network.named_modules() if _is_residual(module, calls.get(path))}
    runs = [run for path, box in _containers(network) for run in _runs(path, box, calls, residual)]
    return Blocks(tuple(run for run in runs if len(run.places) > 1), tuple(dict.fromkeys(map(type, residual.values()))))


def leave_out(network: nn.Module, blocks: Blocks, share: float) -> None:
    """Leave out blocks of every run, in place, so that evenly spaced ones stay, the first and the last among them.

    Source: Sanh et al. 2019 (DistilBERT, arXiv 1910.01108), section 3: every other layer of the teacher's.

    Args:
      network: changed in place.
      blocks: what `find_blocks` said of a network of its form.
      share: of the blocks of each run that stay, in (0, 1]; at least one does.
    """
    for container, places in reversed(blocks.runs):  # of a container the last run first: numbers move up
        box = network.get_submodule(container)
        assert isinstance(box, (nn.Sequential, nn.ModuleList))
        stay = {places[index] for index in evenly_spaced(len(places), share)}
        for place in sorted(set(places) - stay, reverse=True):
            del box[place]


def evenly_spaced(count: int, share: float) -> list[int]:
    """Return which of so many blocks stay.

    >>> evenly_spaced(12, 0.5), evenly_spaced(4, 0.5), evenly_spaced(3, 0.25)
    ([0, 2, 4, 7, 9, 11], [0, 3], [0])
    """
    kept = max(1, round(share * count))
    return [round(index * (count - 1) / max(1, kept - 1)) for index in range(kept)]


def _calls(network: nn.Module, inputs: Inputs) -> dict[str, _Call]:
    """The modules that are called once with a tensor first, and how."""
    found: dict[str, list[_Call]] = {}

    def noting(path: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
            found.setdefault(path, []).append(_Call(args, kwargs, output))

        return hook

    named = [(path, module) for path, module in network.named_modules() if path]
    with remove_after([module.register_forward_hook(noting(path), with_kwargs=True) for path, module in named]):
        network(inputs)
    return {path: calls[0] for path, calls in found.items() if len(calls) == 1}


def _has_parts(module: nn.Module) -> bool:
    """Whether a module is made of others and has weights."""
    return any(True for _ in module.children()) and any(True for _ in module.parameters())


def _is_residual(module: nn.Module, call: _Call | None) -> bool:
    if call is None or not call.keeps_shape or type(module) is nn.Sequential or not _has_parts(module):
        return False
    nothing = {name: torch.zeros_like(weight) for name, weight in module.named_parameters()}
    output, given = functional_call(module, nothing, call.args, dict(call.kwargs)), call.args[0]
    return any(bool((output - same).norm() < _SAME * same.norm()) for same in (given, given.relu()))


def _containers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    yield from (
        (path, module) for path, module in network.named_modules() if isinstance(module, (nn.Sequential, nn.ModuleList))
    )


def _runs(path: str, box: nn.Module, calls: Mapping[str, _Call], residual: Collection[str]) -> Iterator[Run]:
    """The runs of a container: of one class each; a block that changes the shape begins a new one."""
    children = list(box.children())
    names = [f"{path}.{name}" if path else name for name, _ in box.named_children()]

    def follows(before: int, here: int) -> bool:
        return names[here] in residual and type(children[here]) is type(children[before])

    begun = [place for place in range(len(children)) if place == 0 or not follows(place - 1, place)]
    for start, end in itertools.pairwise([*begun, len(children)]):
        if names[start] in calls and _has_parts(children[start]):
            yield Run(path, tuple(range(start, end)))
