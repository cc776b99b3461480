"""The data on the device, and the augmented views of it.

A view depends on the epoch's table of augmentation parameters and the sample alone, so teacher and student always see
the same one, whoever computes it and when.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autokd.types import Augment, Rows, Split, Task, View


class DeviceData(NamedTuple):
    """A split on the training device, with what normalises it.

    Args:
      inputs: [N, *input_shape], as stored (uint8 or float32).
      labels: [N] int64.
      targets: [N, C] float32 class probabilities.
      mean, std: broadcastable against a batch of inputs.
    """

    inputs: Tensor
    labels: Tensor
    targets: Tensor
    mean: Tensor
    std: Tensor


def to_device(split: Split, task: Task, device: torch.device) -> DeviceData:
    """Copy a split to the device."""
    shape = (1, -1) + (1,) * (len(task.input_shape) - 1)
    labels = split.labels.to(device)
    return DeviceData(
        inputs=split.inputs.to(device),
        labels=labels,
        targets=one_hot(labels, task.num_classes).float(),
        mean=torch.tensor(task.mean or (0.0,), device=device).reshape(shape),
        std=torch.tensor(task.std or (1.0,), device=device).reshape(shape),
    )


def raw_view(data: DeviceData, index: Tensor | slice) -> View:
    """Return samples as float32 (images in [0, 1]), not augmented, not normalised."""
    inputs = data.inputs[index]
    if inputs.dtype == torch.uint8:
        inputs = inputs.float().div_(255)
    return View(inputs, data.targets[index])


def augmented_view(data: DeviceData, augment: Augment, rows: Rows, index: Tensor) -> View:
    """Return the samples' views of this epoch, not yet normalised.

    Args:
      data: the training split, N samples.
      augment: the policy.
      rows: the epoch's table, tensors [N, …] on the data's device.
      index: [B] int64.
    """
    own = {name: column[index] for name, column in rows.items()}
    if "partner" not in own:
        return augment.apply(raw_view(data, index), own, None, None)
    partner = own["partner"]
    partner_rows = {name: column[partner] for name, column in rows.items()}
    return augment.apply(raw_view(data, index), own, raw_view(data, partner), partner_rows)


def normalise(data: DeviceData, inputs: Tensor) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel."""
    return (inputs - data.mean) / data.std


def rows_key(rows: Rows) -> str:
    """Return 16 hex digits that identify an epoch's table: equal tables make equal views."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(rows):
        column = rows[name].contiguous()
        digest.update(f"{name}{tuple(column.shape)}{column.dtype}".encode())
        digest.update(column.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
