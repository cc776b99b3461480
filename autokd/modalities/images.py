"""Images as raw samples, uint8 [N, channels, height, width]: decoded, resized, and what is fitted on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from autokd.errors import DataError
from autokd.input_kind import PREPROCESS_FORMAT, RawInputs
from autokd.modalities.plain import described, expect_rule, fields_of, with_tuples

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


@dataclass(frozen=True, kw_only=True)
class ImagePreprocess:
    """Images to uint8 [N, channels, height, width].

    Args:
      classes: class names, by index.
      channels: 1 (grey) or 3 (RGB).
      size: (height, width) in pixels.
      mean, std: per channel of the training images scaled to [0, 1]; subtracted and divided later, after augmentation.
    """

    kind: ClassVar[str] = "image"
    classes: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (self.channels, *self.size)

    def apply(self, raw: RawInputs) -> Tensor:
        """Return uint8 [N, *input_shape]; images of this shape are returned as they are.

        Raises:
          DataError: `raw` is not uint8 images [N, 1 or 3, H, W].
        """
        if not isinstance(raw, Tensor) or raw.dtype != torch.uint8 or raw.ndim != 4 or raw.shape[1] not in (1, 3):
            raise DataError(f"expected uint8 images [N, 1 or 3, H, W], got {described(raw)}")
        return conform(raw, self.size, self.channels)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `image_preprocess` reads."""
        return {"format": PREPROCESS_FORMAT, "kind": self.kind, "resize": RESIZE_RULE, **fields_of(self)}


def image_preprocess(plain: Mapping[str, Any]) -> ImagePreprocess:
    """Inverse of `ImagePreprocess.to_json`, `format` and `kind` taken out.

    Raises:
      DataError, KeyError, TypeError: it is no such thing.
    """
    expect_rule("resize", plain["resize"], RESIZE_RULE)
    return ImagePreprocess(**with_tuples({key: value for key, value in plain.items() if key != "resize"}))


def fit_images(raw: Tensor, classes: tuple[str, ...]) -> ImagePreprocess:
    """Fit the preprocessing on training images."""
    channels, height, width = raw.shape[1:]
    moments = [_moments(raw[:, channel]) for channel in range(channels)]
    mean, std = zip(*moments, strict=True)
    return ImagePreprocess(classes=classes, channels=channels, size=(height, width), mean=mean, std=std)


def _moments(levels: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of uint8 levels scaled to [0, 1], from a histogram: exact; 1 for no deviation."""
    counts = torch.bincount(levels.reshape(-1), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    deviation = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    return round(float(mean), 6), round(float(deviation), 6) or 1.0
