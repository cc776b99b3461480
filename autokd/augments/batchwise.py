"""Augmentation policies as functions of one batch, which stand in written code as they stand here.

They draw at random batch by batch. The policies themselves draw for a whole pass at once, so that teacher and student
see the same view whoever asks. The distributions are the same, but a partner to mix with comes from the batch here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from autokd.types import IMAGE, Task


class BatchCall(NamedTuple):
    """A call that changes a batch.

    Args:
      function: (inputs, *arguments) -> inputs, or where `mixes` (inputs, targets, *arguments) -> both.
      arguments: as code.
      mixes: whether it changes targets, too.
    """

    function: Callable[..., Any]
    arguments: tuple[str, ...]
    mixes: bool = False


def batch_calls(fields: Mapping[str, Any], task: Task) -> list[BatchCall] | None:
    """Return what a policy does to a batch, one call after the other; None where it has no form as such calls.

    Args:
      fields: of the policy, with its name as "use".
      task: whose samples it changes, as the policy sees them: not normalised.
    """
    calls = _POLICIES.get(fields["use"])
    return None if calls is None else calls(fields, task)


def policies() -> tuple[str, ...]:
    """Return the names of the policies that have such a form."""
    return tuple(_POLICIES)


def crop_flip(images: Tensor, down: int, right: int, *, flip: bool) -> Tensor:
    """Crop images [B, C, H, W] at random after padding them with zeros, and mirror half of them."""
    count, (height, width) = len(images), images.shape[-2:]
    rows = torch.arange(height) + torch.randint(2 * down + 1, (count, 1))
    columns = torch.arange(width).expand(count, -1)
    if flip:
        columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    columns = columns + torch.randint(2 * right + 1, (count, 1))
    padded = F.pad(images, (right, right, down, down))
    picked = (rows[:, :, None] * padded.shape[-1] + columns[:, None]).flatten(1).to(images.device)
    return padded.flatten(2).gather(2, picked[:, None].expand(-1, images.shape[1], -1)).view_as(images)


def mixup(inputs: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Average samples [B, …] and targets [B, C] with those of another sample (Zhang et al., arXiv 1710.09412)."""
    partner = torch.randperm(len(inputs), device=inputs.device)
    share = torch.distributions.Beta(alpha, alpha).sample((len(inputs),)).to(inputs.device)
    wide = share.view(-1, *[1] * (inputs.ndim - 1))
    mixed = inputs * wide + inputs[partner] * (1 - wide)
    return mixed, targets * share[:, None] + targets[partner] * (1 - share[:, None])


def cutmix(images: Tensor, targets: Tensor, alpha: float, probability: float) -> tuple[Tensor, Tensor]:
    """Put a rectangle of another image into images [B, C, H, W], and mix targets by area (Yun et al., 1905.04899)."""
    count, partner = len(images), torch.randperm(len(images), device=images.device)
    side = (1 - torch.distributions.Beta(alpha, alpha).sample((count, 1))).sqrt()
    side = side * (torch.rand(count, 1) < probability)
    masks = []
    for length in images.shape[-2:]:
        distance = torch.arange(length) - torch.randint(length, (count, 1))
        half = (side * length).long() // 2
        masks.append((distance >= -half) & (distance < half))
    inside = (masks[0][:, None, :, None] & masks[1][:, None, None, :]).to(images.device)
    share = 1 - inside.float().mean((2, 3))
    return torch.where(inside, images[partner], images), targets * share + targets[partner] * (1 - share)


def random_erasing(images: Tensor, probability: float, area: float, aspect: float) -> Tensor:
    """Fill a rectangle of images [B, C, H, W] with noise (Zhong et al., arXiv 1708.04896, algorithm 1)."""
    count, (height, width) = len(images), images.shape[-2:]
    pixels = (0.02 + (area - 0.02) * torch.rand(count, 10)) * height * width  # ten attempts for each image
    ratio = aspect + (1 / aspect - aspect) * torch.rand(count, 10)
    sides = [(pixels * ratio).sqrt().round().long(), (pixels / ratio).sqrt().round().long()]
    fits = (sides[0] > 0) & (sides[1] > 0) & (sides[0] < height) & (sides[1] < width)
    first = fits.int().argmax(1, keepdim=True)
    erased = fits.any(1, keepdim=True) & (torch.rand(count, 1) < probability)
    masks = []
    for length, side in zip((height, width), sides, strict=True):
        side = side.gather(1, first) * erased
        distance = torch.arange(length) - (torch.rand(count, 1) * (length - side + 1)).long()
        masks.append((distance >= 0) & (distance < side))
    inside = (masks[0][:, None, :, None] & masks[1][:, None, None, :]).to(images.device)
    return torch.where(inside, torch.randint_like(images, 256) / 255, images)


def feature_noise(inputs: Tensor, std: float | Tensor) -> Tensor:
    """Add Gaussian noise to rows [B, columns]."""
    return inputs + std * torch.randn_like(inputs)


def _crop_flip(fields: Mapping[str, Any], task: Task) -> list[BatchCall]:
    """The crop and flip with which the policies for images begin."""
    if task.modality not in IMAGE:
        return []
    height, width = task.input_shape[1:]
    down, right = math.ceil(fields["padding"] * height), math.ceil(fields["padding"] * width)
    if down == right == 0 and not fields["flip"]:
        return []
    return [BatchCall(crop_flip, (str(down), str(right), f"flip={fields['flip']}"))]


def _mixup(fields: Mapping[str, Any], task: Task) -> list[BatchCall]:
    return [*_crop_flip(fields, task), BatchCall(mixup, (repr(fields["alpha"]),), mixes=True)]


def _cutmix(fields: Mapping[str, Any], task: Task) -> list[BatchCall]:
    arguments = (repr(fields["alpha"]), repr(fields["probability"]))
    return [*_crop_flip(fields, task), BatchCall(cutmix, arguments, mixes=True)]


def _random_erasing(fields: Mapping[str, Any], task: Task) -> list[BatchCall]:
    arguments = tuple(repr(fields[name]) for name in ("probability", "area", "aspect"))
    return [*_crop_flip(fields, task), BatchCall(random_erasing, arguments)]


def _feature_noise(fields: Mapping[str, Any], task: Task) -> list[BatchCall]:
    return [BatchCall(feature_noise, (f'{fields["std"]!r} * data["std"]',))]


_POLICIES: Mapping[str, Callable[[Mapping[str, Any], Task], list[BatchCall]]] = {
    "none": lambda fields, task: [],
    "crop_flip": _crop_flip,
    "mixup": _mixup,
    "cutmix": _cutmix,
    "random_erasing": _random_erasing,
    "feature_noise": _feature_noise,
}
