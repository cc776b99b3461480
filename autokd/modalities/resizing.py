"""How pictures of many forms become pictures of one form: crop, pad or squash, and which of them suits a set."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image, ImageOps

from autokd.errors import DataError, nearest

CROP, PAD, SQUASH = "crop", "pad", "squash"
RULES: Mapping[str, str] = {
    CROP: "shorter side to size, bilinear with antialias, centre crop",
    PAD: "longer side to size, bilinear with antialias, centred on grey",
    SQUASH: "both sides to size, bilinear with antialias",
}
"""What each rule does, as `preprocess.json` says it."""
GREY = 128
"""Level of what padded pictures are laid on."""

_LITTLE = 0.10
"""Share of a picture that a crop may cut off."""
_FEW = 0.05
"""Share of a class's pictures that may lose more than that."""
_ONE_FORM = 2.0
"""How many times as wide for its height the widest picture may be as the narrowest, where all are squashed."""

Size = tuple[int, int]
"""(width, height) in pixels."""


def expect_known(rule: str) -> str:
    """Return a rule's name.

    Raises:
      DataError: there is no such rule.
    """
    if rule not in RULES:
        raise DataError(f"resize is one of {', '.join(RULES)}, got {rule!r}; {nearest(rule, RULES)}")
    return rule


def resized(image: Image.Image, size: Size, rule: str) -> Image.Image:
    """Return an L or RGB image with this (width, height), by a rule of `RULES`; unchanged if so."""
    return image if image.size == size else _RESIZERS[rule](image, size)


def cut(size: Size, target: Size = (1, 1)) -> float:
    """Return the share of a picture that a centre crop to the form of `target` cuts off, in [0, 1).

    >>> cut((200, 40))
    0.8
    """
    form, wanted = size[0] / size[1], target[0] / target[1]
    return round(1 - min(form, wanted) / max(form, wanted), 9)


def losses(sizes: Sequence[Size], target: Size = (1, 1)) -> list[float]:
    """Return what a centre crop cuts off those pictures that lose more than a tenth, a share of each."""
    return [share for size in sizes if (share := cut(size, target)) > _LITTLE]


def suited(sizes: Sequence[Size], labels: Sequence[int]) -> str:
    """Return the rule that suits pictures which are to be square.

    Crop, where at most 5 % of the pictures of any class lose more than a tenth. Otherwise squash, which keeps all of
    every picture and gives it every pixel that there is; all pictures are distorted alike then, as far as they have one
    form: where the widest are more than twice as wide for their height as the narrowest (5 % on either side apart), it
    would make different shapes alike, and they are padded.

    Args:
      sizes: of the pictures, at least one.
      labels: their class indices.
    """
    if all(share <= _FEW for share in _losing(sizes, labels).values()):
        return CROP
    low, high = np.quantile([math.log(width / height) for width, height in sizes], [0.05, 0.95])
    return "squash" if high - low <= math.log(_ONE_FORM) + 1e-9 else "pad"


def said(rule: str, sizes: Sequence[Size], *, chosen: bool) -> tuple[str, ...]:
    """Say what a centre crop cuts off, where that is more than a little, and what is done about it.

    Args:
      rule: that the pictures are resized by.
      sizes: of the pictures.
      chosen: the rule was chosen here, and asked for by nobody.
    Returns:
      One sentence, or none.
    """
    lost = losses(sizes)
    if not lost or (rule != CROP and not chosen):
        return ()
    share, pictures = f"{100 * statistics.median(lost):.0f} %", f"{len(lost)} of {len(sizes)} pictures"
    if rule == CROP:
        return (f"the centre crop cuts {share} off {pictures}; --resize pad or squash keeps all of them",)
    return (f"a centre crop would cut {share} off {pictures}, so all are {_DONE[rule]}; --resize decides otherwise",)


def default_side(sizes: Sequence[Size], rule: str) -> float:
    """Return the side of square pictures that keeps about as many pixels as the median picture has."""
    return statistics.median(_SIDES[rule](width, height) for width, height in sizes)


def _losing(sizes: Sequence[Size], labels: Sequence[int]) -> dict[int, float]:
    """Return by class the share of its pictures that lose more than a little to a crop."""
    losing: dict[int, list[bool]] = {}
    for size, label in zip(sizes, labels, strict=True):
        losing.setdefault(label, []).append(cut(size) > _LITTLE)
    return {label: sum(lost) / len(lost) for label, lost in losing.items()}


def _crop(image: Image.Image, size: Size) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.BILINEAR)


def _pad(image: Image.Image, size: Size) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    padded = Image.new(image.mode, size, GREY if image.mode == "L" else (GREY,) * 3)
    padded.paste(
        image.resize((width, height), Image.Resampling.BILINEAR), ((size[0] - width) // 2, (size[1] - height) // 2)
    )
    return padded


def _squash(image: Image.Image, size: Size) -> Image.Image:
    return image.resize(size, Image.Resampling.BILINEAR)


_DONE: Mapping[str, str] = {"pad": "padded with grey to squares", "squash": "squashed to squares"}
_RESIZERS: Mapping[str, Callable[[Image.Image, Size], Image.Image]] = {CROP: _crop, "pad": _pad, "squash": _squash}
_SIDES: Mapping[str, Callable[[int, int], float]] = {
    CROP: min,
    "pad": max,
    "squash": lambda width, height: math.sqrt(width * height),
}
