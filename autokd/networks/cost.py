"""What a network costs: parameters, multiply-accumulates, bytes, latency.

Multiply-accumulates (MACs) are those of convolutions and matrix products, half of what
`torch.utils.flop_counter.FlopCounterMode` counts; normalisation, activations and pooling count nothing.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from autokd import batching
from autokd.components import HeadComponent, StudentComponent, is_blind
from autokd.networks.counting import counting
from autokd.networks.fusing import fuse_in_place, fused
from autokd.networks.inputs import feed_of
from autokd.types import BuildContext, Shapes, Task

_WARM_UP = 5
_FILLING = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.zero_,
    torch.Tensor.fill_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_normal_,
    nn.init.kaiming_uniform_,
}


class Cost(NamedTuple):
    """What a student costs.

    Args:
      params: learned parameters.
      macs: multiply-accumulates of one sample.
      size: bytes of parameters and buffers.
    """

    params: int
    macs: int
    size: int


def params(module: nn.Module) -> int:
    """Return the number of parameters: shared ones once, frozen ones too, so that a frozen teacher's count is right."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def macs(module: nn.Module, task: Task) -> int:
    """Return the multiply-accumulates of one sample in eval mode; computes with shapes only and changes nothing."""
    inputs = batching.to(feed_of(task).example(1, None), torch.device("meta"))
    with _evaluating(module), counting() as counter:
        if all(tensor.is_meta for _, tensor in _tensors(module)):
            module(inputs)
        else:
            functional_call(module, {name: tensor.to("meta") for name, tensor in _tensors(module)}, (inputs,))
    return counter.macs


def size_bytes(module: nn.Module) -> int:
    """Return the bytes of all parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for _, tensor in _tensors(module))


@torch.inference_mode()
def latency(
    module: nn.Module, task: Task, device: torch.device | str, *, batch_size: int = 1, repeats: int = 50
) -> float:
    """Return the time of one forward pass in eval mode, in milliseconds: the median of `repeats`, warm-up excluded.

    A copy of the module is measured as it is deployed (`autokd.networks.fusing`), from call to finished result, on
    random inputs that are already on the device.
    """
    device = torch.device(device)
    network = fused(module).to(device)
    generator = torch.Generator().manual_seed(0)
    inputs = batching.to(feed_of(task).example(batch_size, generator), device)
    times = [_seconds(lambda: network(inputs), device) for _ in range(_WARM_UP + repeats)]
    return 1000.0 * statistics.median(times[_WARM_UP:])


def answer_cost(
    answer: Callable[[], object], device: torch.device, *, timed: bool, repeats: int = 20
) -> dict[str, float]:
    """Return what it costs to ask a model about one sample, whatever the model is.

    Args:
      answer: asks it once, with everything in place.
      device: where it computes.
      timed: also measure how long that takes.
      repeats: times that it is asked for that.
    Returns:
      "macs", multiply-accumulates of what torch computes, left out where that is nothing; and where `timed` "latency",
      milliseconds, the median, warm-up excluded.
    """
    with FlopCounterMode(display=False) as counter:
        answer()
    flops = int(counter.get_total_flops())
    cost: dict[str, float] = {"macs": float(flops // 2)} if flops else {}
    if timed:
        times = [_seconds(answer, device) for _ in range(_WARM_UP + repeats)]
        cost["latency"] = round(1000.0 * statistics.median(times[_WARM_UP:]), 4)
    return cost


@functools.lru_cache(maxsize=4096)
def student_cost(
    component: StudentComponent, task: Task, head: HeadComponent | None = None, teacher: Shapes | None = None
) -> Cost:
    """Return what a student costs on a task as it is deployed; built from shapes only, without weights.

    Branches of a student that become one once it is trained count as that one (`autokd.networks.fusing`).

    Args:
      component: the student.
      task: the task.
      head: the component that is part of the student; None for the bare student.
      teacher: what the teacher offers, for the head.
    """
    module = _deployed_form(component, task, head, teacher)
    return Cost(params(module), macs(module, task), size_bytes(module))


def student_fits(
    component: StudentComponent,
    task: Task,
    limits: Mapping[str, float],
    head: HeadComponent | None = None,
    teacher: Shapes | None = None,
) -> bool:
    """Whether a student stays inside the limits that follow from its architecture; no MACs are counted in vain.

    One that does not see its input fits nowhere.

    Args:
      component, task, head, teacher: as for `student_cost`.
      limits: largest values by the name of the cost; a limit of the latency is not looked at.
    """
    if is_blind(component):
        return False
    count, size = _extent(component, task, head, teacher)
    if count > limits.get("params", count) or size > limits.get("size", size):
        return False
    return "macs" not in limits or student_cost(component, task, head, teacher).macs <= limits["macs"]


def student_params(
    component: StudentComponent, task: Task, head: HeadComponent | None = None, teacher: Shapes | None = None
) -> int:
    """Return the parameters of a student alone, in a fraction of the time of `student_cost`."""
    return _extent(component, task, head, teacher)[0]


@functools.lru_cache(maxsize=4096)
def _extent(
    component: StudentComponent, task: Task, head: HeadComponent | None, teacher: Shapes | None
) -> tuple[int, int]:
    """Parameters and bytes of a student."""
    module = _deployed_form(component, task, head, teacher)
    return params(module), size_bytes(module)


def in_form(component: StudentComponent, task: Task, head: HeadComponent | None, teacher: Shapes | None) -> nn.Module:
    """Return a student of shapes only, as it trains."""
    with shapes_alone():
        module = component.build(BuildContext(task=task))
        return module if head is None else head.build(BuildContext(task=task, teacher=teacher))(module)


@functools.lru_cache(maxsize=1)
def _deployed_form(
    component: StudentComponent, task: Task, head: HeadComponent | None, teacher: Shapes | None
) -> nn.Module:
    """A student of shapes only, as it answers once it is trained; the last one is kept for the next question."""
    module = in_form(component, task, head, teacher).eval()
    with shapes_alone():
        return fuse_in_place(module)


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Make tensors of a block without memory, and leave them unfilled."""
    with torch.device("meta"), _Uninitialised():
        yield


class _Uninitialised(TorchFunctionMode):
    """Leaves weights as they are while a network is made; on shapes alone, filling them takes half of the time."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _FILLING:
            filled = args[0] if args else (kwargs or {})["tensor"]
            if filled.is_meta:
                return filled
        return func(*args, **(kwargs or {}))


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    run()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module in eval mode for a block, and each part back in its own mode afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
