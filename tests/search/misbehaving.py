"""A plug-in file of losses that go wrong."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from autokd.declarations import Loss, Scale
from autokd.types import BuildContext, Step, Term


def declared(name: str) -> Loss:
    """What a loss declares that reads no teacher."""
    return Loss(name=name, teacher="none", scale=Scale(1.0, "made up"))


class Bad:
    """A loss that goes wrong in its step."""

    def build(self, context: BuildContext) -> Term:
        """Return what goes wrong."""
        return self.step

    def step(self, step: Step) -> Tensor:
        """What goes wrong."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Raises(Bad):
    declares = declared("t_raises")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        raise RuntimeError("this loss raises\nand says more")


@dataclass(frozen=True, kw_only=True)
class NotANumber(Bad):
    declares = declared("t_nan")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        return step.student.logits.sum(1) * float("nan")


@dataclass(frozen=True, kw_only=True)
class Memory(Bad):
    declares = declared("t_memory")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        raise torch.OutOfMemoryError("this loss needs 80 GB")


@dataclass(frozen=True, kw_only=True)
class HostMemory(Bad):
    declares = declared("t_host_memory")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        raise MemoryError


@dataclass(frozen=True, kw_only=True)
class Allocator(Bad):
    declares = declared("t_cpu_allocator")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


@dataclass(frozen=True, kw_only=True)
class Unbuilt(Bad):
    declares = declared("t_unbuilt")

    weight: float = 1.0

    def build(self, context: BuildContext) -> Term:
        raise ValueError("this loss cannot be built")


@dataclass(frozen=True, kw_only=True)
class Interrupts(Bad):
    declares = declared("t_interrupts")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class Segfault(Bad):
    declares = declared("t_segfault")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        ctypes.string_at(0)
        raise AssertionError("address 0 can be read")


@dataclass(frozen=True, kw_only=True)
class Hangs(Bad):
    declares = declared("t_hangs")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        time.sleep(1000)
        raise AssertionError("nobody ended this process")


@dataclass(frozen=True, kw_only=True)
class Eats(Bad):
    declares = declared("t_eats")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        kept = []
        while True:
            kept.append(torch.empty(2**26))  # untouched: what is asked for counts


@dataclass(frozen=True, kw_only=True)
class Chatters(Bad):
    declares = declared("t_chatters")

    weight: float = 1.0

    def step(self, step: Step) -> Tensor:
        print("a loss that prints")
        return step.student.logits.square().mean(1)
