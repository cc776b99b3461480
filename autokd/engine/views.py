"""The data, on the device or streamed to it, and the augmented views of it.

A view depends on the epoch's table of augmentation parameters and the sample alone, so teacher and student always see
the same one, whoever computes it and when.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autokd import imaging
from autokd.spec import component_to_plain, fingerprint
from autokd.types import Augment, Rows, Split, Task, View

DEVICE_SHARE = 0.5
"""Share of a device's free memory that a split may take; a larger one stays on the host and is streamed."""
PREFETCH = 3
"""Batches prepared ahead of the device where data are streamed."""


class DeviceData(NamedTuple):
    """A split, with what normalises it.

    Args:
      inputs: [N, *input_shape], as stored (uint8 or float32); on the device where they fit, else on the host, where
        they may be a memory-mapped file.
      labels: [N] int64, on the device.
      targets: [N, C] float32 class probabilities, on the device.
      mean, std: broadcastable against a batch of inputs, on the device.
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor
    mean: Tensor
    std: Tensor

    @property
    def streamed(self) -> bool:
        """Whether inputs have to be brought to the device batch by batch."""
        return self.inputs.device != self.labels.device


def to_device(split: Split, task: Task, device: torch.device) -> DeviceData:
    """Bring a split to the device; inputs that do not fit stay on the host."""
    shape = (1, -1) + (1,) * (len(task.input_shape) - 1)
    labels = split.labels.to(device)
    return DeviceData(
        inputs=split.inputs.to(device) if _fits(split.inputs, device) else split.inputs,
        labels=labels,
        targets=one_hot(labels, task.num_classes).float(),
        mean=torch.tensor(task.mean or (0.0,), device=device).reshape(shape),
        std=torch.tensor(task.std or (1.0,), device=device).reshape(shape),
    )


def _fits(inputs: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return inputs.numel() * inputs.element_size() <= DEVICE_SHARE * free


@dataclass(frozen=True)
class Fetched:
    """Samples of a batch, on the device, as stored.

    Args:
      index: [B] int64, rows of the split.
      inputs: [B, *input_shape] as stored.
      partner: [B] int64 and partner_inputs like inputs, where the policy mixes samples; else None.
    """

    index: Tensor
    inputs: Tensor
    partner: Tensor | None = None
    partner_inputs: Tensor | None = None


def fetch(data: DeviceData, rows: Rows, batches: Sequence[Tensor]) -> Iterator[Fetched]:
    """Yield batches of samples on the device.

    Args:
      data: the split.
      rows: the epoch's table as drawn, on the CPU.
      batches: indices of each batch, int64, on the CPU.
    """
    partners = rows.get("partner")
    if not data.streamed:
        device = data.labels.device
        on_device = None if partners is None else partners.to(device, non_blocking=True)
        everything = torch.cat(list(batches)).to(device, non_blocking=True)
        for index in torch.split(everything, [len(batch) for batch in batches]):
            partner = None if on_device is None else on_device[index]
            yield Fetched(index, data.inputs[index], partner, None if partner is None else data.inputs[partner])
        return
    yield from _streamed(data, partners, batches)


def _streamed(data: DeviceData, partners: Tensor | None, batches: Sequence[Tensor]) -> Iterator[Fetched]:
    """Gather batches on the host in a thread, a few ahead, and copy them without waiting."""
    device = data.labels.device
    pin = device.type == "cuda"

    def gather(index: Tensor) -> list[Tensor]:
        indices = [index] if partners is None else [index, partners[index]]
        tensors = [tensor for i in indices for tensor in (i, data.inputs[i])]
        return [tensor.pin_memory() for tensor in tensors] if pin else tensors

    waiting = iter(batches)
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead: deque[Future[list[Tensor]]] = deque()
        for index in waiting:
            ahead.append(thread.submit(gather, index))
            if len(ahead) > PREFETCH:
                yield Fetched(*(tensor.to(device, non_blocking=True) for tensor in ahead.popleft().result()))
        while ahead:
            yield Fetched(*(tensor.to(device, non_blocking=True) for tensor in ahead.popleft().result()))


def raw_inputs(stored: Tensor) -> Tensor:
    """Return stored inputs as float32; images come to [0, 1]."""
    return stored.float().div_(255) if stored.dtype == torch.uint8 else stored


def raw_view(data: DeviceData, index: Tensor | slice) -> View:
    """Return samples as float32 on the device (images in [0, 1]), not augmented, not normalised."""
    where = index if isinstance(index, slice) or not data.streamed else index.cpu()
    return View(raw_inputs(data.inputs[where].to(data.labels.device)), data.targets[index])


def augmented_view(data: DeviceData, augment: Augment, rows: Rows, fetched: Fetched) -> View:
    """Return the samples' views of this epoch, not yet normalised.

    Args:
      data: the training split.
      augment: the policy.
      rows: the epoch's table, tensors [N, …] on the device.
      fetched: the batch.
    """
    own = {name: column[fetched.index] for name, column in rows.items()}
    view = View(raw_inputs(fetched.inputs), data.targets[fetched.index])
    if fetched.partner is None or fetched.partner_inputs is None:
        return augment.apply(view, own, None, None)
    partner_rows = {name: column[fetched.partner] for name, column in rows.items()}
    partner = View(raw_inputs(fetched.partner_inputs), data.targets[fetched.partner])
    return augment.apply(view, own, partner, partner_rows)


def normalise(data: DeviceData, inputs: Tensor) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel; images come out channels-last."""
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    return (inputs - data.mean) / data.std


def rows_key(rows: Rows) -> str:
    """Return 16 hex digits that identify an epoch's table: equal tables make equal views."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(rows):
        column = rows[name].contiguous()
        digest.update(f"{name}{tuple(column.shape)}{column.dtype}".encode())
        digest.update(column.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def policy_key(augment: Any) -> str:
    """Return 16 hex digits that identify a policy and the version of the code that applies it.

    Args:
      augment: the component.
    """
    own = sys.modules[type(augment).__module__].__file__
    files = [*([] if own is None else [Path(own)]), *sorted(Path(imaging.__path__[0]).glob("*.py"))]
    code = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return fingerprint([component_to_plain(augment), code, torch.__version__])
