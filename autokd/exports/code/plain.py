"""Functions that stand in written code as they stand here: augmentations of a batch, and the running average.

They draw at random batch by batch. autokd itself draws for a whole pass at once, so that teacher and student see the
same view whoever asks; the distributions are the same, except that a partner to mix with comes from the batch here.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class RunningAverage:
    """The average of a network's weights over about the last `share` of the samples (Karras et al., 2312.02696)."""

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.seen, self.power = 0, 2 / share - 1

    @torch.no_grad()
    def update(self, network: nn.Module, samples: int) -> None:
        """Take in the network's weights after a step on so many samples."""
        self.seen += samples
        weight = 1 - (1 - samples / self.seen) ** self.power
        here, there = ([*module.parameters(), *module.buffers()] for module in (self.network, network))
        for own, now in zip(here, there, strict=True):
            own.copy_(torch.lerp(own, now, weight) if own.is_floating_point() else now)
