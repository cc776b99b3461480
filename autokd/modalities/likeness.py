"""Pictures that are too much alike: of one colour, all the same, or nearly a copy of a training picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from autokd import batching, lazy
from autokd.data_types import Indices
from autokd.errors import DataError

_HELD, _TRAIN = 400, 20_000
"""How many pictures are looked at for near-copies."""
_BITS, _SIDE = 128, 16
_FEW_BITS, _EQUAL = 4, 0.99
"""What a near-copy is: bits that may differ, and the least correlation."""
_CLOSER, _RELATED, _FAMILIES = 0.3, 0.8, 0.3
"""What pictures that come in families are: closer than this share of the usual distance, correlated, that many."""


def said_of_sameness(images: Tensor, labels: Indices, classes: tuple[str, ...]) -> list[str]:
    """Say which pictures hold nothing: those of one single colour, and classes whose pictures are all the same.

    Args:
      images: uint8 [N, channels, height, width].
      labels: [N] class indices.
      classes: class names, by index.

    Raises:
      DataError: all pictures of several classes are the same.
    """
    found = [_seen(piece) for piece in lazy.pieces(images)]
    content = [row for piece in found for row in piece.content]
    if len(content) > len(set(content)) == 1 < len(set(labels.tolist())):
        raise DataError(
            f"all {len(content)} pictures are the same once they are read, so nothing tells {classes[0]!r} from "
            f"{classes[1]!r}; look at them, or try --resize pad, or --ground black for light drawings"
        )
    said = []
    plain = sum(piece.plain for piece in found)
    if plain:
        said.append(f"{plain} of {len(content)} pictures are of one single colour; look at them")
    same = [classes[label] for label in _all_alike(content, labels)]
    if same:
        said.append(f"all pictures of {' and of '.join(map(repr, same[:3]))} are the same; look at them")
    return said


def plain_pictures(images: Tensor) -> tuple[int, int]:
    """Count the pictures of one single colour; return that, and how many were looked at.

    Args:
      images: uint8 [N, channels, height, width]; some of it is looked at.
    """
    images = _some(images, _TRAIN)
    return sum(_seen(piece).plain for piece in lazy.pieces(images)), len(images)


def _all_alike(content: list[int], labels: Indices) -> list[int]:
    """Return the classes of several pictures of which all are the same."""
    by_class: dict[int, list[int]] = {}
    for row, label in zip(content, labels.tolist(), strict=True):
        by_class.setdefault(label, []).append(row)
    return sorted(label for label, rows in by_class.items() if len(rows) > 1 and len(set(rows)) == 1)


class _Seen(NamedTuple):
    """Some pictures: a hash of each one's pixels, and how many are of one single colour."""

    content: list[int]
    plain: int


def _seen(images: Tensor) -> _Seen:
    levels = images.flatten(2)
    plain = (levels == levels[:, :, :1]).all(2).all(1)
    return _Seen([hash(row.tobytes()) for row in images.numpy()], int(plain.sum()))


def near_copies(held: Tensor, held_labels: Tensor, train: Tensor, labels: Tensor) -> tuple[int, int]:
    """Count the held-out pictures that are nearly a training picture, but not exactly.

    Pictures are compared by difference hashes (Krawetz, "Kind of like that", hackerfactor.com, 2013): 128 bits say
    where the picture, made small, grows brighter to the right and downwards. A picture is nearly a copy where the
    closest training picture differs in at most 4 bits, and both correlate at 0.99 or more. Where 30 % of them are much
    closer to one training picture than to their class (0.3 of the distance within which a quarter of it lies), pictures
    come in families, such as the frames of a video, and all these are counted.

    Args:
      held: uint8 [M, channels, height, width]; some of it is looked at.
      held_labels: [M] class indices.
      train: uint8 [N, channels, height, width].
      labels: [N] class indices.
    Returns:
      How many, and of how many that were looked at.
    """
    held, held_labels = _some(held, _HELD), _some(held_labels, _HELD)
    train, labels = _some(train, _TRAIN), _some(labels, _TRAIN)
    distance = (_BITS - _hashes(held) @ _hashes(train).T) / 2
    closest, which = distance.min(1)
    alike = (_small(held) * _small(train[which])).sum(1)
    copies = (held == train[which]).flatten(1).all(1)
    usual = torch.stack([_quarter(row[labels == label]) for row, label in zip(distance, held_labels, strict=True)])
    family = (closest <= _CLOSER * usual) & (alike >= _RELATED) & ~copies
    if family.sum() > _FAMILIES * len(held):
        return int(family.sum()), len(held)
    return int(((closest <= _FEW_BITS) & (alike >= _EQUAL) & ~copies).sum()), len(held)


def _some(values: Tensor, most: int) -> Tensor:
    """Return at most so many values, evenly spread."""
    return batching.single(batching.subset(values, slice(None, None, -(-len(values) // most))))


def _hashes(images: Tensor) -> Tensor:
    """Return difference hashes as -1 and 1, [N, 128]."""
    right = _scaled(images, 8, 9).diff(dim=-1).flatten(1)
    down = _scaled(images, 9, 8).diff(dim=-2).flatten(1)
    return torch.cat([right, down], 1).gt(0).float() * 2 - 1


def _small(images: Tensor) -> Tensor:
    """Return pictures of at most 16 pixels a side as rows of mean 0 and length 1, [N, height · width]."""
    rows = _scaled(images, min(_SIDE, images.shape[2]), min(_SIDE, images.shape[3])).flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / lengths.clamp_min(1e-6)


def _scaled(images: Tensor, height: int, width: int) -> Tensor:
    return torch.cat([_scaled_piece(piece, height, width) for piece in lazy.pieces(images)])


def _scaled_piece(images: Tensor, height: int, width: int) -> Tensor:
    grey = images.float().mean(1, keepdim=True)
    scaled: Tensor = nn.functional.interpolate(grey, size=(height, width), mode="bilinear", antialias=True)
    return scaled


def _quarter(distances: Tensor) -> Tensor:
    """Return the distance up to which a quarter of a class lies; 0 for an empty one."""
    return distances.quantile(0.25) if len(distances) else distances.new_zeros(())
