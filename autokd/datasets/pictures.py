"""Picture files read as one set: one size, one way to resize, one range of levels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from autokd.data_types import DataContext, Part
from autokd.datasets import picture_cache
from autokd.datasets.picture_cache import Room
from autokd.errors import DataError
from autokd.lazy import LazyTensor, Source
from autokd.modalities import decoding, resizing
from autokd.modalities.decoded_files import DecodedFiles, decode_each, in_threads
from autokd.modalities.decoding import GROUNDS, Header, Reading
from autokd.modalities.plain import with_tuples

_LARGEST_DEFAULT = 64
_DECODING = 4
"""Version of the decoding and of what is kept, part of the cache's key."""
_LOOKED_AT = 64
"""Pictures that are decoded where a sample will do."""


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
      sampled: they are decoded as they are looked at, and what is said of them is said of a sample.
    """

    parts: Mapping[str, Part]
    skipped: tuple[str, ...]
    reading: Reading
    remarks: tuple[str, ...]
    sampled: bool = False


class _Notes(NamedTuple):
    """What is kept beside the pixels: files that cannot be read, how the others were, and what is said of that."""

    skipped: list[str]
    reading: dict[str, Any]
    remarks: list[str]


class _Asked(NamedTuple):
    """What was asked for; None is for what suits the pictures."""

    image_size: int | None
    skip_bad: bool
    resize: str | None
    ground: str
    largest: int | None = None


def read_pictures(listed: Sequence[Listed], context: DataContext, ground: str | None) -> Pictures:
    """Decode image files, once: what they come to is kept in the cache by their content, and read from there.

    Args:
      listed: at least one of the split "train".
      context: how they are read.
      ground: what transparent pictures are laid on, of `GROUNDS`; None for white.

    Raises:
      DataError: a file is not a readable image, or the pictures are no set with one range of levels.
    """
    asked = _asked(context, ground)
    contents = list(in_threads(_content, listed))
    remarks = _said_of_two_classes(listed, contents)
    file = context.cache / "images" / f"{_key(listed, contents, asked)}.safetensors"
    kept = picture_cache.find(file)
    if kept is None and context.dry:
        return _sampled(listed, asked, file.parent, remarks)
    if kept is None:
        _decode(listed, asked, file)
        kept = picture_cache.find(file)
        assert kept is not None, f"{file} was written and cannot be read"
    notes = _Notes(**kept.notes)
    left_out = set(notes.skipped)
    good = [item for item in listed if str(item.path) not in left_out]
    parts = _parts(good, kept.source, listed)
    return Pictures(parts, tuple(notes.skipped), Reading(**with_tuples(notes.reading)), (*notes.remarks, *remarks))


def _content(item: Listed) -> bytes:
    return hashlib.sha256(item.path.read_bytes()).digest()


def _asked(context: DataContext, ground: str | None) -> _Asked:
    if ground is not None and ground not in GROUNDS:
        raise DataError(f"ground is one of {', '.join(GROUNDS)}, got {ground!r}")
    resize = None if context.resize is None else resizing.expect_known(context.resize)
    return _Asked(context.image_size, context.skip_bad, resize, ground or Reading.ground, context.largest_side)


def _key(listed: Sequence[Listed], contents: Sequence[bytes], asked: _Asked) -> str:
    """Identify the files by content, and how they are decoded."""
    largest = [] if asked.largest is None else [asked.largest]
    digest = hashlib.sha256(json.dumps([_DECODING, *asked[:-1], *largest]).encode())
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


def _decode(listed: Sequence[Listed], asked: _Asked, file: Path) -> None:
    """Decode pictures into a file of the cache."""
    headers = _headers(listed)
    reading, side, remarks = _reading(headers, asked)
    Room(len(listed), 1 if all(found.grey for _, found in headers) else 3, side).check(file.parent)
    skipped: list[str] = []

    def good() -> Iterator[NDArray[np.uint8]]:
        for item, found in zip(listed, decode_each([item.path for item in listed], side, reading), strict=True):
            if not isinstance(found, DataError):
                yield found
            elif asked.skip_bad:
                skipped.append(str(item.path))
            else:
                raise found
        if len(skipped) == len(listed):
            raise DataError(f"none of the {len(listed)} image files can be read, the first is {listed[0].path}")

    notes = _Notes(skipped, dataclasses.asdict(reading), remarks)
    picture_cache.write(file, good(), notes._asdict)


def _sampled(listed: Sequence[Listed], asked: _Asked, folder: Path, remarks: Sequence[str]) -> Pictures:
    """Return pictures that are decoded as they are looked at; nothing is kept of them."""
    headers, skipped = _headers(listed), []
    if asked.skip_bad and headers:
        good = {item for item, _ in headers}
        skipped, listed = [str(item.path) for item in listed if item not in good], [item for item, _ in headers]
    reading, side, said = _reading(headers, asked, most=_LOOKED_AT)
    source = DecodedFiles([item.path for item in listed], side, reading, skip_bad=asked.skip_bad)
    source.keep_grey(torch.arange(0, len(listed), -(-len(listed) // _LOOKED_AT)))
    Room(len(listed), source.shape[0], side).check(folder)
    return Pictures(_parts(listed, source, listed), tuple(skipped), reading, (*said, *remarks), sampled=True)


def _headers(listed: Sequence[Listed]) -> list[tuple[Listed, Header]]:
    """Return what the files that can be opened say of their pictures."""
    found = zip(listed, in_threads(decoding.header, [item.path for item in listed]), strict=True)
    return [(item, header) for item, header in found if header is not None]


def _reading(
    headers: Sequence[tuple[Listed, Header]], asked: _Asked, most: int | None = None
) -> tuple[Reading, int, list[str]]:
    """Return how the pictures are read, their side, and what is said of it; the levels of at most so many count."""
    if not headers:
        return Reading(ground=asked.ground), asked.image_size or asked.largest or _LARGEST_DEFAULT, []
    sizes = [found.size for _, found in headers]
    rule = asked.resize or resizing.suited(sizes, [item.label for item, _ in headers])
    levels = _levels(headers, asked, most)
    remarks = list(resizing.said(rule, sizes, chosen=asked.resize is None))
    if levels is not None:
        remarks.append(f"the pictures have more than 8 bits a level: {levels[0]:g} to {levels[1]:g} become 0 to 255")
    remarks += _said_of_frames(headers)
    side = asked.image_size or min(asked.largest or _LARGEST_DEFAULT, round(resizing.default_side(sizes, rule)))
    return Reading(resize=rule, ground=asked.ground, levels=levels), max(1, side), remarks


def _said_of_frames(headers: Sequence[tuple[Listed, Header]]) -> list[str]:
    moving = [item for item, found in headers if found.frames]
    return [f"{len(moving)} files have several frames, of which the first is taken: {moving[0].path}"] if moving else []


def _levels(headers: Sequence[tuple[Listed, Header]], asked: _Asked, most: int | None) -> tuple[float, float] | None:
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
    return _range([item for item in wide if item.part == "train"], asked, most)


def _range(train: Sequence[Listed], asked: _Asked, most: int | None) -> tuple[float, float]:
    looked_at = train if most is None else train[:: -(-len(train) // most) or 1]
    levels = [level for item in looked_at for level in _extremes(item, asked)]
    return (min(levels), max(levels)) if levels else (0.0, 1.0)


def _extremes(item: Listed, asked: _Asked) -> tuple[float, ...]:
    try:
        return decoding.extremes(item.path)
    except DataError:
        if not asked.skip_bad:
            raise
        return ()


def _parts(good: Sequence[Listed], source: Source, listed: Sequence[Listed]) -> dict[str, Part]:
    """Return the pictures of each split; `source` has the good ones in their order."""
    found: dict[str, Part] = {}
    for part in dict.fromkeys(item.part for item in listed):
        rows = [row for row, item in enumerate(good) if item.part == part]
        if not rows:
            raise DataError(f"none of the {part} images can be read")
        names = [good[row].group for row in rows]
        groups = None if None in names else np.array(names, dtype=object)
        labels = np.array([good[row].label for row in rows], dtype=np.int64)
        paths = np.array([str(good[row].path) for row in rows], dtype=object)
        found[part] = Part(LazyTensor(source, torch.tensor(rows)), labels, groups, paths)
    return found
