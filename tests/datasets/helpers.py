"""Folders of pictures for the tests."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def write_noise(root: Path, folders: Iterable[str], each: int = 20, size: tuple[int, int] = (8, 8)) -> None:
    """Write grey noise as PNGs, `each` of them to every folder, other noise to folders of other paths."""
    for name in folders:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(zlib.crc32(str(folder).encode()))
        for i in range(each):
            Image.fromarray(rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8)).save(folder / f"{i}.png")
