"""Image files to uint8 tensors: the same steps for training data and for new inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from autokd.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
RESIZE_RULE = "shorter side to size, bilinear with antialias, centre crop"

_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_MODES = {1: "L", 3: "RGB"}


def image_files(folder: Path) -> list[Path]:
    """Return the image files in a folder and below, sorted; hidden files are no images."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def shorter_side(path: Path) -> int | None:
    """Return an image's shorter side in pixels, read from its header; None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return min(image.size)
    except _UNREADABLE:
        return None


def decode(path: Path, size: tuple[int, int], channels: int) -> NDArray[np.uint8]:
    """Return an image file as [channels, height, width], upright, resized by `RESIZE_RULE`.

    Raises:
      DataError: the file is not a readable image.
    """
    try:
        with Image.open(path) as image:
            return _pixels(fit(eight_bit(ImageOps.exif_transpose(image)), size, channels))
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: not a readable image ({reason}); remove it, or leave such files out with --skip-bad"
        ) from error


def fit(image: Image.Image, size: tuple[int, int], channels: int) -> Image.Image:
    """Return an 8-bit image with 1 or 3 channels and this (height, width), by `RESIZE_RULE`; unchanged if so."""
    height, width = size
    return ImageOps.fit(image.convert(_MODES[channels]), (width, height), Image.Resampling.BILINEAR)


def conform(images: Tensor, size: tuple[int, int], channels: int) -> Tensor:
    """Return uint8 images [N, 1 or 3, H, W] as [N, channels, *size]; the same tensor where they are so already."""
    if tuple(images.shape[1:]) == (channels, *size):
        return images
    arrays = images.permute(0, 2, 3, 1).numpy()
    pictures = (Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array) for array in arrays)
    return torch.from_numpy(np.stack([_pixels(fit(picture, size, channels)) for picture in pictures]))


def eight_bit(image: Image.Image) -> Image.Image:
    """Return an image as L or RGB; 16-bit grey is scaled to 8 bits, transparency is dropped."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray((wide // 257).astype(np.uint8))
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return an L or RGB image as [channels, height, width]."""
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))
