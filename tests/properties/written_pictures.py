"""Picture files as many programs write them, each with the pixels that it means."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
CLASSES = (
    *("ok", "scratch", "a b", "ÄÖ", "漢字", "-1", "1", "10", "2", "a,b", "Cat", "cat", " lead", "train", "x.png", "#1"),
    *("two\nlines", 'q"q', "%s", "[a-z]*", "a'b", "{}", "~", "=1+1", "None", "con"),
)
STEMS = ("{}", "img {}", "-{}", "ä{}", "{}.old", "漢{}", "{}\n", "#{}", "[{}]", "{}%20", "A{}")
_UPRIGHT = Image.Transpose
_STORED = {
    2: _UPRIGHT.FLIP_LEFT_RIGHT,
    3: _UPRIGHT.ROTATE_180,
    4: _UPRIGHT.FLIP_TOP_BOTTOM,
    5: _UPRIGHT.TRANSPOSE,
    6: _UPRIGHT.ROTATE_90,
    7: _UPRIGHT.TRANSVERSE,
    8: _UPRIGHT.ROTATE_270,
}
"""How a picture lies in a file with an orientation tag."""


@dataclass(frozen=True)
class Picture:
    """A picture, and how it is written.

    Args:
      image: upright.
      means: [side, side, 3], what it shows on a white ground.
      ending: of the file.
      options: of Pillow for saving it.
      near: how far a level may be off: 1 where a picture is laid on its ground, more where the file loses something.
    """

    image: Image.Image
    means: NDArray[Any]
    ending: str
    options: dict[str, Any] = field(default_factory=dict)
    near: int = 0

    def save(self, path: Path, orientation: int = 1) -> None:
        options, image = dict(self.options), self.image
        if orientation > 1:
            exif = Image.Exif()
            exif[0x0112] = orientation
            options["exif"], image = exif, image.transpose(_STORED[orientation])
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, **options)

    @property
    def may_be_turned(self) -> bool:
        return self.ending.lower() in (".png", ".jpg", ".webp", ".tif")


def _colours(rng: random.Random, side: int, channels: int) -> Pixels:
    raw = np.frombuffer(rng.randbytes(side * side * channels), np.uint8)
    return raw.reshape(side, side, channels) if channels > 1 else raw.reshape(side, side)


def _on_white(colours: Pixels, alpha: Pixels) -> NDArray[Any]:
    share = alpha[..., None] / 255
    return np.rint(colours * share + 255 * (1 - share))


def _grey(levels: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(levels[..., None], 3, 2)


def grey(rng: random.Random, side: int) -> Picture:
    levels = _colours(rng, side, 1)
    return Picture(Image.fromarray(levels), _grey(levels), rng.choice((".png", ".bmp", ".tif", ".pgm", ".tga", ".gif")))


def colour(rng: random.Random, side: int) -> Picture:
    colours = _colours(rng, side, 3)
    ending = rng.choice((".png", ".PNG", ".bmp", ".tif", ".ppm", ".tga", ".webp", ".tiff", ".jp2"))
    lossless = {".webp": {"lossless": True}, ".jp2": {"irreversible": False}}
    return Picture(Image.fromarray(colours), colours, ending, lossless.get(ending, {}))


def one_bit(rng: random.Random, side: int) -> Picture:
    levels = (_colours(rng, side, 1) > 127).astype(np.uint8) * 255
    return Picture(Image.fromarray(levels).convert("1"), _grey(levels), rng.choice((".png", ".bmp", ".tif", ".pbm")))


def transparent(rng: random.Random, side: int) -> Picture:
    colours, alpha = _colours(rng, side, 3), _colours(rng, side, 1)
    image = Image.fromarray(np.concatenate([colours, alpha[..., None]], 2), "RGBA")
    ending = rng.choice((".png", ".tif", ".webp", ".tga"))
    exact = {"lossless": True, "exact": True} if ending == ".webp" else {}
    return Picture(image, _on_white(colours, alpha), ending, exact, near=1)


def transparent_grey(rng: random.Random, side: int) -> Picture:
    levels, alpha = _colours(rng, side, 1), _colours(rng, side, 1)
    image = Image.merge("LA", (Image.fromarray(levels), Image.fromarray(alpha)))
    return Picture(image, _on_white(_grey(levels), alpha), rng.choice((".png", ".tif")), near=1)


def _indexed(rng: random.Random, side: int) -> tuple[Image.Image, Pixels, Pixels]:
    places, table = _colours(rng, side, 1) % 8, _colours(rng, 3, 3).reshape(-1, 3)[:8]
    image = Image.fromarray(places, "P")
    image.putpalette(table.tobytes())
    return image, table[places], places


def palette(rng: random.Random, side: int) -> Picture:
    image, colours, _ = _indexed(rng, side)
    return Picture(image, colours, rng.choice((".png", ".bmp", ".tif")))


def transparent_palette(rng: random.Random, side: int) -> Picture:
    image, colours, places = _indexed(rng, side)
    alphas = np.array([rng.choice((0, 128, 255)) for _ in range(8)], np.uint8)
    return Picture(image, _on_white(colours, alphas[places]), ".png", {"transparency": alphas.tobytes()}, near=1)


def colour_key(rng: random.Random, side: int) -> Picture:
    colours = _colours(rng, side, 3).copy()
    colours[0] = key = (1, 2, 3)  # the first line is of the colour that stands for nothing
    alpha = np.where((colours == key).all(2), 0, 255).astype(np.uint8)
    return Picture(Image.fromarray(colours), _on_white(colours, alpha), ".png", {"transparency": key}, near=1)


def photo(rng: random.Random, side: int) -> Picture:
    ramp = np.linspace(rng.randint(0, 90), rng.randint(120, 255), side)
    colours = np.repeat(np.repeat(ramp[None, :, None], side, 0), 3, 2).astype(np.uint8)
    colours[..., rng.randint(0, 2)] //= 2
    mode = rng.choice(("RGB", "CMYK"))
    means = np.asarray(Image.fromarray(colours).convert(mode).convert("RGB"))
    return Picture(Image.fromarray(colours).convert(mode), means, ".jpg", {"quality": 98, "subsampling": 0}, near=8)


EIGHT_BITS: tuple[Callable[[random.Random, int], Picture], ...] = (
    *(grey, colour, one_bit, transparent, transparent_grey, palette, transparent_palette, colour_key, photo),
)


def deep(rng: random.Random, side: int) -> Picture:
    """A grey picture of 16 bits; `means` holds its levels."""
    raw = np.frombuffer(rng.randbytes(side * side * 2), np.uint16).reshape(side, side) % 5000 + 100
    return Picture(Image.fromarray(raw.astype(np.uint16)), raw, rng.choice((".png", ".tif")))


@dataclass(frozen=True)
class PictureSet:
    """Pictures by split and class, and how their files lie.

    Args:
      parts: by split, then by class: pictures with their files, as paths below the set's folder.
      turned: orientation tag of each file.
      side: of all pictures.
      deep: they have 16 bits a level.
      junk: files that are no part of it.
    """

    parts: dict[str, dict[str, list[tuple[Path, Picture]]]]
    turned: dict[Path, int]
    side: int
    deep: bool
    junk: tuple[str, ...]

    def save(self, root: Path) -> None:
        for classes in self.parts.values():
            for pictures in classes.values():
                for path, picture in pictures:
                    picture.save(root / path, self.turned[path])
        for name in self.junk:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"\x00\x05\x16\x07 no picture")


JUNK = (".DS_Store", "Thumbs.db", "{}/._1.png", "{}/@eaDir/1.png/THUMB.jpg", "__MACOSX/{}/._1.png", "{}/notes.txt",
        "readme.md", "{}/Thumbs.db", "lost+found/x.png", ".git/x.png", "{}/1.png:Zone.Identifier")  # fmt: skip


@st.composite
def picture_sets(draw: st.DrawFn) -> PictureSet:
    """A folder of pictures: two or three classes, one or several splits, files of many kinds."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    side, wide = draw(st.sampled_from((1, 2, 5, 8, 17))), draw(st.integers(0, 4)) == 0
    makers = [deep] if wide else draw(st.lists(st.sampled_from(EIGHT_BITS), min_size=1, max_size=3))
    names = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=3, unique_by=str.strip))
    splits = draw(st.sampled_from((("",), ("",), ("train", "test"), ("Train", "val"), ("training", "dev", "holdout"))))
    parts: dict[str, dict[str, list[tuple[Path, Picture]]]] = {}
    turned: dict[Path, int] = {}
    for split in splits:
        for name in names:
            for number in range(rng.randint(1, 3)):
                picture = rng.choice(makers)(rng, side)
                inside = "" if "train" in names else rng.choice(("", "", "deeper", "p01/left"))  # might be a split
                stem = rng.choice(STEMS).format(number)
                path = Path(split, name, inside, f"{stem}_{number}{picture.ending}")
                turned[path] = rng.randint(1, 8) if picture.may_be_turned and rng.random() < 0.4 else 1
                parts.setdefault(split, {}).setdefault(name, []).append((path, picture))
    home = str(Path(splits[0], names[0]))
    junk = draw(st.lists(st.sampled_from(JUNK), max_size=3, unique=True))
    return PictureSet(parts, turned, side, wide, tuple(name.format(home) for name in junk))
