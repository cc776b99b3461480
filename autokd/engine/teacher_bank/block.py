"""A block: the teacher's outputs on the whole training set under one view, and its file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from autokd.files import read_tensors, write_tensors
from autokd.types import Output, Shapes

CHUNK = 256
"""Samples of one canonical chunk, part of what a block's values depend on; larger ones fall out of a CPU's caches."""
MANY_CLASSES = 256
"""Classes above which only the largest logits are kept."""
TOP = 64
"""Logits kept a sample where there are many classes."""

Ask = Callable[[], Iterator[Output]]
"""Yields the teacher's outputs on the whole training set in order, `CHUNK` samples at a time."""


class Block(NamedTuple):
    """The teacher's outputs on the whole training set under one view, half precision.

    Args:
      tensors: "logits" [N, C]; or, for many classes, "top" [N, k], "classes" [N, k] and "rest" [N], the value that
        stands for every other logit and keeps their probability in sum; "pooled" [N, D]; "features.i" [N, …].
      num_classes: C.
    """

    tensors: Mapping[str, Tensor]
    num_classes: int

    def output(self, index: Tensor) -> Output:
        """Return the outputs of some samples, float32.

        Args:
          index: [B] int64, on the block's device.
        """
        rows = {name: tensor[index] for name, tensor in self.tensors.items()}
        pooled = rows["pooled"].float() if "pooled" in rows else None
        features = tuple(rows[f"features.{i}"].float() for i in range(len(rows)) if f"features.{i}" in rows)
        return Output(self._logits(rows), features, pooled)

    def _logits(self, rows: Mapping[str, Tensor]) -> Tensor:
        if "logits" in rows:
            return rows["logits"].float()
        full = rows["rest"].float().unsqueeze(1).repeat(1, self.num_classes)
        return full.scatter(1, rows["classes"].long(), rows["top"].float())

    def lost_mass(self) -> float:
        """Return the mean probability outside the kept logits; 0 where all are kept."""
        if "rest" not in self.tensors:
            return 0.0
        top = self.tensors["top"].float()
        rest = self.tensors["rest"].float() + math.log(self.num_classes - top.shape[1])
        return float((rest - torch.logaddexp(rest, top.logsumexp(1))).exp().mean())

    @property
    def nbytes(self) -> int:
        """Bytes of its values."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def compute_block(ask: Ask, parts: frozenset[str]) -> Block:
    """Ask the teacher and keep what it says, rounded to half precision.

    Args:
      ask: asks the teacher.
      parts: of the output beside the logits: "pooled", "features".
    """
    chunks, num_classes = [], 0
    for output in ask():
        num_classes = output.logits.shape[1]
        chunks.append(_stored(output, parts))
    return Block({name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}, num_classes)


def block_bytes(shapes: Shapes, num_classes: int, size: int, parts: frozenset[str]) -> int:
    """Return the expected bytes of one block."""
    logits = 2 * num_classes if num_classes <= MANY_CLASSES else (2 + 4) * TOP + 2
    pooled = 2 * (shapes.pooled or 0) if "pooled" in parts else 0
    features = 2 * sum(math.prod(shape) for shape in shapes.features) if "features" in parts else 0
    return size * (logits + pooled + features)


def save_block(path: Path, block: Block) -> None:
    """Write a block with its checksum, whole or not at all.

    Raises:
      OSError: it cannot be written.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in block.tensors.items()}
    metadata = {"checksum": _checksum(tensors, block.num_classes), "num_classes": str(block.num_classes)}
    write_tensors(path, tensors, metadata)


def load_block(path: Path, device: torch.device) -> Block | None:
    """Read a block, or None where it is damaged."""
    try:
        tensors, metadata = read_tensors(path)
        num_classes = int(metadata["num_classes"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    if metadata.get("checksum") != _checksum(tensors, num_classes):
        return None
    return Block({name: tensor.to(device) for name, tensor in tensors.items()}, num_classes)


def _stored(output: Output, parts: frozenset[str]) -> dict[str, Tensor]:
    tensors = _stored_logits(output.logits)
    if "pooled" in parts and output.pooled is not None:
        tensors["pooled"] = _half(output.pooled)
    if "features" in parts:
        tensors |= {f"features.{i}": _half(feature.contiguous()) for i, feature in enumerate(output.features)}
    return tensors


def _stored_logits(logits: Tensor) -> dict[str, Tensor]:
    num_classes = logits.shape[1]
    if num_classes <= MANY_CLASSES:
        return {"logits": _half(logits)}
    top, classes = logits.topk(TOP, dim=1)
    others = logits.scatter(1, classes, -torch.inf).logsumexp(1) - math.log(num_classes - TOP)
    return {"top": _half(top), "classes": classes.to(torch.int32), "rest": _half(others)}


def _half(values: Tensor) -> Tensor:
    limit = torch.finfo(torch.float16).max
    return values.clamp(-limit, limit).to(torch.float16)


def _checksum(tensors: Mapping[str, Tensor], num_classes: int) -> str:
    digest = hashlib.blake2b(str(num_classes).encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
