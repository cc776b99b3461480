"""Networks in the form in which they are deployed: what trains in one form and answers in a simpler one is simpler."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any, Protocol, cast, runtime_checkable

from torch import nn


@runtime_checkable
class Fusable(Protocol):
    """A module that trains in one form and answers in a simpler one, such as the branches of a RepVGG block."""

    def fuse(self) -> nn.Module:
        """Return what computes the same in eval mode: another module, or this one where it changed in place."""


def fused(network: nn.Module) -> nn.Module:
    """Return a copy of a network in eval mode in which every module that can be fused is.

    A module that can be fused looks after those inside of it.
    """
    return fuse_in_place(copy.deepcopy(network).eval())


def fuse_in_place(network: nn.Module) -> nn.Module:
    """Fuse what can be fused of a network in eval mode, as `fused` does; return it, or what it became as a whole."""
    for path in list(_outermost(network, "")):
        simpler = cast(Fusable, network.get_submodule(path)).fuse().eval()
        if not path:
            return simpler
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, simpler)
    return network


def _outermost(module: nn.Module, path: str) -> Iterator[str]:
    """The paths of the modules that can be fused and lie in no other such module."""
    if _is_fusable(type(module)):  # type: ignore[arg-type]  # a class is hashable
        yield path
        return
    for name, child in module.named_children():
        yield from _outermost(child, f"{path}.{name}" if path else name)


@functools.lru_cache(maxsize=1024)
def _is_fusable(cls: Any) -> bool:
    return issubclass(cls, Fusable)
