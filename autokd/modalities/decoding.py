"""From an image file to 8-bit pixels: orientation, transparency, levels of more than 8 bits, size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from autokd.errors import DataError
from autokd.modalities import resizing

GROUNDS: Mapping[str, int] = {"white": 255, "black": 0}
"""What transparent pictures may be laid on."""
MODES = {1: "L", 3: "RGB"}
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises where a picture cannot be read."""

_ORIENTATION = 0x0112
_TURNED = frozenset({5, 6, 7, 8})
"""Orientations in which width and height change places."""
_GREY = frozenset({"1", "L", "LA", "La"})
_SIXTEEN_BITS = 65535
_PHOTOS = "MPO"
"""Format of photos that hold themselves again in another size, as phones write them."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How image files become pixels; one for a whole set of pictures.

    Args:
      resize: a rule of `resizing.RULES`.
      ground: what transparent pictures are laid on, of `GROUNDS`.
      levels: the levels that become 0 and 255, where pictures have more than 8 bits; None for pictures of 8 bits.
      encoding: of tables that name the files, as Python names it; None: found by looking.
    """

    resize: str = resizing.CROP
    ground: str = "white"
    levels: tuple[float, float] | None = None
    encoding: str | None = None


USUAL = Reading()
"""As pictures of 8 bits are read that are about square."""


class Header(NamedTuple):
    """What an image file says of its picture before it is decoded.

    Args:
      size: (width, height) in pixels, upright.
      wide: the picture has more than 8 bits a level.
      frames: it is the first of several, of an animation or a stack of pages.
      grey: it can have no colour.
    """

    size: resizing.Size
    wide: bool
    frames: bool
    grey: bool


def header(path: Path) -> Header | None:
    """Return what an image file says of its picture; None where it cannot be read."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = _orientation(image) in _TURNED
            wide, frames = is_wide(image.mode), image.format != _PHOTOS and getattr(image, "is_animated", False)
            grey = wide or image.mode in _GREY
            return Header((height, width) if turned else (width, height), wide, bool(frames), grey)
    except UNREADABLE:
        return None


def decode(path: Path, size: tuple[int, int], channels: int, reading: Reading = USUAL) -> NDArray[np.uint8]:
    """Return an image file as [channels, height, width], upright.

    Args:
      path: the file; of several frames the first is taken.
      size: (height, width) in pixels.
      channels: 1 (grey) or 3 (RGB).
      reading: how it is read.

    Raises:
      DataError: the file is not a readable image, or has other levels than `reading` is for.
    """
    with _opened(path) as image:
        picture = eight_bit(image, reading).convert(MODES[channels])
        return pixels(resizing.resized(picture, (size[1], size[0]), reading.resize))


def extremes(path: Path) -> tuple[float, float]:
    """Return the lowest and highest level of a picture with more than 8 bits.

    Raises:
      DataError: the file is not a readable image, or has levels that are no numbers.
    """
    with _opened(path) as image:
        levels = _levels(image)
        return float(levels.min()), float(levels.max())


def is_wide(mode: str) -> bool:
    """Whether pictures of a mode of Pillow have more than 8 bits a level: "I", "I;16", "F"."""
    return mode.startswith(("I", "F"))


def eight_bit(image: Image.Image, reading: Reading = USUAL) -> Image.Image:
    """Return an image as L or RGB: laid on its ground where it is transparent, its levels scaled to 8 bits.

    Raises:
      ValueError: its levels are none that `reading` is for.
    """
    if is_wide(image.mode):
        return _narrowed(image, reading)
    if reading.levels is not None:
        raise ValueError(f"it has 8 bits a level, and the other pictures have more: {_span(reading.levels)}")
    if image.has_transparency_data:
        image = _on_ground(image, GROUNDS[reading.ground])
    return image.convert("L" if image.mode in _GREY else "RGB")


def from_levels(levels: NDArray[Any], span: tuple[float, float]) -> NDArray[np.uint8]:
    """Return levels of more than 8 bits as 0 to 255, which the ends of `span` become; what lies outside is cut."""
    low, high = span
    return np.asarray(np.rint((levels.clip(low, high) - low) * (255 / ((high - low) or 1))), dtype=np.uint8)


def expect_same_range(levels: NDArray[Any], span: tuple[float, float]) -> None:
    """Check that an array of levels may have been made like images of more than 8 bits that have the range `span`.

    Raises:
      ValueError: they have 8 bits, were scaled to 0 to 1, or are no finite numbers.
    """
    if levels.dtype.kind not in "iuf" or levels.dtype.itemsize < 2:
        raise ValueError(f"it has 8 bits a level, and the other pictures have more: {_span(span)}")
    if not np.isfinite(levels).all():
        raise ValueError("it has levels that are no finite numbers")
    if levels.dtype.kind == "f" and levels.max() <= 1 < span[1] / 255:
        raise ValueError(f"it has levels up to 1, and the other pictures have {_span(span)}")


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return an L or RGB image as [channels, height, width]."""
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file, upright; whatever is wrong with it is a DataError."""
    try:
        with Image.open(path) as image:
            yield ImageOps.exif_transpose(image)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: not a readable image ({reason}); remove it, or leave such files out with --skip-bad"
        ) from error


def _orientation(image: Image.Image) -> int:
    """Return the orientation of a picture that is not decoded for it: PNG files may have it behind the pixels."""
    asked = "exif" in image.info or image.format == "TIFF"
    return int(image.getexif().get(_ORIENTATION, 1)) if asked else 1


def _on_ground(image: Image.Image, level: int) -> Image.Image:
    grey = image.mode in _GREY
    ground = Image.new("RGBA", image.size, (level, level, level, 255))
    ground.alpha_composite((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    return ground.convert("L" if grey else "RGB")


def _narrowed(image: Image.Image, reading: Reading) -> Image.Image:
    levels = _levels(image)
    narrow = _from_sixteen_bits(levels) if reading.levels is None else from_levels(levels, reading.levels)
    key = image.info.get("transparency")
    if isinstance(key, int):  # the one level that stands for nothing
        narrow[levels == key] = GROUNDS[reading.ground]
    return Image.fromarray(narrow)


def _from_sixteen_bits(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Scale levels 0 to 65535 to 0 to 255."""
    if levels.min() < 0 or levels.max() > _SIXTEEN_BITS or (levels % 1).any():
        raise ValueError(f"it has the levels {_span((levels.min(), levels.max()))}, and the other pictures have 8 bits")
    return np.asarray(levels // 257, dtype=np.uint8)


def _levels(image: Image.Image) -> NDArray[np.float64]:
    levels: NDArray[Any] = np.asarray(image).astype(np.float64)
    if not np.isfinite(levels).all():
        raise ValueError("it has levels that are no finite numbers")
    return levels


def _span(levels: tuple[float, float]) -> str:
    return f"{levels[0]:g} to {levels[1]:g}"
