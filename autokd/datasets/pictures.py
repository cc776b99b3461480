"""Picture files read as one set: one size, one way to resize, one range of levels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autokd.data_types import DataContext, Part
from autokd.datasets.store import Stored, kept
from autokd.errors import DataError
from autokd.modalities import decoding, images, resizing
from autokd.modalities.decoding import GROUNDS, Header, Reading

_LARGEST_DEFAULT = 64
_DECODING = 3
"""Version of the decoding, part of the cache's key."""


class Listed(NamedTuple):
    """An image file.

    Args:
      part: the split it belongs to: "train", "validation" or "test".
      label: index of its class.
      path: where it is.
      group: name of what stays in one split together; None without groups.
    """

    part: str
    label: int
    path: Path
    group: str | None = None


class Pictures(NamedTuple):
    """Pictures as they were read.

    Args:
      parts: by split.
      skipped: files that cannot be read.
      reading: how they were read.
      remarks: what a user should know of that, a sentence each.
    """

    parts: Mapping[str, Part]
    skipped: tuple[str, ...]
    reading: Reading
    remarks: tuple[str, ...]


class _Asked(NamedTuple):
    """What was asked for; None is for what suits the pictures."""

    image_size: int | None
    skip_bad: bool
    resize: str | None
    ground: str


def read_pictures(listed: Sequence[Listed], context: DataContext, ground: str | None) -> Pictures:
    """Decode image files, once: what they come to is kept in the cache by their content.

    Args:
      listed: at least one of the split "train".
      context: how they are read.
      ground: what transparent pictures are laid on, of `GROUNDS`; None for white.

    Raises:
      DataError: a file is not a readable image, or the pictures are no set with one range of levels.
    """
    asked = _asked(context, ground)
    contents = [hashlib.sha256(item.path.read_bytes()).digest() for item in listed]
    file = context.cache / "images" / f"{_key(listed, contents, asked)}.safetensors"
    stored = kept(file, lambda: _decoded(listed, asked))
    notes: dict[str, Any] = {name: json.loads(text) for name, text in stored.notes.items()}
    levels = notes["reading"].pop("levels")
    reading = Reading(**notes["reading"], levels=None if levels is None else (levels[0], levels[1]))
    left_out = set(notes["skipped"])
    good = [item for item in listed if str(item.path) not in left_out]
    parts = {part: _part(stored.tensors, part, good) for part in dict.fromkeys(item.part for item in listed)}
    remarks = (*notes["remarks"], *_said_of_two_classes(listed, contents))
    return Pictures(parts, tuple(notes["skipped"]), reading, remarks)


def _asked(context: DataContext, ground: str | None) -> _Asked:
    if ground is not None and ground not in GROUNDS:
        raise DataError(f"ground is one of {', '.join(GROUNDS)}, got {ground!r}")
    resize = None if context.resize is None else resizing.expect_known(context.resize)
    return _Asked(context.image_size, context.skip_bad, resize, ground or Reading.ground)


def _key(listed: Sequence[Listed], contents: Sequence[bytes], asked: _Asked) -> str:
    """Identify the files by content, and how they are decoded."""
    digest = hashlib.sha256(json.dumps([_DECODING, *asked]).encode())
    for item, content in zip(listed, contents, strict=True):
        digest.update(json.dumps([item.part, item.label, str(item.path)]).encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _said_of_two_classes(listed: Sequence[Listed], contents: Sequence[bytes]) -> list[str]:
    """Say how many files are also there under another class, in whatever split."""
    labels: dict[bytes, set[int]] = {}
    for item, content in zip(listed, contents, strict=True):
        labels.setdefault(content, set()).add(item.label)
    torn = [item for item, content in zip(listed, contents, strict=True) if len(labels[content]) > 1]
    return [f"{len(torn)} files are the same under two classes, the first is {torn[0].path}"] if torn else []


def _decoded(listed: Sequence[Listed], asked: _Asked) -> Stored:
    headers = [(item, found) for item in listed if (found := decoding.header(item.path)) is not None]
    reading, side, remarks = _reading(headers, asked)
    arrays: list[NDArray[np.uint8]] = []
    good: list[Listed] = []
    skipped: list[str] = []
    for item in listed:
        try:
            arrays.append(images.decode(item.path, (side, side), 3, reading))
            good.append(item)
        except DataError:
            if not asked.skip_bad:
                raise
            skipped.append(str(item.path))
    if not good:
        raise DataError(f"none of the {len(listed)} image files can be read, the first is {listed[0].path}")
    notes = {"skipped": skipped, "reading": dataclasses.asdict(reading), "remarks": remarks}
    return Stored(_tensors(np.stack(arrays), good), {name: json.dumps(value) for name, value in notes.items()})


def _reading(headers: Sequence[tuple[Listed, Header]], asked: _Asked) -> tuple[Reading, int, list[str]]:
    """Return how the pictures are read, their side, and what is said of it."""
    if not headers:
        return Reading(ground=asked.ground), asked.image_size or _LARGEST_DEFAULT, []
    sizes = [found.size for _, found in headers]
    rule = asked.resize or resizing.suited(sizes, [item.label for item, _ in headers])
    levels = _levels(headers, asked)
    remarks = list(resizing.said(rule, sizes, chosen=asked.resize is None))
    if levels is not None:
        remarks.append(f"the pictures have more than 8 bits a level: {levels[0]:g} to {levels[1]:g} become 0 to 255")
    moving = [item for item, found in headers if found.frames]
    if moving:
        remarks.append(f"{len(moving)} files have several frames, of which the first is taken: {moving[0].path}")
    side = asked.image_size or min(_LARGEST_DEFAULT, round(resizing.default_side(sizes, rule)))
    return Reading(resize=rule, ground=asked.ground, levels=levels), max(1, side), remarks


def _levels(headers: Sequence[tuple[Listed, Header]], asked: _Asked) -> tuple[float, float] | None:
    """Return the lowest and highest level of training pictures that have more than 8 bits; None for pictures of 8."""
    by_depth: dict[bool, list[Listed]] = {True: [], False: []}
    for item, found in headers:
        by_depth[found.wide].append(item)
    wide, narrow = by_depth[True], by_depth[False]
    if not wide:
        return None
    if narrow:
        raise DataError(
            f"{len(wide)} pictures have more than 8 bits a level (the first is {wide[0].path}) and {len(narrow)} have "
            f"8 (the first is {narrow[0].path}), which have no range in common; save all of them alike"
        )
    levels = [level for item in wide if item.part == "train" for level in _extremes(item, asked)]
    return (min(levels), max(levels)) if levels else (0.0, 1.0)


def _extremes(item: Listed, asked: _Asked) -> tuple[float, ...]:
    try:
        return decoding.extremes(item.path)
    except DataError:
        if not asked.skip_bad:
            raise
        return ()


def _tensors(pixels: NDArray[np.uint8], listed: Sequence[Listed]) -> dict[str, Tensor]:
    grey = bool((pixels == pixels[:, :1]).all())
    everything = torch.from_numpy(pixels[:, :1] if grey else pixels)
    labels = torch.tensor([item.label for item in listed])
    found: dict[str, Tensor] = {}
    for part in {item.part for item in listed}:
        rows = torch.tensor([row for row, item in enumerate(listed) if item.part == part])
        found |= {f"{part}.inputs": everything[rows], f"{part}.labels": labels[rows]}
    return found


def _part(tensors: dict[str, Tensor], part: str, good: Sequence[Listed]) -> Part:
    if f"{part}.labels" not in tensors:
        raise DataError(f"none of the {part} images can be read")
    names = [item.group for item in good if item.part == part]
    groups = None if None in names else np.array(names, dtype=object)
    paths = np.array([str(item.path) for item in good if item.part == part], dtype=object)
    return Part(tensors[f"{part}.inputs"], tensors[f"{part}.labels"].numpy(), groups, paths)
