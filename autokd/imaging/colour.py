"""What values pixels have: brightness, contrast, sharpness and the like, each image on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def gray(images: Tensor) -> Tensor:
    """Return the luminance [B, 1, H, W] (ITU-R 601 weights); one channel is its own luminance."""
    if images.shape[1] == 1:
        return images
    return images[:, :1] * 0.2989 + images[:, 1:2] * 0.587 + images[:, 2:] * 0.114


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black; factor [B, 1, 1, 1] >= 0, 1 changes nothing."""
    return (images * factor).clamp(0, 1)


def color(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the luminance; one channel stays as it is."""
    return images if images.shape[1] == 1 else _blend(images, gray(images), factor)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean luminance."""
    fine = (gray(images) * 2**16).round().to(torch.int32)
    mean = fine.sum((1, 2, 3), keepdim=True).to(images.dtype) / (2**16 * fine[0].numel())
    return _blend(images, mean, factor)


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with a smoothed image (3 x 3, centre 5, others 1, over 13); the border stays as it is."""
    columns = images[..., :-2] + images[..., 1:-1] + images[..., 2:]
    box = columns[..., :-2, :] + columns[..., 1:-1, :] + columns[..., 2:, :]
    centre = images[..., 1:-1, 1:-1]
    result = images.clone()
    result[..., 1:-1, 1:-1] = _blend(centre, (box + centre * 4) / 13, factor)
    return result


def posterize(images: Tensor, step: Tensor) -> Tensor:
    """Round down to multiples of step levels, [B, 1, 1, 1]; 2**(8 - bits) keeps that many bits."""
    return (_levels(images) / step).floor() * step / 255


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at or above the threshold, [B, 1, 1, 1], in levels."""
    return torch.where(_levels(images) >= threshold, 1 - images, images)


def auto_contrast(images: Tensor, _: Tensor) -> Tensor:
    """Stretch each channel to [0, 1]; a flat channel stays as it is."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, ((images - low) / span.clamp_min(1e-12)).clamp(0, 1), images)


def equalize(images: Tensor, _: Tensor) -> Tensor:
    """Equalise each channel's histogram of levels as Pillow does; one with too few pixels stays as it is.

    With k(v) pixels of a channel below level v, and step = k(highest level) // 255, level v becomes
    (k(v) + step // 2) // step; the channel stays as it is where step is 0.
    """
    levels = _levels(images).flatten(2).long()
    count = levels.new_zeros(*levels.shape[:2], 256).scatter_add_(2, levels, torch.ones_like(levels))
    below = (count.cumsum(2) - count).gather(2, levels)
    step = below.amax(2, keepdim=True) // 255
    equalized = ((below + step // 2) // step.clamp_min(1)).clamp(0, 255)
    return (torch.where(step > 0, equalized, levels).to(images.dtype) / 255).view_as(images)


def _levels(images: Tensor) -> Tensor:
    return (images * 255).round()


def _blend(images: Tensor, base: Tensor, factor: Tensor) -> Tensor:
    return (images * factor + base * (1 - factor)).clamp(0, 1)


PHOTOMETRIC: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "color": color,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "auto_contrast": auto_contrast,
    "equalize": equalize,
}
