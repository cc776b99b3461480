"""The teacher bank: teacher outputs, computed once for each view of the training set and shared by all trials.

Training always consumes the stored value: a block is computed over the whole set in canonical chunks, rounded to half
precision, and read back from that. So runs are bit-identical on CPU whether they found a block, computed it, or could
not keep it.

On disk a block is one safetensors file in the folder of its group (teacher, data, policy, view seed), written whole by
an atomic rename and checked by a checksum: a damaged one is computed again. When the bank is full, groups that no
running process uses go first, oldest first; after that new blocks are used and not kept (epochs come in cycles, and
throwing out the oldest block under a cyclic scan would never hit).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import math
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from autokd.files import write_tensors, write_text
from autokd.types import Output, Shapes

log = logging.getLogger("autokd")

CHUNK = 256
"""Samples of one canonical chunk, part of what a block's values depend on; larger ones fall out of a CPU's caches."""
MANY_CLASSES = 256
"""Classes above which only the largest logits are kept."""
TOP = 64
"""Logits kept a sample where there are many classes."""
MEMORY = 2**28
"""Bytes of blocks kept in memory beside the disk."""
DEFAULT_BYTES = 20 * 10**9
HEADER = 1024
"""Bytes that a block's file may take beside its values."""
RECOUNT = 64
"""Blocks written between two looks at the folder's real size."""
USERS = "users"
"""Folder of the marks of running processes."""

Answers = Callable[[], Iterator[Output]]
"""Yields the teacher's outputs on the whole training set in order, `CHUNK` samples at a time."""


class Group(NamedTuple):
    """What blocks of one view policy have in common.

    Args:
      key: identifies teacher, data, policy and its code version, view seed and precision.
      about: the same for people, JSON-able.
    """

    key: str
    about: Mapping[str, Any]


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
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


@dataclass
class Counts:
    """What a bank did.

    Args:
      hits: blocks found; computed: blocks computed; dropped: of these, not kept.
      groups: distinct policies and view seeds.
      policies: distinct augmentation policies, as text.
      blocks: bytes of each block that was asked for.
      lost_mass: mean probability outside the kept logits, where only the largest are kept; of the worst block.
    """

    hits: int = 0
    computed: int = 0
    dropped: int = 0
    groups: set[str] = field(default_factory=set)
    policies: set[str] = field(default_factory=set)
    blocks: dict[str, int] = field(default_factory=dict)
    lost_mass: float = 0.0

    def asked(self, group: Group, name: str, block: Block) -> None:
        """Note a block that was asked for."""
        self.groups.add(group.key)
        self.policies.add(json.dumps(group.about.get("augment"), sort_keys=True, default=str))
        if name not in self.blocks:
            self.blocks[name] = block.nbytes
            self.lost_mass = max(self.lost_mass, block.lost_mass())

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what another process's bank did, as `taken` returned it."""
        for name in ("hits", "computed", "dropped"):
            setattr(self, name, getattr(self, name) + other[name])
        self.groups.update(other["groups"])
        self.policies.update(other["policies"])
        self.blocks.update(other["blocks"])
        self.lost_mass = max(self.lost_mass, other["lost_mass"])

    def taken(self) -> dict[str, Any]:
        """Return the counts so far as plain data and begin anew."""
        plain = {**vars(self), "groups": sorted(self.groups), "policies": sorted(self.policies)}
        vars(self).update(vars(Counts()))
        return plain

    def as_plain(self) -> dict[str, Any]:
        total = max(1, self.hits + self.computed)
        return {
            "hits": self.hits,
            "computed": self.computed,
            "dropped": self.dropped,
            "policies": len(self.policies),
            "groups": len(self.groups),
            "bytes": sum(self.blocks.values()),
            "hit_rate": self.hits / total,
            "lost_mass": self.lost_mass,
        }


class TeacherBank:
    """Teacher outputs by group and view.

    Args:
      folder: where blocks are kept; None: in memory only.
      max_bytes: bound on the folder, or on the memory where there is none.
      features: also keep feature maps, for losses that read them.
    """

    def __init__(self, folder: Path | None = None, max_bytes: int = DEFAULT_BYTES, *, features: bool = False) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.features = features
        self.counts = Counts()
        self._memory: dict[str, Block] = {}
        self._memory_bytes = 0
        self._used: set[str] = set()
        self._full = False
        self._disk_bytes: int | None = None
        self._writes = 0
        self._mark = None if folder is None else _Mark(folder)

    def block(self, group: Group, view: str, answers: Answers, device: torch.device, parts: frozenset[str]) -> Block:
        """Return the outputs of the whole training set under one view.

        Args:
          group: teacher, data, policy, view seed.
          view: identifies the epoch's table of augmentation parameters.
          answers: asks the teacher; called only where the block is not found.
          device: where indices and outputs live.
          parts: of the output beside the logits: "pooled", "features".
        """
        self._enter(group)
        name = f"{group.key}/{view}-{''.join(sorted(part[0] for part in parts)) or 'l'}"
        found = self._memory.get(name) or self._read(name, device)
        if found is None:
            self.counts.computed += 1
            block = _compute(answers, parts)
            self._keep(name, block)
        else:
            self.counts.hits += 1
            block = found
        self.counts.asked(group, name, block)
        return block

    def holds_features(self, shapes: Shapes, size: int) -> bool:
        """Whether feature maps of a teacher are kept: asked for, and small enough for many blocks to fit."""
        values = sum(math.prod(shape) for shape in shapes.features)
        return self.features and 2 * values * size <= self.max_bytes / 8

    def close(self) -> None:
        """Say that this process no longer uses its groups."""
        if self._mark is not None:
            self._mark.close()

    def _keep(self, name: str, block: Block) -> None:
        in_memory = MEMORY if self.folder is not None else self.max_bytes
        if self._memory_bytes + block.nbytes <= in_memory:
            self._memory[name] = block
            self._memory_bytes += block.nbytes
        elif self.folder is None:
            self._drop()
        if self.folder is not None:
            self._write(self.folder, name, block)

    def _drop(self) -> None:
        self.counts.dropped += 1
        if not self._full:
            self._full = True
            log.warning("the teacher bank is full (%.1f GB): new outputs are used and not kept", self.max_bytes / 1e9)

    def _write(self, folder: Path, name: str, block: Block) -> None:
        try:
            if not self._admitted(folder, block.nbytes + HEADER):
                self._drop()
                return
            _save(folder / f"{name}.safetensors", block)
        except OSError as error:
            self.counts.dropped += 1
            self._refused(folder, error)

    def _refused(self, folder: Path, error: OSError) -> None:
        if not self._full:
            self._full = True
            why = "the disk is full" if error.errno == errno.ENOSPC else str(error)
            log.warning("teacher outputs cannot be kept in %s (%s); going on without", folder, why)

    def _admitted(self, folder: Path, nbytes: int) -> bool:
        """Whether a new block fits, once groups that nobody uses have gone as far as needed."""
        assert self._mark is not None
        if self._disk_bytes is None or self._writes % RECOUNT == 0 or self._disk_bytes + nbytes > self.max_bytes:
            self._disk_bytes = folder_bytes(folder)  # other processes write too
        self._writes += 1
        if self._disk_bytes + nbytes > self.max_bytes:
            self._disk_bytes -= _evict(folder, self._disk_bytes + nbytes - self.max_bytes, keep=self._mark.groups)
        if self._disk_bytes + nbytes > self.max_bytes:
            return False
        self._disk_bytes += nbytes
        return True

    def _enter(self, group: Group) -> None:
        """Note that this process uses a group, and since when, so that no other one deletes it."""
        if self.folder is None or self._mark is None or group.key in self._used:
            return
        try:
            self._mark.add(group.key)
            write_text(self.folder / group.key / "about.json", json.dumps(dict(group.about), default=str))
        except OSError as error:
            self._refused(self.folder, error)
        else:
            self._used.add(group.key)

    def _read(self, name: str, device: torch.device) -> Block | None:
        path = None if self.folder is None else self.folder / f"{name}.safetensors"
        if path is None or not path.exists():
            return None
        block = _load(path, device)
        if block is None:
            log.warning("a stored block of teacher outputs is damaged and is computed again: %s", path.name)
            return None
        if self._memory_bytes + block.nbytes <= MEMORY:
            self._memory[name] = block
            self._memory_bytes += block.nbytes
        return block


class _Mark:
    """A file that says which groups a running process uses; its lock is held as long as the process lives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / USERS
        self._name = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._lock: filelock.BaseFileLock | None = None
        self.groups: set[str] = set()

    def add(self, group: str) -> None:
        self.groups.add(group)
        if self._lock is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(self._folder / f"{self._name}.lock")
            self._lock.acquire()
        write_text(self._folder / f"{self._name}.json", json.dumps(sorted(self.groups)))

    def close(self) -> None:
        if self._lock is not None:
            (self._folder / f"{self._name}.json").unlink(missing_ok=True)
            self._lock.release()
            (self._folder / f"{self._name}.lock").unlink(missing_ok=True)
            self._lock = None


def groups_in_use(folder: Path) -> set[str]:
    """Return the groups that running processes use; marks of dead processes are removed."""
    used: set[str] = set()
    for mark in (folder / USERS).glob("*.json"):
        lock = filelock.FileLock(mark.with_suffix(".lock"))
        with contextlib.suppress(filelock.Timeout):
            with lock.acquire(timeout=0):
                mark.unlink(missing_ok=True)
                mark.with_suffix(".lock").unlink(missing_ok=True)
            continue
        with contextlib.suppress(FileNotFoundError):  # its process has just ended
            used |= set(json.loads(mark.read_text(encoding="utf-8")))
    return used


def group_folders(folder: Path) -> list[Path]:
    """Return the groups' folders, the one that no process began to use for longest first."""
    return sorted((path for path in folder.glob("*") if path.is_dir() and path.name != USERS), key=_last_begun)


def _last_begun(group: Path) -> float:
    about = group / "about.json"
    return about.stat().st_mtime if about.exists() else 0.0


def folder_bytes(folder: Path) -> int:
    """Return the size of all blocks in a bank or group."""
    return sum(size for _, size in _blocks(folder))


def clear(folder: Path) -> int:
    """Delete all groups that no running process uses; return the bytes freed."""
    return _evict(folder, 2**62, keep=set())


def block_bytes(shapes: Shapes, num_classes: int, size: int, parts: frozenset[str]) -> int:
    """Return the expected bytes of one block."""
    logits = 2 * num_classes if num_classes <= MANY_CLASSES else (2 + 4) * TOP + 2
    pooled = 2 * (shapes.pooled or 0) if "pooled" in parts else 0
    features = 2 * sum(math.prod(shape) for shape in shapes.features) if "features" in parts else 0
    return size * (logits + pooled + features)


def _blocks(folder: Path) -> Iterator[tuple[Path, int]]:
    for path in folder.rglob("*.safetensors"):
        with contextlib.suppress(FileNotFoundError):
            yield path, path.stat().st_size


def _evict(folder: Path, nbytes: int, keep: set[str]) -> int:
    """Delete groups that nobody uses, oldest first, until so many bytes are free; return the bytes freed."""
    busy = groups_in_use(folder) | keep
    freed = 0
    for group in group_folders(folder):
        if freed < nbytes and group.name not in busy:
            freed += folder_bytes(group)
            shutil.rmtree(group, ignore_errors=True)
    return freed


def _compute(answers: Answers, parts: frozenset[str]) -> Block:
    chunks, num_classes = [], 0
    for output in answers():
        num_classes = output.logits.shape[1]
        chunks.append(_stored(output, parts))
    return Block({name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}, num_classes)


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


def _save(path: Path, block: Block) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in block.tensors.items()}
    metadata = {"checksum": _checksum(tensors, block.num_classes), "num_classes": str(block.num_classes)}
    write_tensors(path, tensors, metadata)


def _load(path: Path, device: torch.device) -> Block | None:
    """Read a block; None where it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        num_classes = int(metadata["num_classes"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    if metadata.get("checksum") != _checksum(tensors, num_classes):
        return None
    return Block({name: tensor.to(device) for name, tensor in tensors.items()}, num_classes)


def _checksum(tensors: Mapping[str, Tensor], num_classes: int) -> str:
    digest = hashlib.blake2b(str(num_classes).encode(), digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
