"""The teacher bank itself: which blocks there are, in memory and on disk, and what is kept."""

from __future__ import annotations

import errno
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

from autokd.engine.teacher_bank.block import Ask, Block, compute_block, load_block, save_block
from autokd.engine.teacher_bank.folder import UsersMark, evict, folder_bytes
from autokd.files import write_text
from autokd.types import Shapes

log = logging.getLogger("autokd")

MEMORY = 2**28
"""Bytes of blocks kept in memory beside the disk."""
DEFAULT_BYTES = 20 * 10**9
"""Bound on the folder, unless the user gives another."""
HEADER = 1024
"""Bytes that a block's file may take beside its values."""
RECOUNT = 64
"""Blocks written between two looks at the folder's real size."""


class Group(NamedTuple):
    """What blocks of one view policy have in common.

    Args:
      key: identifies teacher, data, policy and its code version, view seed and precision.
      about: the same for people, JSON-able.
    """

    key: str
    about: Mapping[str, Any]


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

    def note(self, group: Group, name: str, block: Block) -> None:
        """Note a block that was asked for."""
        self.groups.add(group.key)
        self.policies.add(json.dumps(group.about.get("augment"), sort_keys=True, default=str))
        if name not in self.blocks:
            self.blocks[name] = block.nbytes
            self.lost_mass = max(self.lost_mass, block.lost_mass())

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what another process's bank did, as `take` returned it."""
        for name in ("hits", "computed", "dropped"):
            setattr(self, name, getattr(self, name) + other[name])
        self.groups.update(other["groups"])
        self.policies.update(other["policies"])
        self.blocks.update(other["blocks"])
        self.lost_mass = max(self.lost_mass, other["lost_mass"])

    def take(self) -> dict[str, Any]:
        """Return the counts so far as plain data and begin anew."""
        plain = {**vars(self), "groups": sorted(self.groups), "policies": sorted(self.policies)}
        vars(self).update(vars(Counts()))
        return plain

    def as_plain(self) -> dict[str, Any]:
        """Return the counts as a study records them: numbers of what was distinct, not their names."""
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
        self._mark = None if folder is None else UsersMark(folder)

    def block(self, group: Group, view: str, ask: Ask, device: torch.device, parts: frozenset[str]) -> Block:
        """Return the outputs of the whole training set under one view.

        Args:
          group: teacher, data, policy, view seed.
          view: identifies the epoch's table of augmentation parameters.
          ask: asks the teacher; called only where the block is not found.
          device: where indices and outputs live.
          parts: of the output beside the logits: "pooled", "features".
        """
        self._enter(group)
        name = f"{group.key}/{view}-{''.join(sorted(part[0] for part in parts)) or 'l'}"
        found = self._memory.get(name) or self._read(name, device)
        if found is None:
            self.counts.computed += 1
            block = compute_block(ask, parts)
            self._keep(name, block)
        else:
            self.counts.hits += 1
            block = found
        self.counts.note(group, name, block)
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
            save_block(folder / f"{name}.safetensors", block)
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
            self._disk_bytes -= evict(folder, self._disk_bytes + nbytes - self.max_bytes, keep=self._mark.groups)
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
        block = load_block(path, device)
        if block is None:
            log.warning("a stored block of teacher outputs is damaged and is computed again: %s", path.name)
            return None
        if self._memory_bytes + block.nbytes <= MEMORY:
            self._memory[name] = block
            self._memory_bytes += block.nbytes
        return block
