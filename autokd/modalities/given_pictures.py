"""Images that were given in Python: PIL images, arrays and tensors, of one or of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from autokd.errors import DataError
from autokd.input_values import ReadInputs
from autokd.modalities.decoding import MODES, UNREADABLE, Reading, eight_bit, expect_same_range, from_levels, pixels
from autokd.modalities.images import ImagePreprocess, conform, form_of, said_of_cuts

_COLOURS = (1, 3, 4)
"""Channels of an array of images: grey, RGB, RGB with transparency."""


def read_images(samples: Any, preprocess: ImagePreprocess) -> ReadInputs:
    """Return images given in Python as uint8 [N, *input_shape].

    Args:
      samples: a PIL image, an array or tensor of one image or of many, or a sequence of images in such forms.
      preprocess: of the student that is to see them.

    Raises:
      DataError: they are no images, or have levels that the student's images did not have.
    """
    listed = isinstance(samples, Sequence) and not isinstance(samples, str | bytes)
    if listed and not samples:
        raise DataError("no inputs are given")
    found = [_one(sample, preprocess, f"image {number}") for number, sample in enumerate(samples)] if listed else []
    stacks = found or [_stack(samples, preprocess, "the images")]
    fitted = [conform(stack, preprocess.size, preprocess.channels, preprocess.reading.resize) for stack in stacks]
    images = torch.cat(fitted)
    sizes = [(stack.shape[3], stack.shape[2]) for stack in stacks for _ in stack]
    return ReadInputs(range(len(images)), images, remarks=tuple(said_of_cuts(sizes, preprocess)))


def eight_bit_values(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Return levels as 0 to 255: whole numbers that are such, or floats from 0 to 1.

    Args:
      array: of at least one level.
      what: the array is, for the message.

    Raises:
      DataError: they are neither.
    """
    low, high = array.min(), array.max()
    if array.dtype.kind in "iub" and low >= 0 and high <= 255:
        return np.asarray(array * (255 if array.dtype.kind == "b" else 1), dtype=np.uint8)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        return np.asarray(np.rint(array * 255), dtype=np.uint8)
    raise DataError(
        f"{what}: {array.dtype} images from {low:g} to {high:g}; expected whole numbers in 0 to 255, or floats in 0 to "
        "1 (not normalised)"
    )


def _one(sample: Any, preprocess: ImagePreprocess, what: str) -> Tensor:
    found = _stack(sample, preprocess, what)
    if len(found) != 1:
        raise DataError(f"{what} of the list is {len(found)} images; give a list of single ones, or one array [N, …]")
    return found


def _stack(sample: Any, preprocess: ImagePreprocess, what: str) -> Tensor:
    """Return one image or many in their own size: uint8 [N, 1 or 3, H, W]."""
    if isinstance(sample, Image.Image):
        return _tensor(_pixels(sample, preprocess, what)[None])
    if not isinstance(sample, Tensor | np.ndarray):
        raise DataError(f"{what}: expected paths, PIL images, arrays or tensors, got a {type(sample).__name__}")
    return _tensor(_from_array(_numbers(sample, what), preprocess, what))


def _tensor(array: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _pixels(image: Image.Image, preprocess: ImagePreprocess, what: str) -> NDArray[np.uint8]:
    """Return a PIL image as [channels, height, width], read as files are."""
    try:
        upright = ImageOps.exif_transpose(image)
        return pixels(eight_bit(upright, preprocess.reading).convert(MODES[preprocess.channels]))
    except UNREADABLE as error:
        raise DataError(f"{what}: not a usable image ({' '.join(str(error).split())})") from error


def _numbers(sample: Tensor | NDArray[Any], what: str) -> NDArray[Any]:
    if isinstance(sample, Tensor):
        kept = sample.detach().cpu()
        return kept.float().numpy() if kept.is_floating_point() else kept.numpy()
    if sample.dtype.kind not in "biuf":
        raise DataError(
            f"{what}: expected paths, PIL images, arrays or tensors of numbers, got an array of {sample.dtype}"
        )
    return sample


def _from_array(array: NDArray[Any], preprocess: ImagePreprocess, what: str) -> NDArray[np.uint8]:
    """Return an array of images as [N, 1 or 3, H, W], 8 bits a level."""
    stack = _stacked(array, preprocess.channels)
    if stack is None or 0 in stack.shape[1:]:
        raise DataError(
            f"{what}: shape {tuple(array.shape)}; expected [N, C, H, W] or [N, H, W, C] with C of 1, 3 or 4, [N, H, W] "
            f"(grey), or one image; the student takes {form_of(preprocess)}"
        )
    if len(stack) == 0:
        raise DataError("no inputs are given")
    levels = _levels(stack, preprocess.reading, what)
    return levels if levels.shape[1] < max(_COLOURS) else _on_ground(levels, preprocess.reading)


def _stacked(array: NDArray[Any], channels: int) -> NDArray[Any] | None:
    """Return an array of one or many images as [N, C, H, W]; None where its shape is none of such.

    Of three dimensions, [H, W, C] and [C, H, W] with the student's own C are one image, all others are [N, H, W].
    """
    shape = array.shape
    if array.ndim == 2:
        return array[None, None]
    if array.ndim == 3:
        if shape[0] == channels:
            return array[None]
        return array.transpose(2, 0, 1)[None] if shape[2] in _COLOURS else array[:, None]
    if array.ndim == 4 and shape[1] not in _COLOURS and shape[3] in _COLOURS:
        return array.transpose(0, 3, 1, 2)
    return array if array.ndim == 4 and shape[1] in _COLOURS else None


def _levels(stack: NDArray[Any], reading: Reading, what: str) -> NDArray[np.uint8]:
    if reading.levels is None:
        return eight_bit_values(stack, what)
    try:
        expect_same_range(stack, reading.levels)
        return from_levels(stack.astype(np.float64), reading.levels)
    except ValueError as error:
        raise DataError(f"{what}: {error}") from error


def _on_ground(levels: NDArray[np.uint8], reading: Reading) -> NDArray[np.uint8]:
    pictures = (Image.fromarray(np.ascontiguousarray(each.transpose(1, 2, 0)), "RGBA") for each in levels)
    return np.stack([pixels(eight_bit(picture, reading)) for picture in pictures])
