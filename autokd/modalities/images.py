"""Images as raw samples, uint8 [N, channels, height, width]: decoded, resized, and what is fitted on them."""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from autokd import lazy
from autokd.errors import DataError
from autokd.input_values import PREPROCESS_FORMAT, RawInputs
from autokd.modalities import resizing
from autokd.modalities.decoding import GROUNDS, MODES, USUAL, Reading, decode, eight_bit, header, pixels
from autokd.modalities.plain import described, fields_of, with_tuples

__all__ = [
    "ImagePreprocess",
    "Reading",
    "conform",
    "decode",
    "eight_bit",
    "fit_images",
    "form_of",
    "image_preprocess",
    "png",
    "said_of_cuts",
    "said_of_new",
    "usual_side",
]


LOOKED_AT = 64
"""Files that are looked at, about, where some say enough."""
SHOWN = 64
"""Side in pixels, at most, of a picture that people look at."""


def conform(images: Tensor, size: tuple[int, int], channels: int, rule: str = resizing.CROP) -> Tensor:
    """Return uint8 images [N, 1 or 3, H, W] as [N, channels, *size]; the same tensor where they are so already.

    Args:
      images: to be resized.
      size: (height, width) in pixels.
      channels: 1 (grey) or 3 (RGB).
      rule: of `resizing.RULES`.
    """
    if tuple(images.shape[1:]) == (channels, *size):
        return images
    arrays = images.permute(0, 2, 3, 1).numpy()
    pictures = (Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array) for array in arrays)
    found = np.empty((len(images), channels, *size), np.uint8)
    for row, picture in enumerate(pictures):
        found[row] = pixels(resizing.resized(picture.convert(MODES[channels]), (size[1], size[0]), rule))
    return torch.from_numpy(found)


@dataclass(frozen=True, kw_only=True)
class ImagePreprocess:
    """Images to uint8 [N, channels, height, width].

    Args:
      classes: class names, by index.
      channels: 1 (grey) or 3 (RGB).
      size: (height, width) in pixels.
      mean, std: per channel of the training images scaled to [0, 1]; subtracted and divided later, after augmentation.
      reading: how image files become such images.
    """

    kind: ClassVar[str] = "image"
    classes: tuple[str, ...]
    channels: int
    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reading: Reading = USUAL

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
        return conform(raw, self.size, self.channels, self.reading.resize)

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `image_preprocess` reads."""
        fields = fields_of(self)
        del fields["reading"]
        return {"format": PREPROCESS_FORMAT, "kind": self.kind, **_reading_to_json(self.reading), **fields}


def image_preprocess(plain: Mapping[str, Any]) -> ImagePreprocess:
    """Inverse of `ImagePreprocess.to_json`, `format` and `kind` taken out.

    Raises:
      DataError, KeyError, TypeError: it is no such thing.
    """
    values = with_tuples(plain)
    names = {text: rule for rule, text in resizing.RULES.items()}
    rule, ground = values.pop("resize"), values.pop("ground", Reading.ground)
    if rule not in names or ground not in GROUNDS:
        known = ", ".join(map(repr, (*names, *GROUNDS)))
        raise DataError(f"preprocessing with resize {rule!r} and ground {ground!r} is not known; known are {known}")
    others = {name: values.pop(name) for name in ("levels", "encoding") if name in values}
    reading = Reading(resize=names[rule], ground=ground, **others)
    return ImagePreprocess(**values, reading=reading)


def png(pixels: Tensor) -> bytes:
    """Return stored pixels, uint8 [1 or 3, H, W], as a PNG file of at most 64 pixels a side."""
    levels = pixels.permute(1, 2, 0).squeeze(-1).numpy()
    picture, file = Image.fromarray(levels), io.BytesIO()
    picture.thumbnail((SHOWN, SHOWN))
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def form_of(preprocess: ImagePreprocess) -> str:
    """Say what images a student sees: "RGB images of 32 × 24 pixels", width first."""
    height, width = preprocess.size
    return f"{'grey' if preprocess.channels == 1 else 'RGB'} images of {width} × {height} pixels"


def usual_side(files: Sequence[Path]) -> float:
    """Return the median of the shorter sides of pictures in files, of some of them; 0 where none can be read."""
    looked_at = files[:: max(1, len(files) // LOOKED_AT)]
    sides = [min(found.size) for file in looked_at if (found := header(file)) is not None]
    return statistics.median(sides) if sides else 0


def said_of_new(files: Sequence[Path], preprocess: ImagePreprocess) -> list[str]:
    """Say how picture files that a student is to see are unlike those that it was trained on, a sentence each."""
    headers = [found for file in files if (found := header(file)) is not None]
    wide = sum(found.wide for found in headers) if preprocess.reading.levels is None else 0
    remarks = said_of_cuts([found.size for found in headers], preprocess)
    if wide:
        remarks.append(f"{wide} of {len(files)} pictures have more than 8 bits a level; 0 to 65535 become 0 to 255")
    return remarks


def said_of_cuts(sizes: Sequence[resizing.Size], preprocess: ImagePreprocess) -> list[str]:
    """Say what a student's centre crop cuts off pictures of these sizes, where that is more than a little."""
    height, width = preprocess.size
    crops = preprocess.reading.resize == resizing.CROP
    cuts = resizing.losses(sizes, (width, height)) if crops else []
    if not cuts:
        return []
    lost = f"{100 * statistics.median(cuts):.0f} % off {len(cuts)} of {len(sizes)} pictures"
    return [f"the centre crop that the student was trained with cuts {lost}"]


def _reading_to_json(reading: Reading) -> dict[str, Any]:
    """Return the resize rule in words, and what is not as usual."""
    usual = fields_of(Reading(resize=reading.resize))
    unusual = {key: value for key, value in fields_of(reading).items() if value != usual[key]}
    return {"resize": resizing.RULES[reading.resize], **unusual}


def fit_images(raw: Tensor, classes: tuple[str, ...]) -> ImagePreprocess:
    """Fit the preprocessing on training images."""
    channels, height, width = raw.shape[1:]
    counts = torch.zeros(channels, 256, dtype=torch.int64)
    for piece in lazy.pieces(raw):
        counts += torch.stack([piece[:, channel].reshape(-1).bincount(minlength=256) for channel in range(channels)])
    mean, std = zip(*map(_moments, counts), strict=True)
    return ImagePreprocess(classes=classes, channels=channels, size=(height, width), mean=mean, std=std)


def _moments(counts: Tensor) -> tuple[float, float]:
    """Mean and standard deviation of levels in [0, 1], [256] counts of each: exact; 1 for no deviation."""
    counts = counts.double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    deviation = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    return round(float(mean), 6), round(float(deviation), 6) or 1.0
